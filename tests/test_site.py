"""The documentation site is built without warnings, and works in a browser.

All pages are visited at the widths of a desktop and of a phone.
"""

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from browser import DESKTOP, PHONE

REPOSITORY = Path(__file__).resolve().parent.parent

for name in ("sphinx", "myst_nb", "pydata_sphinx_theme", "sphinx_copybutton"):
    pytest.importorskip(name, reason='needs: pip install ".[docs]"')


def _size(size: tuple[int, int]) -> dict[str, int]:
    return {"width": size[0], "height": size[1]}


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        self.links += [found[key] for key in ("href", "src") if found.get(key)]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built site.

    $EXECUTED_NOTEBOOKS may have the notebooks with their outputs; $SITE_DIR is where a site was
    built before, which is brought up to date.
    """
    folder = os.environ.get("SITE_DIR") or tmp_path_factory.mktemp("site")
    command = [sys.executable, str(REPOSITORY / "docs/site/build.py"), f"--output_dir={folder}"]
    if os.environ.get("EXECUTED_NOTEBOOKS"):
        command.append(f"--notebooks_dir={os.environ['EXECUTED_NOTEBOOKS']}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return Path(folder, "html")


@pytest.fixture(scope="module")
def pages(site) -> dict[str, Page]:
    """The site's pages by their path."""
    paths = sorted(site.rglob("*.html"))
    return {
        str(path.relative_to(site)): Page(path.read_text(encoding="utf-8"))
        for path in paths
        if "_static" not in path.parts
    }


@pytest.fixture(scope="module")
def address(site):
    """The URL of a server with the site."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_site_has_every_page_name_script_and_notebook(pages):
    import bert_tf

    expected = {f"{path.stem}.html" for path in (REPOSITORY / "docs").glob("*.md")}
    expected |= {
        f"reference/api/{name}.html" for name in bert_tf.__all__ if not name.startswith("_")
    }
    expected |= {
        f"reference/scripts/{path.stem}.html"
        for path in (REPOSITORY / "run_scripts").glob("*.py")
        if path.stem not in ("command_line", "console", "flag_help")
    }
    expected |= {f"notebooks/{path.stem}.html" for path in (REPOSITORY / "colab").glob("*.ipynb")}
    assert sorted(expected - pages.keys()) == []


def test_every_flag_is_described(pages):
    from script_flags import flags_of

    found = pages["reference/scripts/run_pretraining.html"].anchors
    names = {"train_batch_size", "gradient_accumulation_steps", "objective", "input_file"}
    assert names <= flags_of(REPOSITORY / "run_scripts" / "run_pretraining.py")
    assert {f"cmdoption-run_pretraining-{name}" for name in names} <= found


def test_links_and_anchors_lead_somewhere(site, pages):
    broken = []
    for name, page in pages.items():
        for link in page.links:
            target, anchor = urldefrag(link)
            if urlsplit(link).scheme:  # Other sites, and pictures in the page itself.
                continue
            place = os.path.normpath(Path(name).parent / unquote(urlsplit(target).path))
            place = name if not target else place
            if not (site / place).exists():
                broken.append(f"{name}: {link}")
            elif anchor and place in pages and unquote(anchor) not in pages[place].anchors:
                broken.append(f"{name}: {link} (anchor)")
    assert broken == []


def test_pages_fit_a_desktop_and_a_phone_and_have_no_errors(browser_page, address, pages):
    wide = []
    for name in pages:
        browser_page.set_viewport_size(_size(DESKTOP))
        browser_page.goto(f"{address}/{name}")
        assert browser_page.locator("h1").first.is_visible(), name
        for size in (DESKTOP, PHONE):
            browser_page.set_viewport_size(_size(size))
            if browser_page.overflow():
                wide.append(f"{name}: {browser_page.overflow()} pixels wider than {size[0]}")
        assert browser_page.errors == [], name
    browser_page.check()
    assert wide == []


def test_a_phone_has_the_menu_behind_a_button(browser, address):
    page = browser.open(PHONE)
    page.goto(f"{address}/keras.html")
    menu = page.locator("#pst-primary-sidebar-modal, .bd-sidebar-primary").first
    assert not menu.is_visible()
    page.locator("button.primary-toggle").click()
    page.get_by_role("link", name="Reference").first.wait_for(state="visible")
    page.check()
    page.context.close()


def test_the_search_finds_a_method(browser_page, address):
    browser_page.goto(f"{address}/search.html?q=from_preset")
    browser_page.wait_for_selector("#search-results li a")
    titles = browser_page.locator("#search-results li").all_inner_texts()
    assert any("from_preset" in title for title in titles)
    browser_page.locator("#search-results li a").first.click()
    browser_page.wait_for_url(re.compile(r"^(?!.*search\.html)"))
    browser_page.wait_for_load_state()
    assert "from_preset" in browser_page.content()
    browser_page.check()


def test_code_can_be_copied(browser, address):
    page = browser.open(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{address}/keras.html")
    block = page.locator("div.highlight-python").first
    block.hover()
    block.locator("button.copybtn").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == block.locator("pre").inner_text().strip()
    page.check()
    page.context.close()
