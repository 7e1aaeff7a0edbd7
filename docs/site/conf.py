"""Settings of Sphinx. The pages are those that build.py writes."""

import bert_tf

project = "bert_tf"
author = "The bert_tf authors"
copyright = author
version = release = bert_tf.__version__

extensions = ["myst_nb", "sphinx_copybutton"]
root_doc = "index"
nitpicky = True
# Types in signatures are those of other packages.
nitpick_ignore_regex = [("py:.*", ".*")]
highlight_language = "text"
pygments_style = "friendly"

# Notebooks are executed before, and shown as they came out.
nb_execution_mode = "off"
nb_merge_streams = True
myst_heading_anchors = 6  # As on GitHub.
myst_enable_extensions = []  # A dollar is a dollar.

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# In a page's own menu, `from_preset()` without its class.
toc_object_entries_show_parents = "hide"

html_title = "bert_tf"
html_favicon = "_static/icon.svg"
html_context = {"default_mode": "auto"}
html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_domain_indices = False
