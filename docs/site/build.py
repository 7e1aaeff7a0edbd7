"""Builds the documentation site: collects its pages, and runs Sphinx on them.

    python docs/site/build.py --output_dir=docs/_build

Writes `html/` there, from `source/`, where the pages of docs/, the executed notebooks and the
reference come together. Warnings are errors.
"""

import argparse
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))

from api_pages import api_pages  # noqa: E402 - they are beside this file.
from script_pages import script_pages  # noqa: E402
from sources import Sources  # noqa: E402
from sphinx.cmd.build import build_main  # noqa: E402

GENERATED = [("API", "reference/api/index.md"), ("Scripts and flags", "reference/scripts/index.md")]


def build_site(repository: Path, output_dir: Path, notebooks_dir: Path | None = None) -> int:
    """Writes the site into `output_dir / "html"`, and returns Sphinx's exit status.

    Args:
        repository: the checkout.
        output_dir: also keeps what makes the next call quick.
        notebooks_dir: executed copies of colab's notebooks.
    """
    sources = Sources(repository, output_dir / "source", notebooks_dir)
    names = {path.stem for path in (repository / "docs").glob("*.md")}
    for name, text in api_pages().items():
        sources.write(f"reference/api/{name}.md", text)
    for name, text in script_pages(repository, names).items():
        sources.write(f"reference/scripts/{name}.md", text)
    sources.write_pages(GENERATED)
    for name in ("conf.py", "site.css", "icon.svg"):
        place = name if name == "conf.py" else f"_static/{name}"
        sources.write(place, (FOLDER / name).read_bytes())
    sources.remove_others()
    folders = [output_dir / "source", output_dir / "html"]
    options = ["-q", "-W", "--keep-going", "-j", "2", "-d", str(output_dir / "doctrees")]
    return build_main(["-b", "html", *options, *map(str, folders)])


def main() -> None:
    repository = FOLDER.parent.parent
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output_dir", type=Path, default=repository / "docs" / "_build")
    parser.add_argument("--notebooks_dir", type=Path, help="executed copies of the notebooks")
    arguments = parser.parse_args()
    status = build_site(repository, arguments.output_dir.resolve(), arguments.notebooks_dir)
    if status:
        sys.exit("Error: the documentation has the warnings above.")
    print(f"{arguments.output_dir}/html/index.html")


if __name__ == "__main__":
    main()
