"""Tells what a file is by its first bytes, so that a file of another kind is refused by its name.

    vocab.tar.gz: a tar archive, compressed by gzip, where a vocabulary is needed (UTF-8 text, one
    token on each line). Unpack it first: tar -xf vocab.tar.gz

Names count only for what has no signature, such as the parts of a TensorFlow checkpoint.
"""

import codecs
import contextlib
import re
import shlex
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bert_tf.files import paths

HEAD_BYTES = 4096  # So many first bytes are looked at.

TEXT, JSON, HTML, XML = "plain text", "JSON", "an HTML page", "XML"
WIKI_EXTRACTOR = "text of WikiExtractor (<doc ...>)"
OTHER_TEXT, BINARY, EMPTY = "text that is not UTF-8", "a binary file", "an empty file"
RECORDS, FOLDER = "TFRecords", "a folder"
SAFETENSORS, HDF5 = "safetensors weights", "an HDF5 file, such as Keras weights"
SENTENCEPIECE = "a SentencePiece model"
_PICKLE, _TORCH = "PyTorch weights or another Python pickle", "PyTorch weights (a zip archive)"
_CHECKPOINT = "part of a TensorFlow checkpoint"
_GZIP, _ZIP, _DAMAGED_ZIP = "gzip data", "a zip archive", "a damaged zip archive"
_GZIPPED = ", compressed by gzip"
_ANY_TEXT = (TEXT, JSON, HTML, XML, WIKI_EXTRACTOR, OTHER_TEXT, EMPTY, _GZIP)


class _Kind(NamedTuple):
    name: str
    pattern: bytes | str  # Of the first bytes, of a name in a zip archive, ...
    remedy: str = ""  # {name} is the file's name, as in a command.


_UNPACK = "Unpack it first: "
_CONVERT = "Convert it first: iconv -f {} -t UTF-8 {{name}} > NEW_FILE"
_AS_TEXT = "Save its text as UTF-8 first."
_MODEL_FOLDER = "Give the model's folder or weights, or download them again."
_AS_TABLE = "Write it as CSV or JSON lines first, for example with pandas."
# The first one that matches counts.
_SIGNATURES = (
    _Kind(
        "a Git LFS pointer, not the file itself",
        rb"version https://git-lfs",
        "Fetch the file with git lfs pull, or download it.",
    ),
    _Kind(_GZIP, rb"\x1f\x8b\x08", _UNPACK + "gunzip < {name} > NEW_FILE"),
    _Kind(RECORDS, rb".{4}\0{4}.{4}\n"),
    _Kind(SAFETENSORS, rb".{4}\0{4}\s*\{"),
    _Kind("bz2 data", rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", _UNPACK + "bunzip2 < {name} > NEW_FILE"),
    _Kind("xz data", rb"\xfd7zXZ\0", _UNPACK + "unxz < {name} > NEW_FILE"),
    _Kind("Zstandard data", rb"\x28\xb5\x2f\xfd", _UNPACK + "unzstd < {name} > NEW_FILE"),
    _Kind("LZ4 data", rb"\x04\x22\x4d\x18", _UNPACK + "unlz4 < {name} > NEW_FILE"),
    _Kind("a 7z archive", rb"7z\xbc\xaf\x27\x1c", _UNPACK + "7z x {name}"),
    _Kind("a RAR archive", rb"Rar!\x1a\x07", _UNPACK + "unrar x {name}"),
    _Kind("a tar archive", rb".{257}ustar", _UNPACK + "tar -xf {name}"),
    _Kind(_ZIP, rb"PK(\x03\x04|\x05\x06)", _UNPACK + "unzip {name}"),
    _Kind("a PDF document", rb"%PDF-\d", _AS_TEXT),
    _Kind("an RTF document", rb"\{\\rtf\d", _AS_TEXT),
    _Kind("an old Office document", rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _AS_TEXT),
    _Kind(_PICKLE, rb"\x80[\x02-\x05][^\0]"),
    _Kind(HDF5, rb"\x89HDF\r\n\x1a\n"),
    _Kind("GGUF weights", rb"GGUF.\0\0\0"),
    _Kind("a NumPy array", rb"\x93NUMPY"),
    _Kind("a Parquet table", rb"PAR1", _AS_TABLE),
    _Kind("an Arrow table", rb"ARROW1\0|\xff{4}.{4}\x10\0\0\0", _AS_TABLE),
    _Kind("an SQLite database", rb"SQLite format 3\0", _AS_TABLE),
    _Kind("an image", rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a"),
    _Kind("UTF-32 text", rb"\xff\xfe\0\0|\0\0\xfe\xff", _CONVERT.format("UTF-32")),
    _Kind(
        "UTF-16 text", rb"\xff\xfe|\xfe\xff|([^\0]\0){8}|(\0[^\0]){8}", _CONVERT.format("UTF-16")
    ),
)
_IN_ZIP = (
    _Kind(_TORCH, r"(.*/)?data\.pkl"),
    _Kind("a Word document", r"word/document\.xml", _AS_TEXT),
    _Kind("an Excel table", r"xl/workbook\.xml", "Save it as CSV in UTF-8 first."),
    _Kind("an OpenDocument or EPUB file", r"mimetype", _AS_TEXT),
    _Kind("a Keras model (a zip archive)", r"(.*/)?model\.weights\.h5"),
    _Kind("NumPy arrays (a zip archive)", r".*\.npy"),
)
_NAMED = (
    _Kind(_CHECKPOINT, r".*\.(index|meta|data-\d+-of-\d+)"),
    _Kind(SENTENCEPIECE, r".*\.(model|spm)"),
    _Kind("an ONNX model", r".*\.onnx"),
    _Kind("a TensorFlow graph", r".*\.pb"),
    _Kind("Flax weights", r".*\.msgpack"),
)
_TEXTS = (  # By how the text begins, after white space.
    _Kind(
        HTML,
        r"(?i)(<\?xml[^<>]*>\s*)?(<!--.*?-->\s*)*"
        r"<(!doctype html|(html|head|body|title|meta|div|p|h[1-6]|article|section|main)\b[^<>]*>)",
        "If this is the page of an error or a login, download the file itself again.",
    ),
    _Kind(XML, r"<(\?xml|mediawiki)\b"),
    _Kind(WIKI_EXTRACTOR, r"<doc\s[^>]*>"),
    _Kind(JSON, r'\{\s*["}]|\[\s*[{"]'),
)
_ZIPS = (_ZIP, _DAMAGED_ZIP, *(kind.name for kind in _IN_ZIP))
_REMEDIES = {kind.name: kind.remedy for kind in (*_SIGNATURES, *_IN_ZIP, *_TEXTS)}


# What readers need: in words, the kinds that they accept, advice on kinds without a remedy.
_WANTED = {
    "text": ("text is needed (UTF-8, plain or gzipped)", _ANY_TEXT, "Give a file with the text."),
    "vocabulary": (
        "a vocabulary is needed (UTF-8 text, one token on each line)",
        (TEXT, OTHER_TEXT, EMPTY, _GZIP),
        "Give the model's vocab.txt, which usually lies beside it; for the models of other "
        "libraries, convert_checkpoint.py --to=google writes it.",
    ),
    "SentencePiece model": (
        "a SentencePiece model is needed",
        (SENTENCEPIECE, BINARY, OTHER_TEXT),
        "Give the file that was trained, such as 30k-clean.model.",
    ),
    "table": (
        "a table is needed (TSV, CSV or JSON lines in UTF-8, plain or gzipped)",
        (TEXT, JSON, OTHER_TEXT, EMPTY, _GZIP),
        _AS_TABLE,
    ),
    "JSON": ("JSON is needed", (JSON, TEXT, OTHER_TEXT, EMPTY, _GZIP), "Give the JSON file."),
    "records": (
        "TFRecords are needed",
        (RECORDS, BINARY, EMPTY, _GZIP),
        "create_pretraining_data.py makes them from text.",
    ),
    "tensors": (
        "weights are needed (safetensors or PyTorch)",
        (SAFETENSORS, _TORCH, _PICKLE, "a tar archive", BINARY, _DAMAGED_ZIP, FOLDER),
        _MODEL_FOLDER,
    ),
    "zip": ("a zip archive is needed", (*_ZIPS, BINARY, EMPTY), _MODEL_FOLDER),
    "HDF5": ("HDF5 weights are needed", (HDF5, BINARY), _MODEL_FOLDER),
    "checkpoint": (
        "part of a TensorFlow checkpoint is needed",
        (_CHECKPOINT, BINARY, EMPTY),
        _MODEL_FOLDER,
    ),
}


def refuse_other_kinds(path: str, wanted: str, head: bytes | None = None) -> None:
    """Raises a ValueError that says what a file is, if a reader wants another kind (of `_WANTED`).

    `head`: the file's first `HEAD_BYTES` bytes or more, if they have been read already.
    """
    what, accepted, advice = _WANTED[wanted]
    kind = kind_of(path, head)
    if kind not in accepted:
        raise ValueError(f"{path}: {kind}, where {what}. {remedy_for(path, kind) or advice}")


def kind_of(path: str, head: bytes | None = None) -> str:
    """Returns what a file or folder is, in words: "plain text", "a zip archive", "a folder".

    Gzipped text and records are what they are unpacked, and damaged gzip is "gzip data".
    """
    if head is None:
        if paths.is_directory(path):
            return FOLDER
        with paths.open_file(path) as file:
            head = file.read(HEAD_BYTES)
    kind = _kind_of_bytes(head[:HEAD_BYTES])
    if kind == _GZIP:
        with contextlib.suppress(zlib.error):
            kind = _kind_of_bytes(zlib.decompressobj(31).decompress(head, HEAD_BYTES))
            return kind if kind in (*_ANY_TEXT[:-1], RECORDS, BINARY) else kind + _GZIPPED
    if kind == _ZIP:
        return _kind_of_zip(path)
    if kind in (BINARY, OTHER_TEXT, RECORDS):
        return _first_match(_NAMED, [str(path).rpartition("/")[2]]) or kind
    return kind


def vocabulary_name(path: str) -> str:
    """Returns the name under which a model's folder has a copy of this vocabulary."""
    names = {".model": "spiece.model", ".json": "tokenizer.json"}
    return next((name for end, name in names.items() if path.endswith(end)), "vocab.txt")


def vocabulary_copies(path: str) -> dict[str, str]:
    """Returns the files of a vocabulary and the names of their copies in a model's folder.

    Those of byte-level BPE may be two, which keep their names.
    """
    merges = paths.join_path(paths.split_path(path)[0], "merges.txt")
    if path.endswith(".json") and paths.exists(merges):
        return {path: "vocab.json", merges: "merges.txt"}
    return {path: vocabulary_name(path)}


def copy_vocabulary(path: str, folder: str) -> None:
    """Copies the files of a vocabulary to a model's folder, unless they lie there."""
    for source, name in vocabulary_copies(path).items():
        copy = paths.join_path(folder, name)
        if paths.resolve_path(copy) != paths.resolve_path(source):
            with paths.atomic_write(copy) as file:
                file.write(paths.read_bytes(source))


def remedy_for(path: str, kind: str) -> str:
    """Returns what to do with a file of a kind that is not read, or "" if that depends."""
    name = shlex.quote(paths.split_path(path)[1])
    if kind.endswith(_GZIPPED) and "tar" not in kind:
        kind = _GZIP
    return _REMEDIES.get(kind.removesuffix(_GZIPPED), "").format(name=name)


def _kind_of_bytes(head: bytes) -> str:
    if not head:
        return EMPTY
    if kind := _first_match(_SIGNATURES, [head]):
        return kind
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return BINARY if b"\0" in head else OTHER_TEXT
    if head.count(b"\0") > 8 + len(head) // 8:  # The tokenizer drops a few.
        return BINARY
    return _first_match(_TEXTS, [text.removeprefix("\ufeff").lstrip()]) or TEXT


def _kind_of_zip(path: str) -> str:
    try:
        with paths.open_file(path) as file, zipfile.ZipFile(file) as archive:
            return _first_match(_IN_ZIP, archive.namelist()) or _ZIP
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError):
        return _DAMAGED_ZIP


def _first_match(kinds: Iterable[_Kind], texts: Sequence[bytes] | Sequence[str]) -> str:
    matching = (each.name for each in kinds if any(re.match(each.pattern, x, re.S) for x in texts))
    return next(matching, "")
