"""The Markdown pages of the site, from those of the repository.

Files keep their contents but for two things. Links between files of the repository become links
between pages: a page of docs/ is a page at the top, a notebook of colab/ is in notebooks/, and all
else that is linked is taken along into repository/. And the lists of docs/index.md become menus:

    ## How-to guides                     a page how-to-guides.md, if it has several links
    ### Pre-training                     a part of its menu
    - [Records](data.md): from text ...  an entry, with this short title
"""

import dataclasses
import json
import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\]\([^)]*\))*)\]\(([^)\s]+)\)")
_INDEX = PurePosixPath("docs/index.md")
_FENCED = re.compile(r"^ *(```+|~~~+).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r"- \[([^\]]+)\]\(([^)\s]+)\)")
# The link to Colab, a picture from elsewhere.
_BADGE = re.compile(r"^<a href=\"https://colab.*\n?", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Section:
    """A `##` section of the index: its lines, and its links by `###` heading ("" before one)."""

    title: str
    lines: list[str]
    groups: dict[str, list[tuple[str, str]]]

    @property
    def page(self) -> str:
        """The page that the site's main menu leads to, without its suffix."""
        links = [link for group in self.groups.values() for link in group]
        if len(links) == 1:
            return links[0][1].removesuffix(".md")
        return re.sub(r"\W+", "-", self.title.lower())


class Sources:
    """Writes the pages below a folder; files that did not change keep their time.

    Args:
        repository: the checkout.
        output_dir: where the pages go.
        notebooks_dir: the executed copies of the notebooks; one that is not there is shown as it
            is in the repository, without outputs.
    """

    def __init__(self, repository: Path, output_dir: Path, notebooks_dir: Path | None = None):
        self.repository = repository
        self.output_dir = output_dir
        self.notebooks_dir = notebooks_dir
        self._written: set[Path] = set()
        self._queue: list[PurePosixPath] = []

    def write(self, name: str, text: str | bytes) -> None:
        """Writes one file of the site."""
        path = self.output_dir / name
        content = text.encode() if isinstance(text, str) else text
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
        self._written.add(path)

    def write_pages(self, generated: list[tuple[str, str]]) -> None:
        """Writes all of docs/ and what it links to.

        `generated` are title and page of what the reference has besides.
        """
        docs = self.repository / "docs"
        index = (self.repository / _INDEX).read_text(encoding="utf-8")
        for path in docs.glob("*.md"):
            if path.name != _INDEX.name:
                self._add(PurePosixPath("docs") / path.name)
        self._write_index(index, generated)
        done: set[PurePosixPath] = set()
        while self._queue:
            path = self._queue.pop()
            if path not in done and path != _INDEX:
                done.add(path)
                self._write_file(path)

    def remove_others(self) -> None:
        """Removes files that an earlier call wrote, and this one did not."""
        for path in self.output_dir.rglob("*"):
            if path.is_file() and path not in self._written:
                path.unlink()

    def _add(self, path: PurePosixPath) -> str:
        """Returns where a file of the repository is on the site, and sees to it that it is."""
        self._queue.append(path)
        return _name_on_site(path)

    def _write_file(self, path: PurePosixPath) -> None:
        name, source = _name_on_site(path), self.repository / path
        if path.suffix == ".md":
            text = self._with_links(source.read_text(encoding="utf-8"), path, name)
            is_beside = path.parts[0] != "docs"
            self.write(name, f"---\norphan: true\n---\n{text}" if is_beside else text)
        elif path.suffix == ".ipynb":
            self.write(name, self._notebook(path, name))
        else:
            self.write(name, source.read_bytes())

    def _notebook(self, path: PurePosixPath, name: str) -> str:
        executed = self.notebooks_dir / path.name if self.notebooks_dir else None
        source = executed if executed and executed.exists() else self.repository / path
        notebook = json.loads(source.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                text = _BADGE.sub("", "".join(cell["source"]))
                cell["source"] = self._with_links(text, path, name)
        return json.dumps(notebook)

    def _with_links(self, text: str, path: PurePosixPath, name: str) -> str:
        """Returns the text of the file `path` with links that hold in the page `name`."""

        def rewritten(match: re.Match) -> str:
            picture, label, link = match.groups()
            label = _LINK.sub(rewritten, label)
            target, hash_mark, anchor = link.partition("#")
            if re.match(r"\w+:", link) or not target:
                return f"{picture}[{label}]({link})"
            found = PurePosixPath(os.path.normpath(path.parent / target))
            place = self.repository / found
            for name_of_folder in ("index.md", "README.md"):
                if (place / name_of_folder).exists():
                    found, place = found / name_of_folder, place / name_of_folder
            if place.is_dir():
                return label
            if not place.exists() or found.parts[0] == "..":
                raise ValueError(f"{path}: the link {link} leads nowhere.")
            page = os.path.relpath(self._add(found), PurePosixPath(name).parent)
            return f"{picture}[{label}]({page}{hash_mark}{anchor})"

        return _outside_code(text, lambda line: _LINK.sub(rewritten, line))

    def _write_index(self, index: str, generated: list[tuple[str, str]]) -> None:
        sections = [self._section(section) for section in _sections(index)]
        pages = [section.page for section in sections if section.groups]
        menu = _toctree("", [("", page) for page in pages])
        self.write("index.md", self._with_links(index, _INDEX, "index.md") + menu)
        for section in sections:
            lines = [re.sub("^###", "##", line) for line in section.lines]
            text = "\n".join([f"# {section.title}", *lines, ""])
            name = f"{section.page}.md"
            text = self._with_links(text, _INDEX, name)
            if section.title == "Reference":
                section.groups["From the code"] = generated
                entries = [f"- [{title}]({page})" for title, page in generated]
                text += "\n".join(["", "## From the code", "", *entries, ""])
            if sum(map(len, section.groups.values())) > 1:
                menus = [_toctree(title, links) for title, links in section.groups.items()]
                self.write(name, text + "".join(menus))

    def _section(self, section: Section) -> Section:
        groups = {
            title: [(label, self._place(link)) for label, link in links]
            for title, links in section.groups.items()
        }
        return dataclasses.replace(section, groups=groups)

    def _place(self, link: str) -> str:
        return self._add(PurePosixPath(os.path.normpath(PurePosixPath("docs") / link)))


def _name_on_site(path: PurePosixPath) -> str:
    if path.parts[0] == "docs":
        return str(path.relative_to("docs"))
    if path.parts[0] == "colab" and path.suffix == ".ipynb":
        return f"notebooks/{path.name}"
    return f"repository/{path}"


def _sections(index: str) -> list[Section]:
    sections: list[Section] = []
    group = ""
    for line in index.splitlines():
        if line.startswith("## "):
            sections.append(Section(line[3:], [], {}))
            group = ""
        elif sections:
            sections[-1].lines.append(line)
            if line.startswith("### "):
                group = line[4:]
            elif match := _ENTRY.match(line):
                sections[-1].groups.setdefault(group, []).append(match.groups())
    return sections


def _toctree(caption: str, links: list[tuple[str, str]]) -> str:
    lines = ["", "```{toctree}", ":hidden:", *([f":caption: {caption}"] if caption else []), ""]
    for title, page in links:
        page = re.sub(r"\.(md|ipynb)$", "", page)
        title = title.replace("`", "")  # Menus are plain text.
        lines.append(f"{title} <{page}>" if title else page)
    return "\n".join([*lines, "```", ""])


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Applies `change` to the paragraphs of a text, not to its fenced code."""
    parts, end = [], 0
    for fence in _FENCED.finditer(text):
        parts += [change(text[end : fence.start()]), fence.group()]
        end = fence.end()
    return "".join([*parts, change(text[end:])])
