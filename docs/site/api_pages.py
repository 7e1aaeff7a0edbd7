"""Reference pages of the package's public names, from their signatures and docstrings.

Docstrings of this package are Markdown with sections of Google's form, so only the sections and
lists have to be rewritten:

    Args:                             **Arguments**
        path: a checkpoint.           - **path**: a checkpoint.
    Example:                          **Example**
        print(1)                      ```python ... ```
"""

import importlib
import inspect
import re
import textwrap

from sphinx.util.inspect import stringify_signature

GROUPS = {
    "Encoders": (
        *("BertEncoder", "AlbertEncoder", "DistilBertEncoder", "ElectraEncoder"),
        *("RobertaEncoder", "BertConfig", "presets"),
    ),
    "Models with a head": (
        *("ClassificationModel", "MultiLabelModel", "TokenClassificationModel", "TaggingModel"),
        *("RoleModel", "SpanModel", "ChoiceModel", "SiameseModel", "CoreferenceModel"),
        *("PretrainingModel", "DiscriminatorModel"),
    ),
    "Text": (
        *("TextPreprocessor", "FullTokenizer", "BasicTokenizer", "WordpieceTokenizer"),
        *("ByteBpeTokenizer", "SentencePieceTokenizer"),
    ),
    "Training": ("load_dataset", "create_optimizer"),
    "Inference": ("Predictor",),
    "Checkpoints": ("load_checkpoint", "save_checkpoint"),
}

_SECTIONS = {
    "Args": "Arguments",
    "Attributes": "Attributes",
    "Returns": "Returns",
    "Raises": "Raises",
    "Example": "Example",
    "Source": "Source",
}
_HEADING = re.compile(rf"({'|'.join(_SECTIONS)}):(?: (.*))?$")
_ITEM = re.compile(r"((?:\*{0,2}\w+|`[^`]+`)(?:, (?:\*{0,2}\w+|`[^`]+`))*)((?: [^:`]*)?): (.*)$")


def api_pages() -> dict[str, str]:
    """Returns the page of each public name by its name, and `index`."""
    import bert_tf

    listed = {name for names in GROUPS.values() for name in names}
    groups = dict(GROUPS)
    if others := sorted({*bert_tf.__all__} - listed - {"__version__"}):
        groups["Other names"] = tuple(others)
    objects = {name: getattr(bert_tf, name) for names in groups.values() for name in names}
    paths = {f"bert_tf.{name}": found for name, found in objects.items()}
    referred = _referred(objects)
    groups["Referred to by these"] = tuple(referred)
    paths |= referred
    names = {_page_name(path): path for path in paths}
    links = {path.rpartition(".")[2]: page for page, path in names.items()}
    pages = {page: _page(path, paths[path], links) for page, path in names.items()}
    pages["index"] = _index(groups, paths)
    return pages


def _page_name(path: str) -> str:
    return path.removeprefix("bert_tf.") if path.count(".") == 1 else path


def _referred(objects: dict) -> dict:
    """Returns classes and functions of the package that docstrings name, which are not public."""
    found, queue = {}, list(objects.values())
    while queue:
        about = queue.pop(0)
        scope = vars(importlib.import_module(about.__module__))
        for name in re.findall(r"`([A-Za-z_][\w.]*)`", inspect.getdoc(about) or ""):
            try:
                value = scope[name] if name in scope else _import(name)
            except (ImportError, AttributeError, ValueError):
                continue
            is_own = getattr(value, "__module__", "").startswith("bert_tf.")
            if not is_own or not (inspect.isclass(value) or inspect.isfunction(value)):
                continue
            path = f"{value.__module__}.{value.__qualname__}"
            known = [*objects.values(), *found.values()]
            if not any(value is each for each in known) and "<" not in path:
                found[path] = value
                queue.append(value)
    return dict(sorted(found.items(), key=lambda item: item[1].__name__.lower()))


def _import(path: str):
    module, _, name = path.rpartition(".")
    if not module.startswith("bert_tf"):
        raise ValueError(path)
    return getattr(importlib.import_module(module), name)


def _index(groups: dict[str, tuple[str, ...]], paths: dict) -> str:
    lines = [
        *("# API", ""),
        "Everything that `bert_tf` exports, and the classes that their documentation refers to. "
        "Generated from the docstrings, which `help(bert_tf.BertEncoder)` shows as well.",
    ]
    for title, names in groups.items():
        pages = []
        lines += ["", f"## {title}", ""]
        for name in names:
            value = paths.get(name) or paths[f"bert_tf.{name}"]
            about = (inspect.getdoc(value) or "").partition("\n\n")[0].replace("\n", " ")
            page = _page_name(name)
            pages.append(f"{value.__name__} <{page}>")
            lines.append(f"- [`{value.__name__}`]({page}.md): {_escaped(about)}")
        lines += ["", "```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```"]
    return "\n".join([*lines, ""])


def _page(path: str, value, links: dict[str, str]) -> str:
    name = path.rpartition(".")[2]
    own = {key: page for key, page in links.items() if key != name}
    lines = [f"# {name}", "", f"```{{py:currentmodule}} {path.rpartition('.')[0]}", "```", ""]
    if not inspect.isclass(value):
        return "\n".join([*lines, *_directive("function", name, value, own), ""])
    lines += _directive("class", name, value, own)
    members = _members(value)
    if members:
        lines += ["", "## Methods and properties", ""]
    for member, kind, found in members:
        lines += [*_directive(kind, f"{name}.{member}", found, own), ""]
    return "\n".join([*lines, ""])


def _members(value: type) -> list[tuple[str, str, object]]:
    """Returns name, kind and object of the documented public members that the package defines."""
    found = {}
    for base in value.__mro__:
        if not base.__module__.startswith("bert_tf"):
            continue
        for name, member in vars(base).items():
            if not name.startswith("_"):
                found.setdefault(name, member)
    kinds = {property: "property", classmethod: "classmethod", staticmethod: "staticmethod"}
    members = []
    for name, member in found.items():
        kind = kinds.get(type(member), "method" if inspect.isfunction(member) else None)
        function = member.fget if isinstance(member, property) else member
        function = getattr(function, "__func__", function)
        if kind and function.__doc__:
            members.append((name, kind, function))
    return sorted(members)


def _directive(kind: str, name: str, value, links: dict[str, str]) -> list[str]:
    option = []
    if kind in ("classmethod", "staticmethod"):
        kind, option = "method", [f":{kind}:"]
    signature = ""
    if kind != "property":
        parameters = inspect.signature(value)
        if kind == "method" and option != [":staticmethod:"]:
            first, *rest = parameters.parameters.values()
            parameters = parameters.replace(
                parameters=rest if first.name in ("self", "cls") else [first, *rest]
            )
        if kind == "class":
            parameters = parameters.replace(return_annotation=inspect.Signature.empty)
        signature = stringify_signature(parameters, unqualified_typehints=True)
        signature = re.sub(r"~(?:\w+\.)*", "", signature.replace("<factory>", "{}"))
    body = _markdown(inspect.cleandoc(value.__doc__ or ""), links)
    return [f"``````{{py:{kind}}} {name}{signature}", *option, "", body, "``````"]


def _markdown(docstring: str, links: dict[str, str]) -> str:
    """Returns a docstring with its sections and lists as Markdown has them."""
    out: list[str] = []
    for block in _blocks(docstring):
        head, *rest = block.splitlines()
        body = textwrap.dedent("\n".join(rest)).strip("\n")
        heading = _HEADING.match(head)
        if heading and heading[1] == "Example":
            out.append(f"**Example**\n\n```python\n{body}\n```")
        elif heading:
            text = f"{heading[2] or ''}\n{body}".strip("\n") if heading[2] else body
            items = None if heading[2] else _items(text)
            text = items or " ".join(text.split())
            text = text.replace(" Returns: ", "\n\n**Returns**: ")
            mark = "\n\n" if items else ": "
            out.append(f"**{_SECTIONS[heading[1]]}**{mark}{_linked(text, links)}")
        elif head.startswith("    "):
            out.append(f"```text\n{textwrap.dedent(block)}\n```")
        elif rest and all(line.startswith("    ") for line in rest) and (items := _items(body)):
            out.append(_linked(f"{head}\n\n{items}", links))
        else:
            out.append(_linked(_with_lists(block), links))
    return "\n\n".join(out)


def _blocks(docstring: str) -> list[str]:
    """Returns paragraphs; what is indented below a heading belongs to it."""
    blocks: list[str] = []
    for part in re.split(r"\n{2,}", docstring):
        follows = bool(blocks) and part.startswith("    ")
        if follows and (
            blocks[-1].startswith("    ") or _HEADING.match(blocks[-1].splitlines()[0])
        ):
            blocks[-1] += f"\n\n{part}"
        else:
            blocks.append(part)
    return blocks


def _with_lists(block: str) -> str:
    """Returns a paragraph in which indented `name: text` lines are lists."""
    out: list[str] = []
    for indented, lines in _runs(block.splitlines()):
        text = textwrap.dedent("\n".join(lines))
        if indented:
            text = _items(text) or f"```text\n{text}\n```"
        out.append(text)
    return "\n\n".join(out)


def _runs(lines: list[str]) -> list[tuple[bool, list[str]]]:
    runs: list[tuple[bool, list[str]]] = []
    for line in lines:
        indented = line.startswith("    ")
        if not runs or runs[-1][0] != indented:
            runs.append((indented, []))
        runs[-1][1].append(line)
    return runs


def _items(text: str) -> str:
    """Returns a list of the `name: text` items of an indented text, or "" if it has others."""
    items: list[str] = []
    for line in text.splitlines():
        match = _ITEM.match(line)
        if match:
            name = match[1] if match[1].startswith("`") else f"**{match[1]}**"
            items.append(f"- {name}{match[2]}: {match[3]}")
        elif items and (line.startswith("    ") or not line):
            items.append(line.replace("    ", "  ", 1))
        else:
            return ""
    return "\n".join(items)


def _linked(text: str, links: dict[str, str]) -> str:
    """Returns a text in which code that is a documented name leads to its page."""

    def replaced(match: re.Match) -> str:
        name = match[1].rpartition(".")[2]
        if name in links and match[1] in (name, f"bert_tf.{name}", links[name]):
            return f"[`{match[1]}`]({links[name]}.md)"
        return match[0]

    parts = re.split(r"(`[^`]*`)", text)
    out = [_escaped(part) if index % 2 == 0 else part for index, part in enumerate(parts)]
    return re.sub(r"`([\w.]+)`", replaced, "".join(out))


def _escaped(text: str) -> str:
    return re.sub(r"<(?=\w)", r"\\<", text)
