"""Tokenizes exactly as the original: text -> words -> word pieces -> ids.

    tokenizer = FullTokenizer("vocab.txt", do_lower_case=True)
    tokenizer.tokenize("Unaffable, café!")    # ["un", "##aff", "##able", ",", "cafe", "!"]
    tokenizer.encode("Unaffable, café!")      # their ids; the fast way to get them

Pure Python, fast because the pieces of each chunk (the text between two spaces) are cached.

Source: google-research/bert, tokenization.py.
"""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

from bert_tf.text.characters import CLEAN, DROP_MARKS, SPLIT_PUNCTUATION, decompose
from bert_tf.text.offsets import CHUNK, align_words
from bert_tf.text.tokenizer import SpecialIds, Tokenizer
from bert_tf.text.vocabulary import (  # noqa: F401 - the original has all of them here.
    SPECIAL_TOKENS,
    convert_by_vocab,
    convert_ids_to_tokens,
    convert_tokens_to_ids,
    load_vocab,
    validate_case_matches_checkpoint,
)

# Longer chunks are rare, and would leave the cache's memory unbounded.
_MAX_CACHED_CHARACTERS = 64
# About 50 MB when full. (69 MB of novels have 300,000 chunks, 17 MB have 130,000.)
_MAX_CACHED_CHUNKS = 200_000


def convert_to_unicode(text: str | bytes) -> str:
    """Returns `text` as a string, without bytes that are not UTF-8."""
    if isinstance(text, str):
        return text
    if isinstance(text, bytes):
        return text.decode("utf-8", "ignore")
    raise ValueError(
        f"Text must be one str or bytes. Received: {type(text).__name__}. Call the tokenizer "
        "itself with several texts; bert_tf.TextPreprocessor takes tensors."
    )


def whitespace_tokenize(text: str) -> list[str]:
    """Returns the words of `text` between white space."""
    return text.split()


class BasicTokenizer:
    """Splits text into words and punctuation marks, optionally lower-cased and without accents.

    Args:
        strip_accents: whether text is decomposed (NFD) and its non-spacing marks are dropped; by
            default the same as `do_lower_case`, as in the original.

    Example:

        bert_tf.BasicTokenizer().tokenize("Café, please!")  # ["cafe", ",", "please", "!"]
    """

    characters = CLEAN  # What `clean` makes of each.

    def __init__(self, do_lower_case: bool = True, strip_accents: bool | None = None):
        self.do_lower_case = do_lower_case
        self.strip_accents = do_lower_case if strip_accents is None else strip_accents

    def tokenize(self, text: str | bytes) -> list[str]:
        """Returns the words of `text`, without white space."""
        return self.normalize(self.clean(text)).split()

    def clean(self, text: str | bytes) -> str:
        """Drops control characters, turns white space into spaces, separates ideographs."""
        text = convert_to_unicode(text)
        is_clean = text.isascii() and text.isprintable()  # Most lines are.
        return text if is_clean else text.translate(self.characters)

    def normalize(self, text: str) -> str:
        """Lower-cases clean text, strips its accents, and puts spaces around punctuation.

        The result between two spaces does not depend on the text beyond them.
        """
        if self.do_lower_case:
            text = text.lower()
        if not self.strip_accents:
            return text.translate(SPLIT_PUNCTUATION)
        return decompose(text).translate(DROP_MARKS)


class WordpieceTokenizer:
    """Splits words into the longest pieces of a vocabulary, from left to right.

    Args:
        vocab: the pieces (its keys); those that continue a word begin with "##".
        unk_token: replaces a word that cannot be split into pieces.
        max_input_chars_per_word: a longer word becomes `unk_token`.

    Example:

        vocab = {"un": 0, "##aff": 1, "##able": 2, "[UNK]": 3}
        bert_tf.WordpieceTokenizer(vocab).tokenize("unaffable")  # ["un", "##aff", "##able"]
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        unk_token: str = "[UNK]",
        max_input_chars_per_word: int = 200,
    ):
        self.vocab = vocab
        self.unk_token = unk_token
        self.max_input_chars_per_word = max_input_chars_per_word
        self._max_piece_length = max(map(len, vocab), default=0)

    def tokenize(self, text: str | bytes) -> list[str]:
        """Returns the pieces of words between white space."""
        words = whitespace_tokenize(convert_to_unicode(text))
        return [piece for word in words for piece in self.split_word(word)]

    def split_word(self, word: str) -> list[str]:
        """Returns the pieces of one word, or [unk_token]."""
        if len(word) > self.max_input_chars_per_word:
            return [self.unk_token]
        pieces: list[str] = []
        start = 0
        while start < len(word):
            piece = self._longest_piece(word, start)
            if not piece:
                return [self.unk_token]
            pieces.append(piece)
            start += len(piece) - (2 if start else 0)
        return pieces

    def _longest_piece(self, word: str, start: int) -> str:
        """Returns the longest piece of `word` at `start`, or ""."""
        rest = "##" + word[start:] if start else word
        shortest = 3 if start else 1
        for length in range(min(len(rest), self._max_piece_length), shortest - 1, -1):
            if rest[:length] in self.vocab:
                return rest[:length]
        return ""


class FullTokenizer(Tokenizer):
    """Converts text to the ids of its word pieces, and back.

    Call it with texts to get a model's inputs, see `bert_tf.text.tokenizer.Tokenizer`.

    Args:
        vocab_file: path of a vocabulary, one token per line; an invalid one raises a ValueError.
        do_lower_case, strip_accents: see `BasicTokenizer`; must match the vocabulary.

    Example:

        tokenizer = bert_tf.FullTokenizer("vocab.txt", do_lower_case=True)
        tokens = tokenizer.tokenize("Unaffable!")
        ids = tokenizer.convert_tokens_to_ids(["[CLS]", *tokens, "[SEP]"])
        inputs = tokenizer(["A question?"], ["An answer."], max_length=128)  # int32 arrays [1, L]
        texts = tokenizer.decode(inputs["input_ids"])  # ["[CLS] a question ? [SEP] an ..."]
    """

    basic_class = BasicTokenizer

    def __init__(
        self, vocab_file: str, do_lower_case: bool = True, strip_accents: bool | None = None
    ):
        self.vocab = load_vocab(vocab_file)
        self.do_lower_case = do_lower_case
        self.special_ids = SpecialIds(*(self.vocab[token] for token in SPECIAL_TOKENS))
        self.basic_tokenizer = self.basic_class(do_lower_case, strip_accents)
        self.wordpiece_tokenizer = WordpieceTokenizer(self.vocab)
        self._words = _Cache(self.wordpiece_tokenizer.split_word)  # Of "word," and "Word" alike.
        self._pieces = _Cache(self._pieces_of)
        self._ids = _Cache(self._ids_of)
        self._aligned_pieces = _Cache(self._aligned_pieces_of)

    @classmethod
    def from_preset(cls, preset: str) -> "FullTokenizer":
        """Returns the tokenizer of a model, see `bert_tf.BertEncoder.from_preset`.

        Raises a ValueError if there is no such preset, or it has no vocabulary.
        """
        # Looked up when called: finding models comes after tokenizing, and imports TensorFlow.
        presets = importlib.import_module("bert_tf.released.presets")
        return presets.load_tokenizer_preset(preset)

    def __repr__(self) -> str:
        case = "lower-cased" if self.do_lower_case else "cased"
        return f"<FullTokenizer: WordPiece, {self.vocab_size:,} tokens, {case}>"

    def tokenize(self, text: str | bytes) -> list[str]:
        """Returns the word pieces of `text`."""
        chunks = self.basic_tokenizer.clean(text).split()
        return list(chain.from_iterable(map(self._pieces.__getitem__, chunks)))

    def encode(self, text: str | bytes) -> list[int]:
        """Returns the ids of the word pieces of `text`."""
        chunks = self.basic_tokenizer.clean(text).split()
        return list(chain.from_iterable(map(self._ids.__getitem__, chunks)))

    def tokenize_with_offsets(self, text: str | bytes) -> tuple[list[str], list[tuple[int, int]]]:
        """Returns the word pieces of `text`, and for each the (start, end) of its source in `text`.

        Offsets count characters of the (decoded) text:

          * a stripped accent belongs to its base character, whether both were one character ("é")
            or two ("e\\u0301"); at the start of a word it belongs to none;
          * a control character inside a piece is part of its span, elsewhere of none;
          * pieces that divide one character ("한" is decomposed, "İ" lower-cased) each have the
            span of the whole character;
          * marks that Unicode's canonical order moves past each other share one span;
          * [UNK] has the span of its word.

        Starts and ends never decrease, no span is empty, and only pieces of one character or of
        such marks overlap.

            tokenize_with_offsets("Une re\\u0301sume\\u0301!")
            # ["une", "resume", "!"], [(0, 3), (4, 12), (12, 13)]
        """
        tokens: list[str] = []
        offsets: list[tuple[int, int]] = []
        for chunk in CHUNK.finditer(convert_to_unicode(text)):
            first = chunk.start()
            for piece, start, end in self._aligned_pieces[chunk.group()]:
                tokens.append(piece)
                offsets.append((first + start, first + end))
        return tokens, offsets

    def continues_word(self, token: str) -> bool:
        """Returns whether a piece continues the word of the piece before it, as `##ing` does."""
        return token.startswith("##")

    def split_words(self, text: str | bytes) -> list[str]:
        """Returns the normalized words and punctuation marks of `text`."""
        return self.basic_tokenizer.tokenize(text)

    def join_tokens(self, tokens: Iterable[str]) -> str:
        """Returns the text of word pieces, with the pieces of a word joined."""
        return " ".join(tokens).replace(" ##", "").replace("##", "")

    def _pieces_of(self, chunk: str) -> tuple[str, ...]:
        words = self.basic_tokenizer.normalize(chunk).split()
        return tuple(chain.from_iterable(map(self._words.__getitem__, words)))

    def _ids_of(self, chunk: str) -> tuple[int, ...]:
        return tuple(map(self.vocab.__getitem__, self._pieces_of(chunk)))

    def _aligned_pieces_of(self, chunk: str) -> tuple[tuple[str, int, int], ...]:
        basic = self.basic_tokenizer
        aligned = []
        for word in align_words(chunk, basic.do_lower_case, basic.strip_accents, basic.clean):
            pieces = self.wordpiece_tokenizer.split_word("".join(char.char for char in word))
            first = 0
            for index, piece in enumerate(pieces):
                is_last = index == len(pieces) - 1
                last = len(word) if is_last else first + len(piece) - (2 if index else 0)
                aligned.append((piece, word[first].start, word[last - 1].end))
                first = last
        return tuple(aligned)


class _Cache(dict):
    """Caches the results of `compute` for chunks of text or words."""

    def __init__(self, compute: Callable[[str], Sequence]):
        super().__init__()
        self._compute = compute

    def __missing__(self, chunk: str) -> Sequence:
        value = self._compute(chunk)
        if len(chunk) <= _MAX_CACHED_CHARACTERS:
            if len(self) >= _MAX_CACHED_CHUNKS:
                self.clear()  # Simpler than eviction; frequent chunks soon return.
            self[chunk] = value
        return value

    def __reduce__(self):
        """Pickles an empty cache, so that copies in other processes start empty."""
        return _Cache, (self._compute,)
