"""Tokenizes as ALBERT: normalized text -> SentencePiece's pieces -> ids.

    tokenizer = SentencePieceTokenizer("30k-clean.model", do_lower_case=True)
    tokenizer.tokenize("In 2,019, café!")    # ["▁in", "▁2", ",", "01", "9", ",", "▁cafe", "!"]

A piece begins a word if it begins with "▁" (U+2581). Text is divided by the `sentencepiece` library
if it is installed, or else by the same code in tensorflow-text, which takes ten times as long.

Source: google-research/albert, tokenization.py.
"""

import functools
import importlib.util
from collections.abc import Callable, Iterable
from typing import NamedTuple

from bert_tf import files
from bert_tf.text.piece_text import align, normalize
from bert_tf.text.sentencepiece_model import read_pieces
from bert_tf.text.tokenization import convert_to_unicode
from bert_tf.text.tokenizer import SpecialIds, Tokenizer

WORD_START = "\u2581"


class Piece(NamedTuple):
    """Holds a piece and the span of its source, in characters of what was divided."""

    text: str
    start: int
    end: int


class SentencePieceTokenizer(Tokenizer):
    """Converts text to the ids of SentencePiece's pieces, and back.

    Call it with texts to get a model's inputs, see `bert_tf.text.tokenizer.Tokenizer`.

    Args:
        model_file: path of a SentencePiece model (`30k-clean.model`, `spm.model`, `spiece.model`);
            another file raises a ValueError.
        do_lower_case: must match the model.

    Example:

        tokenizer = bert_tf.SentencePieceTokenizer("30k-clean.model")
        ids = tokenizer.encode("A text.")
    """

    vocabulary_name = "spiece.model"

    def __init__(self, model_file: str, do_lower_case: bool = True):
        self.model = files.read_bytes(model_file)
        self.do_lower_case = do_lower_case
        pieces = read_pieces(model_file, self.model)
        self.vocab = {piece: index for index, piece in enumerate(pieces)}
        self.special_ids = _special_ids(model_file, self.vocab)

    def __repr__(self) -> str:
        case = "lower-cased" if self.do_lower_case else "cased"
        return f"<SentencePieceTokenizer: {self.vocab_size:,} pieces, {case}>"

    @functools.cached_property
    def _library(self) -> Callable[[str], list[Piece]]:
        return _divider(self.model)

    def normalize(self, text: str | bytes) -> str:
        """Returns text as it is divided: the original's `preprocess_text`."""
        return normalize(convert_to_unicode(text), self.do_lower_case)

    def divide(self, text: str) -> list[Piece]:
        """Returns the pieces of a text that is not normalized any more, and their spans in it.

        A piece that ends with a digit and a comma is divided again, without the comma.

        Source: google-research/albert, tokenization.py, `encode_pieces`.
        """
        pieces: list[Piece] = []
        for piece in self._library(text):
            if len(piece.text) > 1 and piece.text[-1] == "," and piece.text[-2].isdigit():
                pieces += self._without_comma(piece)
            else:
                pieces.append(piece)
        return pieces

    def _without_comma(self, piece: Piece) -> list[Piece]:
        number = piece.text[:-1].replace(WORD_START, "")
        parts = self._library(number)
        # Unless normalization changed its length, a number's characters are those of the text.
        rest = piece.end - piece.start - len(number) - 1  # A space, or nothing.
        first, fits = piece.start + rest, rest in (0, 1)
        spans = [(first + p.start, first + p.end) if fits else piece[1:] for p in parts]
        divided = [Piece(p.text, *span) for p, span in zip(parts, spans, strict=True)]
        return [*divided, Piece(",", piece.end - 1 if fits else piece.start, piece.end)]

    def tokenize(self, text: str | bytes) -> list[str]:
        """Returns the pieces of `text`; unknown characters stand for themselves."""
        return [piece.text for piece in self.divide(self.normalize(text))]

    def tokenize_with_offsets(self, text: str | bytes) -> tuple[list[str], list[tuple[int, int]]]:
        """Returns the pieces of `text`, and for each the (start, end) of its source in `text`.

        Offsets count characters of the (decoded) text, and leave out white space; the span of a
        piece that is only "▁" is empty. Stripped marks belong to the character before them.
        """
        characters = align(convert_to_unicode(text), self.do_lower_case)
        pieces = self.divide("".join(character.char for character in characters))
        offsets = []
        for _, start, end in pieces:
            while start < end and characters[start].char == " ":
                start += 1
            at_end = start == len(characters)
            place = characters[-1].end if at_end else characters[start].start
            offsets.append((place, characters[end - 1].end if start < end else place))
        return [piece.text for piece in pieces], offsets

    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]:
        """Returns the id of every piece, that of `<unk>` for one that the model does not have."""
        unk = self.special_ids.unk
        return [self.vocab.get(token, unk) for token in tokens]

    def continues_word(self, token: str) -> bool:
        """Returns whether a piece continues the word of the piece before it: it has no "▁"."""
        return not token.startswith(WORD_START)

    def split_words(self, text: str | bytes) -> list[str]:
        """Returns the normalized words of `text`, between white space."""
        return self.normalize(text).split()

    def join_tokens(self, tokens: Iterable[str]) -> str:
        """Returns the text of pieces, with the pieces of a word joined."""
        text = "".join(f" {t} " if t in _SPECIAL_NAMES else t for t in tokens)
        return " ".join(text.replace(WORD_START, " ").split())

    def vocabulary_content(self) -> bytes:
        """Returns the content of the SentencePiece model's file."""
        return self.model

    def in_graph(self):
        """Returns a `GraphSentencePieceTokenizer` of the same model."""
        from bert_tf.text.graph_sentencepiece import GraphSentencePieceTokenizer

        return GraphSentencePieceTokenizer(self.model, self.do_lower_case)


# In the order of SpecialIds.
_SPECIAL_NAMES = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")


def _special_ids(model_file: str, vocab: dict[str, int]) -> SpecialIds:
    missing = [name for name in _SPECIAL_NAMES if name not in vocab]
    if missing:
        raise ValueError(
            f"{model_file}: the SentencePiece model has no piece {', '.join(missing)}. An ALBERT's "
            f"has {' '.join(_SPECIAL_NAMES)}: train it with --pad_id=0 --unk_id=1 "
            "--control_symbols=[CLS],[SEP],[MASK]."
        )
    return SpecialIds(*(vocab[name] for name in _SPECIAL_NAMES))


def _divider(model: bytes) -> Callable[[str], list[Piece]]:
    """Returns the function that divides a text, of `sentencepiece` or of tensorflow-text."""
    if importlib.util.find_spec("sentencepiece"):
        import sentencepiece

        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        if hasattr(processor, "EncodeAsOffsetMapping"):  # From version 0.2.3 on.

            def divide(text: str) -> list[Piece]:
                found = processor.EncodeAsOffsetMapping(text)
                spans = zip(found["pieces"], found["offsets"], strict=True)
                return [Piece(piece, *span) for piece, span in spans]

            return divide
    return _of_tensorflow(model)


def _of_tensorflow(model: bytes) -> Callable[[str], list[Piece]]:
    import tensorflow as tf
    import tensorflow_text

    with tf.device("CPU:0"):
        tokenizer = tensorflow_text.SentencepieceTokenizer(model, out_type=tf.string)

    def divide(text: str) -> list[Piece]:
        data = text.encode("utf-8")
        with tf.init_scope(), tf.device("CPU:0"):
            pieces, *spans = (
                part.numpy().tolist() for part in tokenizer.tokenize_with_offsets(data)
            )
        if len(data) > len(text):  # Offsets are in bytes.
            places = [0] * (len(data) + 1)
            byte = 0
            for place, char in enumerate(text):
                byte += len(char.encode("utf-8"))
                places[byte] = place + 1
            spans = [[places[byte] for byte in part] for part in spans]
        return [Piece(p.decode("utf-8"), *span) for p, *span in zip(pieces, *spans, strict=True)]

    return divide
