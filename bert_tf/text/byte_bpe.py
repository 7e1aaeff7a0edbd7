"""Tokenizes as RoBERTa and GPT-2: text -> words with the space before them -> merged bytes -> ids.

    tokenizer = ByteBpeTokenizer("vocab.json")     # With merges.txt beside it.
    tokenizer.tokenize("A café.")    # ["A", "Ġca", "f", "Ã©", "."]

Each byte is shown as a character, a space as "Ġ": a token that begins with it begins a word. Every
text has tokens, case and white space included. It needs `pip install tokenizers`.

Source: openai/gpt-2, encoder.py; Liu et al. 2019, RoBERTa, section 4.4.
"""

import functools
import json
from collections.abc import Iterable, Mapping, Sequence

from bert_tf import files
from bert_tf.config import check_form, read_json
from bert_tf.text.packing import DoubledSeparator
from bert_tf.text.tokenization import convert_to_unicode
from bert_tf.text.tokenizer import SpecialIds, Tokenizer

MERGES_NAME = "merges.txt"
WORD_START = "Ġ"
# In the order of SpecialIds.
_SPECIAL_NAMES = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")


class ByteBpeTokenizer(Tokenizer):
    """Converts text to the ids of merged bytes, and back.

    Call it with texts to get a model's inputs, see `bert_tf.text.tokenizer.Tokenizer`.

    Args:
        vocab_file: path of a `vocab.json`, with a `merges.txt` beside it, or of a `tokenizer.json`
            that holds both; other files raise a ValueError.
        do_lower_case: must be False: case is part of the vocabulary.

    Example:

        tokenizer = bert_tf.ByteBpeTokenizer("vocab.json")
        ids = tokenizer.encode("A text.")
    """

    vocabulary_name = "tokenizer.json"
    word_prefix = " "

    def __init__(self, vocab_file: str, do_lower_case: bool = False):
        if do_lower_case:
            raise ValueError(
                f"{vocab_file}: text is not lower-cased before byte-level BPE. Give "
                "do_lower_case=False (--do_lower_case=false)."
            )
        self.do_lower_case = False
        self.vocab_file = vocab_file
        ids, self.merges = _read(vocab_file)
        self.vocab = dict(sorted(ids.items(), key=lambda item: item[1]))
        self.special_ids = _special_ids(vocab_file, self.vocab)

    def __repr__(self) -> str:
        return f"<ByteBpeTokenizer: {self.vocab_size:,} tokens, cased>"

    @functools.cached_property
    def _library(self):
        tokenizers = files.optional_module("tokenizers", "Byte-level BPE, RoBERTa's tokenizer,")
        try:
            library = tokenizers.Tokenizer(tokenizers.models.BPE(dict(self.vocab), self.merges))
        except Exception as error:  # The library raises nothing narrower.
            raise ValueError(f"{self.vocab_file}: {error}") from error
        library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        return library

    @property
    def model(self) -> bytes:
        """The vocabulary and merges as a `tokenizer.json`, which transformers reads, too."""
        return self.vocabulary_content()

    def vocabulary_content(self) -> bytes:
        return tokenizer_json(self.vocab, self.merges)

    def _encoding(self, text: str | bytes):
        text = convert_to_unicode(text)
        # Half of a surrogate pair is no character, and has no bytes.
        valid = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
        return valid, self._library.encode(valid, add_special_tokens=False)

    def tokenize(self, text: str | bytes) -> list[str]:
        """Returns the tokens of `text`."""
        return self._encoding(text)[1].tokens

    def encode(self, text: str | bytes) -> list[int]:
        """Returns the ids of the tokens of `text`."""
        return self._encoding(text)[1].ids

    def tokenize_with_offsets(self, text: str | bytes) -> tuple[list[str], list[tuple[int, int]]]:
        """Returns the tokens of `text`, and for each the (start, end) of its source in `text`.

        Offsets count characters, and leave out white space before a word; the span of a token that
        is only white space is empty. Tokens that divide a character each have its whole span.
        """
        text, encoding = self._encoding(text)
        offsets = []
        for start, end in encoding.offsets:
            while start < end and text[start].isspace():
                start += 1
            offsets.append((start, end))
        return encoding.tokens, offsets

    def continues_word(self, token: str) -> bool:
        """Returns whether a token continues the word before it: it begins with no space."""
        return not token.startswith(WORD_START) and token not in _SPECIAL_NAMES

    def split_words(self, text: str | bytes) -> list[str]:
        """Returns the words of `text`, between white space."""
        return convert_to_unicode(text).split()

    def join_tokens(self, tokens: Iterable[str]) -> str:
        """Returns the text of tokens; see `join_bytes`."""
        return join_bytes(tokens)

    def in_graph(self):
        """Raises a ValueError: TensorFlow has no operation for byte-level BPE."""
        raise ValueError(
            f"{self.vocab_file}: TensorFlow's graphs cannot divide text into bytes that are merged "
            "(byte-level BPE), so there is no SavedModel or layer that takes raw text for this "
            "model. Divide the text before, with ByteBpeTokenizer, and give ids; "
            "export_saved_model.py --only_ids makes a SavedModel of ids."
        )


def tokenizer_json(vocab: Mapping[str, int], merges: Iterable[Sequence[str]]) -> bytes:
    """Returns the content of a `tokenizer.json` with a vocabulary and its merges."""
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    level["use_regex"] = True
    special = {name: vocab[name] for name in _SPECIAL_NAMES}
    flags = {"single_word": False, "rstrip": False, "normalized": False, "special": True}
    ends = {"cls": ["<s>", special["<s>"]], "sep": ["</s>", special["</s>"]]}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": index, "content": name, "lstrip": name == "<mask>", **flags}
            for name, index in sorted(special.items(), key=lambda item: item[1])
        ],
        "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": {
            "type": "RobertaProcessing",
            **ends,
            "trim_offsets": True,
            "add_prefix_space": False,
        },
        "decoder": level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": dict(vocab),
            "merges": [list(merge) for merge in merges],
        },
    }
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


def join_bytes(tokens: Iterable[str]) -> str:
    """Returns the text of byte-level tokens; bytes that are no UTF-8 become U+FFFD."""
    byte_of, text, held = _bytes_of_characters(), "", bytearray()
    for token in tokens:
        if token in _SPECIAL_NAMES:
            text += held.decode("utf-8", "replace") + token
            held.clear()
        else:
            held += bytes(byte_of[char] for char in token)
    return text + held.decode("utf-8", "replace")


@functools.lru_cache(maxsize=1)
def _bytes_of_characters() -> dict[str, int]:
    """Returns the byte that each character of a token stands for.

    Printable characters of Latin-1 stand for themselves, the others for U+0100 and what follows.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    shown = [*map(chr, printable), *(chr(256 + number) for number in range(len(others)))]
    return dict(zip(shown, [*printable, *others], strict=True))


def _read(vocab_file: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Returns the ids of the tokens, and the merges in their order."""
    content = read_json(vocab_file, dict)
    if isinstance(content.get("model"), dict):  # "model" may be a token, too.
        return _of_tokenizer_json(vocab_file, content)
    check_form(vocab_file, content, {str: int})
    _check_ids(vocab_file, content)
    path = files.join_path(files.split_path(vocab_file)[0], MERGES_NAME)
    if not files.exists(path):
        raise ValueError(f"{vocab_file}: there is no {MERGES_NAME} beside it.")
    lines = list(enumerate(files.open_text_lines(path), start=1))
    if lines and lines[0][1].startswith("#version"):
        del lines[0]
    merges = [
        _merge(f"{path}:{number}", line.rstrip("\n"), content) for number, line in lines if line
    ]
    return content, merges


def _of_tokenizer_json(path: str, content: dict) -> tuple[dict[str, int], list[tuple[str, str]]]:
    form = {"model": {"vocab": {str: int}, "merges": list}, "added_tokens": list | None}
    check_form(path, content, form)
    model, added = content["model"], content.get("added_tokens") or []
    check_form(path, added, [{"content": str, "id": int}], "added_tokens")
    ids = {**model["vocab"], **{token["content"]: token["id"] for token in added}}
    _check_ids(path, ids)
    merges = []
    for number, merge in enumerate(model["merges"]):
        line = " ".join(merge) if isinstance(merge, list) else merge
        merges.append(_merge(f"{path}: model.merges[{number}]", line, ids))
    return ids, merges


def _check_ids(path: str, ids: dict[str, int]) -> None:
    if sorted(ids.values()) != list(range(len(ids))):
        raise ValueError(
            f"{path}: the ids of its {len(ids)} tokens must be 0 to {len(ids) - 1}, each once."
        )
    missing = [char for char in _bytes_of_characters() if char not in ids]
    if missing:
        raise ValueError(
            f"{path}: a byte-level vocabulary has a token for each byte. It lacks "
            f"{files.some(missing)}."
        )


def _merge(where: str, line: str, ids: dict[str, int]) -> tuple[str, str]:
    parts = line.split(" ")
    if len(parts) != 2 or not all(part in ids for part in (*parts, "".join(parts))):
        raise ValueError(
            f"{where}: a merge is two tokens with a space between them, and the vocabulary has "
            f"both and their concatenation. Received: {json.dumps(line, ensure_ascii=False):.80}"
        )
    return parts[0], parts[1]


def _special_ids(path: str, vocab: dict[str, int]) -> SpecialIds:
    missing = [name for name in _SPECIAL_NAMES if name not in vocab]
    if missing:
        raise ValueError(
            f"{path}: the vocabulary has no {', '.join(missing)}. A RoBERTa's has "
            f"{' '.join(_SPECIAL_NAMES)}."
        )
    pad, unk, cls, sep, mask = (vocab[name] for name in _SPECIAL_NAMES)
    return SpecialIds(pad, unk, cls, DoubledSeparator(sep), mask)
