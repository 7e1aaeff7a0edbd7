"""Defines the `Tokenizer` protocol, which BERT's `FullTokenizer` (WordPiece) implements.

Another tokenizer, such as SentencePiece, is a subclass, which inherits `__call__` and `decode`, and
a row of `_TOKENIZERS`.
"""

import functools
import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple, Protocol, runtime_checkable

from bert_tf.config import BertConfig, check_vocabulary_size
from bert_tf.text.packing import pack_truncated
from bert_tf.text.vocabulary import check_vocabulary, validate_case_matches_checkpoint


class SpecialIds(NamedTuple):
    """Holds the ids of BERT's [PAD], [UNK], [CLS], [SEP] and [MASK], or what stands for them.

    `sep` may be a `DoubledSeparator`, see `packing`.
    """

    pad: int
    unk: int
    cls: int
    sep: int
    mask: int


@runtime_checkable
class Tokenizer(Protocol):
    """Turns text into token ids and back, without special tokens."""

    vocab: Mapping[str, int]  # In the order of the ids.
    do_lower_case: bool
    special_ids: SpecialIds
    drops_unassigned = False  # Whether unassigned and private characters are dropped.
    vocabulary_name = "vocab.txt"  # Of the vocabulary's file in a model's folder.
    word_prefix = ""  # What stands before a word of which only its own characters are given.

    @functools.cached_property
    def inv_vocab(self) -> dict[int, str]:
        """The token of each id."""
        return {index: token for token, index in self.vocab.items()}

    @property
    def vocab_size(self) -> int:
        """The number of tokens in the vocabulary."""
        return len(self.vocab)

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the object of a library, which another process makes again."""
        return {name: value for name, value in vars(self).items() if name != "_library"}

    def encode(self, text: str | bytes) -> list[int]:
        """Returns the ids of the tokens of `text`."""
        return self.convert_tokens_to_ids(self.tokenize(text))

    def tokenize(self, text: str | bytes) -> list[str]: ...

    def tokenize_with_offsets(self, text: str | bytes) -> tuple[list[str], list[tuple[int, int]]]:
        """Returns the tokens of `text`, and the (start, end) of each in `text`, in characters."""

    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]:
        """Returns the id of every token; KeyError for one that is not in the vocabulary."""
        return [self.vocab[token] for token in tokens]

    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Returns the token of every id; KeyError for one that the vocabulary does not have."""
        return [self.inv_vocab[index] for index in ids]

    def continues_word(self, token: str) -> bool:
        """Returns whether a token continues the word of the token before it, as `##ing` does."""

    def split_words(self, text: str | bytes) -> list[str]:
        """Returns the normalized words and punctuation marks of `text`, before they are divided."""

    def join_tokens(self, tokens: Iterable[str]) -> str:
        """Returns the normalized text of tokens, with the tokens of a word joined again."""

    @property
    def strips_accents(self) -> bool | None:
        """Whether accents are stripped; None if that is not a setting of its own."""
        basic = getattr(self, "basic_tokenizer", None)
        return basic.strip_accents if basic else None

    def vocabulary_content(self) -> bytes:
        """Returns the content of the vocabulary's file."""
        return ("\n".join(self.vocab) + "\n").encode("utf-8")

    def in_graph(self) -> Any:
        """Returns the same tokenizer for TensorFlow graphs, see `graph_tokenization`."""
        from bert_tf.text.graph_tokenization import GraphTokenizer

        rules = self.do_lower_case, self.strips_accents, self.drops_unassigned
        return GraphTokenizer(list(self.vocab), *rules)

    def __call__(
        self,
        texts: str | Sequence[str],
        pairs: str | Sequence[str] | None = None,
        max_length: int | None = None,
        padding: bool | str = True,
    ) -> dict[str, Any]:
        """Returns a model's inputs for texts or pairs of texts, as the original packs them.

            encoder(tokenizer(["A text.", "Another one"], max_length=128))

        Args:
            texts, pairs: a text or several; `pairs` holds the second text of each.
            max_length: in tokens; longer rows are truncated, of a pair the longer text first.
            padding: True pads to the longest row, "max_length" to `max_length`, False not at all.

        Returns: `input_ids`, `input_mask` and `segment_ids`, int32 arrays [N, L], or [L] for one
        text that is not in a list; without padding, lists.

        Raises a ValueError if an argument is none of these.
        """
        import numpy as np  # Slow, and not needed to tokenize.

        texts = plain(texts)
        firsts = _listed(texts)
        seconds = [""] * len(firsts) if pairs is None else _listed(pairs)
        if len(firsts) != len(seconds):
            raise ValueError(f"Each text needs a pair. Received: {len(firsts)} and {len(seconds)}")
        if max_length is not None and (not isinstance(max_length, Integral) or max_length < 3):
            raise ValueError(f"max_length must be 3 or more. Received: {max_length!r}")
        if padding not in (True, False, "max_length") or (
            padding == "max_length" and not max_length
        ):
            raise ValueError(
                f'padding must be True, False, or "max_length" with one. Received: {padding!r}'
            )
        special, limit = self.special_ids, max_length or sys.maxsize
        rows = [
            pack_truncated(self.encode(a), self.encode(b), special.cls, special.sep, limit)
            for a, b in zip(firsts, seconds, strict=True)
        ]
        columns = {
            "input_ids": [ids for ids, _ in rows],
            "input_mask": [[1] * len(ids) for ids, _ in rows],
            "segment_ids": [segments for _, segments in rows],
        }
        if padding:
            longest = max((len(ids) for ids, _ in rows), default=0)
            length = limit if padding == "max_length" else longest
            for name, column in columns.items():
                filled = special.pad if name == "input_ids" else 0
                padded = [row + [filled] * (length - len(row)) for row in column]
                columns[name] = np.array(padded, np.int32).reshape(len(rows), length)
        if isinstance(texts, (str, bytes)):
            return {name: column[0] for name, column in columns.items()}
        return columns

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> Any:
        """Returns the normalized text of token ids, or a list of texts for rows of ids.

        Raises a ValueError for an id that the vocabulary does not have.
        """
        ids = plain(ids)
        if not isinstance(ids, Iterable):
            raise ValueError(f"A list of token ids is needed. Received: {ids!r}")
        ids = list(ids)
        if ids and isinstance(ids[0], (list, tuple)):
            return [self.decode(row, skip_special_tokens) for row in ids]
        left_out = set(self.special_ids) - {self.special_ids.unk} if skip_special_tokens else ()
        try:
            return self.join_tokens(self.convert_ids_to_tokens(i for i in ids if i not in left_out))
        except KeyError as error:
            last = self.vocab_size - 1
            raise ValueError(f"Token ids are from 0 to {last}. Received: {error}") from error


def plain(value: Any) -> Any:
    """Returns the (nested) lists or the value in an array or tensor, and strings for its bytes."""
    is_tensor = hasattr(value, "numpy") and hasattr(value, "dtype")
    if is_tensor and not hasattr(value, "to_list"):  # Ragged ones have it.
        value = value.numpy()
    for method in ("tolist", "to_list"):
        value = getattr(value, method, lambda value=value: value)()
    return _decoded(value) if is_tensor else value


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(part) for part in value]
    return value.decode("utf-8", "ignore") if isinstance(value, bytes) else value


def _listed(texts: Any) -> list[str | bytes]:
    texts = plain(texts)
    texts = [texts] if isinstance(texts, (str, bytes)) else texts
    if not isinstance(texts, (list, tuple)):
        raise ValueError(f"A text or a list of texts is needed. Received: {type(texts).__name__}")
    for number, text in enumerate(texts):
        if not isinstance(text, (str, bytes)):
            raise ValueError(f"Text {number} must be str or bytes. Received: {text!r:.200}")
    return list(texts)


# The end of a vocabulary file's name -> the tokenizer's module and class.
_TOKENIZERS = {
    ".model": ("bert_tf.text.sentencepiece_tokenization", "SentencePieceTokenizer"),
    ".json": ("bert_tf.text.byte_bpe", "ByteBpeTokenizer"),
    "": ("bert_tf.text.tokenization", "FullTokenizer"),
}


def load_tokenizer(
    vocab_file: str,
    do_lower_case: bool = True,
    strip_accents: bool | None = None,
    model_type: str = "bert",
) -> Tokenizer:
    """Returns the tokenizer of a vocabulary file, for a model of this `model_type`.

    It is SentencePiece's for `*.model`, byte-level BPE for `*.json`, WordPiece's for others. For
    the arguments and errors see the tokenizers; only WordPiece has `strip_accents`. ELECTRA's drops
    unassigned characters.
    """
    module, name = next(row for end, row in _TOKENIZERS.items() if vocab_file.endswith(end))
    if name == "FullTokenizer" and model_type == "electra":
        module, name = "bert_tf.text.electra_tokenization", "ElectraTokenizer"
    tokenizer = getattr(importlib.import_module(module), name)
    accents = {} if strip_accents is None else {"strip_accents": strip_accents}
    return tokenizer(vocab_file, do_lower_case, **accents)


def load_tokenizer_of_model(settings: Any, config: BertConfig) -> Tokenizer:
    """Returns the tokenizer for the vocabulary and model that a program's settings name.

    Raises a ValueError if vocabulary, lower-casing, model and checkpoint do not fit each other.
    """
    vocab_file, do_lower_case = settings.vocab_file, settings.do_lower_case
    validate_case_matches_checkpoint(do_lower_case, settings.init_checkpoint)
    tokenizer = load_tokenizer(vocab_file, do_lower_case, model_type=config.model_type)
    vocab = tokenizer.vocab
    check_vocabulary(vocab, vocab_file, do_lower_case)
    check_vocabulary_size(len(vocab), vocab_file, config.vocab_size, settings.bert_config_file)
    return tokenizer
