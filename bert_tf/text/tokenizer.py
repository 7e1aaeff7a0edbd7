"""Defines the `Tokenizer` protocol, which BERT's `FullTokenizer` (WordPiece) implements.

Another tokenizer, such as SentencePiece, is a class with these members and a line in
`load_tokenizer`.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol, runtime_checkable


class SpecialIds(NamedTuple):
    """Holds the ids of BERT's [PAD], [UNK], [CLS], [SEP] and [MASK]."""

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

    @property
    def vocab_size(self) -> int: ...

    def encode(self, text: str | bytes) -> list[int]: ...

    def tokenize(self, text: str | bytes) -> list[str]: ...

    def tokenize_with_offsets(self, text: str | bytes) -> tuple[list[str], list[tuple[int, int]]]:
        """Returns the tokens of `text`, and the (start, end) of each in `text`, in characters."""

    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]: ...

    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]: ...

    def continues_word(self, token: str) -> bool:
        """Returns whether a token continues the word of the token before it, as `##ing` does."""

    def split_words(self, text: str | bytes) -> list[str]:
        """Returns the normalized words and punctuation marks of `text`, before they are divided."""

    def join_tokens(self, tokens: Iterable[str]) -> str:
        """Returns the normalized text of tokens, with the tokens of a word joined again."""


def load_tokenizer(
    vocab_file: str, do_lower_case: bool = True, strip_accents: bool | None = None
) -> Tokenizer:
    """Returns the tokenizer of a vocabulary file; see `FullTokenizer` for arguments and errors."""
    from bert_tf.text.tokenization import FullTokenizer

    return FullTokenizer(vocab_file, do_lower_case, strip_accents)
