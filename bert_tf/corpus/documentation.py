"""Collects English prose from the documentation of installed Python packages.

A document is a docstring or one of Python's help topics. Source files are parsed, not imported.
Code, tables, headings and lists of names are dropped:

    Computes the mean of a tensor.               Computes the mean of a tensor.
    Args:                               ->       The axes to average over.
      axis: The axes to average over.
      dtype: float32, float64
"""

import ast
import importlib.util
import inspect
import logging
import re
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from bert_tf.config import check_range
from bert_tf.files.paths import atomic_writes, hold_folder, join_path

# The standard library, which includes the help topics.
PYTHON = "python"
DEFAULT_PACKAGES = ("numpy", "keras", "tensorflow", PYTHON)

_SKIPPED_FOLDERS = r"__pycache__|dist-packages|idle_test|site-packages|tests?"
_SKIPPED = re.compile(rf"(.*/)?(({_SKIPPED_FOLDERS})/.*|(test_[^/]*|[^/]*_test)\.py)")

# Code is fenced, follows `>>>` up to a blank line, or is indented after a line ending in `::`.
_CODE_BLOCK = re.compile(
    r"(?m)^ *(?P<fence>```|~~~)[\s\S]*?(^ *(?P=fence).*|\Z)"
    r"|^ *>>>.*(\n.*\S.*)*"
    r"|^(?P<indent> *)(\.\. .*|.*::) *(\n *$|\n(?P=indent) +\S.*)*"
)
# A blank line, an underlined heading, a marker of a list, `name: ` or `name : type`.
_PARAGRAPH_END = re.compile(
    r"(?m)^ *$|^.*\n *([=~^*#+-])\1{2,} *$|^ *([-*+•]|\(?\d{1,2}[.)]) "
    r"|^ *[`*]*\w[\w.,*` ]{0,60}? : .*$|^ *[`*]*\w[\w.]*[`*]*( ?\([^)\n]*\))?:( |$)"
)

_MARKUP = (
    (re.compile(r"!?\[([^\]]+)\]\([^)]*\)"), r"\1"),  # [text](address)
    (re.compile(r":[a-z:]+:`([^`]*)`"), r"\1"),  # :role:`name`
    (re.compile(r"\s*\[\w+\]_"), ""),  # [1]_
    (re.compile(r"`+"), ""),
    (re.compile(r"(?<!\w)(\*{1,2})([^*\s](?:[^*]*[^*\s])?)\1(?!\w)"), r"\2"),  # *text*, **text**
    (re.compile(r"\s+"), " "),
)
_SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])")
_ABBREVIATION = re.compile(r"(?i)\b(e\.g|i\.e|etc|vs|cf|al|fig|eq|sec|ch|no|resp|approx|[A-Z])\.$")
_CODE = re.compile(r"[{}\\|$^@~=]|://|::|->|>>>|\.\.\.\s*\S|__|[^\x20-\x7e‘-”–—]")
_WORD = re.compile(r"[\"'(\[]?[A-Za-z]+(?:['’-][A-Za-z]+)*[\"')\]]*[.,;:!?]*[\"')\]]*$")
_FUNCTIONAL = """
a an the this that these of in on at by for from to with as is are was be been has have can may must
will should not no if when which it its and or
"""
_FUNCTION_WORDS = frozenset(_FUNCTIONAL.split())

_logger = logging.getLogger(__name__)


def collect_documents(packages: Sequence[str] = DEFAULT_PACKAGES) -> Iterator[list[str]]:
    """Yields the documents of installed packages as lists of sentences, in a fixed order.

    Repeated sentences are dropped, so that held-out text does not repeat training text. `packages`
    are names of top-level ones, or `python` for Python itself; raises a ValueError for others.
    """
    seen: set[str] = set()
    for folder in [_package_folder(package) for package in packages]:
        for path in _source_files(folder):
            for text in documentation_strings(path):
                sentences = dict.fromkeys(prose_sentences(text))
                document = [sentence for sentence in sentences if sentence not in seen]
                seen.update(document)
                if document:
                    yield document


def write_corpus(
    output_dir: str, packages: Sequence[str] = DEFAULT_PACKAGES, held_out_share: float = 0.02
) -> tuple[int, int]:
    """Writes `train.txt` and `held_out.txt`: a sentence per line, a blank line after documents.

    `held_out_share` is the fraction of documents, evenly spread, that goes to `held_out.txt`.
    Returns the numbers of documents in both files.
    """
    check_range("held_out_share", held_out_share, "(0, 1)")
    paths = [join_path(output_dir, name) for name in ("train.txt", "held_out.txt")]
    num_documents = [0, 0]
    with hold_folder(output_dir), atomic_writes(paths, "w") as files:
        for index, document in enumerate(collect_documents(packages)):
            is_held_out = int((index + 1) * held_out_share) > int(index * held_out_share)
            num_documents[is_held_out] += 1
            files[is_held_out].write("\n".join(document) + "\n\n")
    return num_documents[0], num_documents[1]


def documentation_strings(path: Path) -> list[str]:
    """Returns the documentation strings in a Python source file, in the order of lines.

    Strings with a blank line count too: numpy documents C functions with `add_newdoc(place, name,
    text)`, and Python's help topics are a dict of strings.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # For example, invalid escape sequences in their files.
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError) as error:
            _logger.warning("%s is skipped: %s", path, error)
            return []
    return list(_strings_of_node(tree))


def prose_sentences(text: str) -> list[str]:
    """Returns the sentences of a docstring, without markup and text that is not prose."""
    text = _PARAGRAPH_END.sub("\0", _CODE_BLOCK.sub("\n", inspect.cleandoc(text)))
    sentences: list[str] = []
    for paragraph in text.split("\0"):
        for pattern, replacement in _MARKUP:
            paragraph = pattern.sub(replacement, paragraph)
        sentences += filter(is_prose, _split_sentences(paragraph.strip()))
    return sentences


def is_prose(sentence: str) -> bool:
    """Returns whether a text looks like an English sentence.

    It ends like one, has 4 to 80 words and no code. Three quarters are plain words, not names or
    numbers, and some are function words such as "the" and "of".
    """
    if not sentence.rstrip("\"')]").endswith((".", "!", "?")) or _CODE.search(sentence):
        return False
    words = sentence.split()
    plain = [word for word in words if _WORD.match(word)]
    function_words = [word for word in words if word.lower().strip("(,") in _FUNCTION_WORDS]
    return (
        4 <= len(words) <= 80
        and len(plain) >= 0.75 * len(words)
        and len(function_words) >= max(1, len(words) // 8)
    )


def _package_folder(package: str) -> Path:
    if package == PYTHON:
        return Path(sysconfig.get_paths()["stdlib"])
    # Looking up a dotted name would import the package before the dot.
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(
            f"There is no installed package {package!r} to read documentation from. Give names of "
            f"top-level packages, or {PYTHON!r} for Python's own documentation."
        )
    return Path(spec.submodule_search_locations[0])


def _source_files(folder: Path) -> list[Path]:
    paths = sorted(folder.rglob("*.py"))
    return [path for path in paths if not _SKIPPED.fullmatch(path.relative_to(folder).as_posix())]


def _strings_of_node(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        if isinstance(node.value.value, str):
            yield node.value.value
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, str) and "\n\n" in node.value:
            yield node.value
    elif not isinstance(node, ast.JoinedStr):  # f-strings are messages, not documentation.
        for child in ast.iter_child_nodes(node):
            yield from _strings_of_node(child)


def _split_sentences(paragraph: str) -> Iterator[str]:
    start = 0
    for end in _SENTENCE_END.finditer(paragraph):
        if not _ABBREVIATION.search(paragraph[start : end.start() + 1]):
            yield paragraph[start : end.end()].rstrip()
            start = end.end()
    yield paragraph[start:]
