"""Runs ALBERT's tokenizer in a TensorFlow graph, for serving from text and for tf.data.

    texts ──> code points ──tables──> normalized text ──SentencePiece──> pieces ──> ids
                   \\________ the source of each character ________________/

Ids and offsets equal those of `SentencePieceTokenizer` for any text. It works eagerly, in a
`tf.function`, in `tf.data`, and in a SavedModel without this package.
"""

import functools

import numpy as np
import tensorflow as tf

from bert_tf.text.graph_characters import (
    BLANK,
    CODE_POINT,
    KEPT,
    NUM_CODE_POINTS,
    CharacterTables,
    PagedTable,
    code_points_with_properties,
    find_cases,
    make_tables,
    paged,
)
from bert_tf.text.graph_words import kept_characters, look_up, with_final_sigmas
from bert_tf.text.piece_text import decomposed

_WHERE_STRINGS_ARE = "CPU:0"  # On an accelerator, numbers would be copied back and forth.
_TEXTS = tf.TensorSpec([None], tf.string)
_SPACE = ord(" ")


class GraphSentencePieceTokenizer(tf.Module):
    """Tokenizes batches of texts, string [N], as `SentencePieceTokenizer` tokenizes each of them.

    Args:
        model: the content of a SentencePiece model's file.
        do_lower_case: see `SentencePieceTokenizer`.
    """

    def __init__(self, model: bytes, do_lower_case: bool = True):
        import tensorflow_text  # Here, as models are made without it, and it takes 120 MB.

        super().__init__(name="graph_tokenizer")
        self._do_lower_case = do_lower_case
        with tf.init_scope():
            self._pieces = tensorflow_text.SentencepieceTokenizer(model, out_type=tf.string)

    @tf.function(input_signature=[_TEXTS])
    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids of the pieces of each text: int32 [N, (T)]."""
        with tf.device(_WHERE_STRINGS_ARE):
            characters, _, _ = self._normalized(texts)
            return self._ids(self._divided(characters)[0])

    @tf.function(input_signature=[_TEXTS])
    def tokenize_with_offsets(
        self, texts: tf.Tensor
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """Returns ids, and for each piece the start and the end of its source: int32 [N, (T)].

        Offsets count characters of `valid_text(texts)`; see
        `SentencePieceTokenizer.tokenize_with_offsets`.
        """
        with tf.device(_WHERE_STRINGS_ARE):
            characters, first, past = self._normalized(texts)
            pieces, starts, ends = self._divided(characters)
            rows = pieces.value_rowids()
            spans = _sources(characters, first, past, starts.values, ends.values, rows)
            return self._ids(pieces), *map(pieces.with_values, spans)

    @tf.function(input_signature=[_TEXTS])
    def valid_text(self, texts: tf.Tensor) -> tf.Tensor:
        """Returns the texts without the bytes that are not UTF-8: string [N]."""
        return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="ignore")

    def _ids(self, pieces: tf.RaggedTensor) -> tf.RaggedTensor:
        return pieces.with_values(self._pieces.string_to_id(pieces.values))

    def _normalized(self, texts: tf.Tensor) -> tuple[tf.RaggedTensor, tf.Tensor, tf.Tensor]:
        """Returns the code points of normalized texts, int32 [N, (K)], and the spans of all."""
        tables = _tables()
        # The blank keeps texts apart; a character that is cut off at the end stays invalid.
        decoded = tf.strings.unicode_decode(tf.strings.join([texts, " "]), "UTF-8", errors="ignore")
        points, splits = decoded.values, tf.cast(decoded.row_splits, tf.int32)
        entries = look_up(tables.entries, points)
        is_blank = tf.bitwise.bitwise_and(entries, BLANK) != 0
        entries = tf.where(_parts_words(is_blank, splits), KEPT, entries)
        points = tf.where(is_blank, _SPACE, points)
        kept, sources = kept_characters(points, entries, tables)
        kept = tf.bitwise.bitwise_and(kept, CODE_POINT)
        row_splits = tf.searchsorted(sources, splits, out_type=tf.int64)
        rows = tf.RaggedTensor.from_row_splits(kept, row_splits, validate=False)
        if self._do_lower_case:
            rows = _lower_cased(rows, tables)
        first = tf.gather(splits, rows.value_rowids())
        return rows, sources - first, _ends(sources, is_blank) - first

    def _divided(
        self, characters: tf.RaggedTensor
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """Returns pieces [N, (T)] and their spans in bytes; numbers are apart from their comma."""
        divide = self._pieces.tokenize_with_offsets
        pieces, starts, ends = divide(
            tf.strings.unicode_encode(characters, "UTF-8", errors="ignore")
        )
        starts, ends = tf.cast(starts, tf.int32), tf.cast(ends, tf.int32)
        is_number = tf.strings.regex_full_match(pieces.values, f"(?s).*{_digits()},")
        numbers, others = tf.where(is_number)[:, 0], tf.where(~is_number)[:, 0]
        order = tf.math.invert_permutation(tf.concat([others, numbers], 0))

        def merged(whole: tf.RaggedTensor, divided: tf.RaggedTensor) -> tf.RaggedTensor:
            kept = tf.gather(whole.values, others)[:, tf.newaxis]
            kept = tf.RaggedTensor.from_tensor(kept, row_splits_dtype=divided.row_splits.dtype)
            groups = tf.gather(tf.concat([kept, divided], 0), order)
            splits = tf.gather(groups.row_splits, whole.row_splits)
            return tf.RaggedTensor.from_row_splits(groups.values, splits, validate=False)

        def without_commas() -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
            words = tf.gather(pieces.values, numbers)
            words = tf.strings.regex_replace(words, ",$|\u2581", "")
            parts, begins, stops = divide(words)
            begins, stops = tf.cast(begins, tf.int32), tf.cast(stops, tf.int32)
            start, end = (tf.gather(x.values, numbers)[:, tf.newaxis] for x in (starts, ends))
            size = tf.strings.length(words)[:, tf.newaxis]
            # Unless normalization changed its length, a number's bytes are those of the text.
            rest = end - start - size - 1
            fits = tf.cast((rest == 0) | (rest == 1), tf.int32)
            begins = begins * fits + start + rest * fits
            stops = (stops + start + rest) * fits + end * (1 - fits)
            comma = (end - 1) * fits + start * (1 - fits)
            lasts = (tf.fill(tf.shape(start), ","), comma, end)
            divided = zip((parts, begins, stops), lasts, strict=True)
            divided = [tf.concat([values, last], 1) for values, last in divided]
            return tuple(map(merged, (pieces, starts, ends), divided))

        return tf.cond(tf.reduce_any(is_number), without_commas, lambda: (pieces, starts, ends))


def _parts_words(is_blank: tf.Tensor, splits: tf.Tensor) -> tf.Tensor:
    """Returns which code points are the last white space between two words of a text."""
    size = tf.size(is_blank)
    num_words = tf.cumsum(tf.cast(~is_blank, tf.int32))
    row = tf.searchsorted(splits, tf.range(size), side="right") - 1
    before = tf.gather(tf.concat([[0], num_words], 0), tf.gather(splits, row))
    # The last of each text is the blank that was added.
    follows = tf.concat([~is_blank[1:], [False]], 0)
    is_last = tf.range(size) + 1 == tf.gather(splits, row + 1)
    return is_blank & follows & ~is_last & (num_words > before)


def _ends(sources: tf.Tensor, is_blank: tf.Tensor) -> tf.Tensor:
    """Returns the ends of sources: they go on to the next that is kept, or to white space."""
    size = [tf.size(is_blank)]
    blanks = tf.concat([tf.cast(tf.where(is_blank)[:, 0], tf.int32), size], 0)
    next_blank = tf.gather(blanks, tf.searchsorted(blanks, sources, side="right"))
    next_kept = tf.searchsorted(sources, sources, side="right")
    next_kept = tf.gather(tf.concat([sources, size], 0), next_kept)
    is_space = tf.gather(is_blank, sources)
    return tf.where(is_space, sources + 1, tf.minimum(next_kept, next_blank))


def _lower_cased(characters: tf.RaggedTensor, tables: CharacterTables) -> tf.RaggedTensor:
    blanks = tf.fill([characters.nrows(), 1], _SPACE)
    apart = tf.concat([characters, blanks], 1)
    apart = apart.with_values(with_final_sigmas(apart.values, tables.cases))
    values = apart[:, :-1].values
    return characters.with_values(tf.bitwise.bitwise_xor(values, look_up(_lower_case(), values)))


def _sources(
    characters: tf.RaggedTensor,
    first: tf.Tensor,
    past: tf.Tensor,
    starts: tf.Tensor,
    ends: tf.Tensor,
    rows: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns spans in the characters of the texts, of spans in bytes of the normalized ones."""
    points = characters.values
    sizes = 1 + sum(tf.cast(points >= least, tf.int32) for least in (0x80, 0x800, 0x10000))
    places = tf.concat([[0], tf.cumsum(sizes)], 0)  # In bytes, all texts in one row.
    splits = tf.cast(characters.row_splits, tf.int32)
    of_text = tf.gather(places, tf.gather(splits, rows))
    start, end = (tf.searchsorted(places, of_text + place) for place in (starts, ends))
    words = tf.concat([tf.cast(tf.where(points != _SPACE)[:, 0], tf.int32), splits[-1:]], 0)
    start = tf.minimum(tf.gather(words, tf.searchsorted(words, start)), end)
    is_inside = start < tf.gather(splits, rows + 1)
    last = tf.maximum(tf.size(points) - 1, 0)
    place = tf.gather(first, tf.minimum(start, last))
    at_end = tf.gather(past, tf.maximum(start - 1, 0))
    place = tf.where(is_inside, place, at_end)
    stop = tf.gather(past, tf.clip_by_value(end - 1, 0, last))
    return place, tf.where(start < end, stop, place)


@functools.cache
def _tables() -> CharacterTables:
    """Returns the tables of `piece_text.normalize`, without lower-casing. Takes a second."""

    def entry_of(char: str) -> tuple[int, list[int]]:
        parts = [*map(ord, decomposed(char))]
        return (BLANK, []) if char.isspace() else (KEPT if parts else 0, parts)

    entries = np.full(NUM_CODE_POINTS, KEPT, np.int32)
    return make_tables(entries, entry_of, find_cases(lambda char: False))


@functools.cache
def _lower_case() -> PagedTable:
    """Returns code point -> what its lower case differs by.

    Only "İ" becomes several characters, and it is decomposed before.
    """
    values = np.zeros(NUM_CODE_POINTS, np.int32)
    for code_point in code_points_with_properties():
        lower = chr(code_point).lower()
        if len(lower) == 1:
            values[code_point] = ord(lower) ^ code_point
    return paged(values)


@functools.cache
def _digits() -> str:
    """Returns a regular expression of the characters for which `str.isdigit` holds."""
    characters = map(chr, code_points_with_properties())
    return f"[{''.join(char for char in characters if char.isdigit())}]"
