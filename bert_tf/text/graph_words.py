"""Splits texts into words in a TensorFlow graph, with the source span of each character.

    texts       ["Re\\u0301sume\\u0301!"]
    code points  R e ́ s u m e ́ ! ␣           all texts in one row; a space ends each
    entries      K K X K K K K X K B           of graph_characters.py
    characters   r e s u m e !                 of words
    starts       0 1 3 4 5 6 8                 the span of the source of each
    ends         1 3 4 5 6 8 9
    words        resume  !

All characters are processed at once; rare cases (capital sigmas, Hangul, marks that Unicode
reorders) only if they occur. The results are those of `BasicTokenizer`, the spans those of
`FullTokenizer.tokenize_with_offsets`.
"""

from typing import NamedTuple

import tensorflow as tf

from bert_tf.text import graph_characters as chars


class GraphWords(NamedTuple):
    """Holds the W words of N texts, with K characters.

    Spans count from the start of the first text, plus a character for each earlier text.
    """

    words: tf.Tensor  # string [W]
    lengths: tf.Tensor  # int32 [W], in characters.
    text_splits: tf.Tensor  # int64 [N + 1]: the words of text i are those from text_splits[i] on.
    starts: tf.Tensor  # int32 [K], of the span of each character.
    ends: tf.Tensor  # int32 [K]
    text_starts: tf.Tensor  # int32 [N]


def split_words(texts: tf.Tensor, tables: chars.CharacterTables, do_lower_case: bool) -> GraphWords:
    """Returns the normalized words of texts in UTF-8, string [N]; drops invalid bytes.

    `tables` are made by `character_tables` with the same `do_lower_case`.
    """
    # The blank keeps texts apart; a character that is cut off at the end stays invalid.
    decoded = tf.strings.unicode_decode(tf.strings.join([texts, " "]), "UTF-8", errors="ignore")
    code_points, text_splits = decoded.values, tf.cast(decoded.row_splits, tf.int32)
    if do_lower_case:
        code_points = with_final_sigmas(code_points, tables.cases)
    entries = look_up(tables.entries, code_points)
    # The kept characters, as in a record, and the indices of their code points.
    packed, sources = kept_characters(code_points, entries, tables)
    starts, ends = sources, _ends(entries, sources)
    if tables.has_marks_to_strip:
        order = _canonical_order(entries, packed, sources)
        packed, sources, ends = (tf.gather(x, order) for x in (packed, sources, ends))
        starts, ends = _shared_spans(entries, packed, sources, ends)
    num_blanks = tf.gather(_count(_has(entries, chars.BLANK)), sources)
    is_alone = _has(packed, chars.ALONE)
    follows_blank = num_blanks != _before(-1, num_blanks)
    word_starts = _indices(is_alone | _before(False, is_alone) | follows_blank)
    code_points = tf.bitwise.bitwise_and(packed, chars.CODE_POINT)
    words = tf.RaggedTensor.from_row_starts(code_points, word_starts, validate=False)
    return GraphWords(
        # TensorFlow before 2.20 takes noncharacters, such as U+FFFE, for errors.
        tf.strings.unicode_encode(words, "UTF-8", errors="ignore"),
        tf.cast(words.row_lengths(), tf.int32),
        tf.searchsorted(tf.gather(sources, word_starts), text_splits, out_type=tf.int64),
        starts,
        ends,
        text_splits[:-1],
    )


def look_up(table: chars.PagedTable, code_points: tf.Tensor) -> tf.Tensor:
    """Returns the number of each code point."""
    pages = tf.gather(table.pages, tf.bitwise.right_shift(code_points, chars.PAGE_BITS))
    return tf.gather(table.values, pages + tf.bitwise.bitwise_and(code_points, chars.PAGE_SIZE - 1))


def _has(numbers: tf.Tensor, flag: int) -> tf.Tensor:
    return tf.bitwise.bitwise_and(numbers, flag) != 0


def _indices(condition: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.where(condition)[:, 0], tf.int32)


def _count(condition: tf.Tensor) -> tf.Tensor:
    """Counts how often a condition [M] holds up to and including each index: int32 [M]."""
    return tf.cumsum(tf.cast(condition, tf.int32))


def _before(first: int, values: tf.Tensor) -> tf.Tensor:
    """Returns the value before each of `values`, with `first` before the first one."""
    return tf.concat([tf.constant([first], values.dtype), values], 0)[:-1]


def with_final_sigmas(code_points: tf.Tensor, cases: chars.PagedTable) -> tf.Tensor:
    """Makes capital sigmas final, as `str.lower` does, if they end a word.

    That means a cased character before and none after them, apart from ignored ones.
    """
    is_sigma = code_points == chars.CAPITAL_SIGMA

    def replaced() -> tf.Tensor:
        case = look_up(cases, code_points)
        seen = _indices(case != chars.IGNORED)
        is_cased = tf.cast(tf.gather(case, seen) == chars.CASED, tf.int32)
        ends_word = _before(0, is_cased) > tf.concat([is_cased[1:], [0]], 0)
        ends_word = tf.cast(ends_word, tf.int32)
        ends_word = tf.scatter_nd(seen[:, tf.newaxis], ends_word, tf.shape(code_points))
        return tf.where(is_sigma & (ends_word == 1), chars.FINAL_SIGMA, code_points)

    return tf.cond(tf.reduce_any(is_sigma), replaced, lambda: code_points)


def kept_characters(
    code_points: tf.Tensor, entries: tf.Tensor, tables: chars.CharacterTables
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the characters that are kept, as in a record, and the indices of their sources."""
    sources = _indices(_has(entries, chars.KEPT))
    kept = tf.gather(entries, sources)
    packed = tf.bitwise.bitwise_xor(kept, tf.gather(code_points, sources))
    is_many = _has(kept, chars.MANY)

    def divided() -> tuple[tf.Tensor, tf.Tensor]:
        record = tf.where(is_many, tf.bitwise.bitwise_and(packed, chars.CODE_POINT), 0)
        starts = tf.gather(tables.record_starts, record)
        lengths = tf.where(is_many, tf.gather(tables.record_starts, record + 1) - starts, 1)
        index = tf.repeat(tf.range(tf.size(kept)), lengths)
        offset = tf.range(tf.size(index)) - tf.gather(tf.cumsum(lengths, exclusive=True), index)
        is_part = tf.gather(is_many, index)
        place = tf.where(is_part, tf.gather(starts, index) + offset, 0)
        values = tf.gather(tables.record_values, place)
        return tf.where(is_part, values, tf.gather(packed, index)), tf.gather(sources, index)

    return tf.cond(tf.reduce_any(is_many), divided, lambda: (packed, sources))


def _ends(entries: tf.Tensor, sources: tf.Tensor) -> tf.Tensor:
    """Returns the end of each character's source, stripped marks included: int32 [K]."""
    is_mark = _has(entries, chars.EXTENDS)

    def with_marks() -> tf.Tensor:
        # A mark belongs to the last character or blank before it, also if one source has several.
        is_base = _has(entries, chars.KEPT | chars.BLANK)
        number = _count(is_base)
        marks = _indices(is_mark)
        bases = tf.gather(number - tf.cast(is_base, tf.int32), marks) - 1
        marked_ends = tf.math.unsorted_segment_max(marks + 1, bases, tf.reduce_sum(number[-1:]))
        is_last = sources != tf.concat([sources[1:], [-1]], 0)
        marked = tf.gather(marked_ends, tf.gather(number, sources) - 1)
        return tf.where(is_last, tf.maximum(marked, sources + 1), sources + 1)

    return tf.cond(tf.reduce_any(is_mark), with_marks, lambda: sources + 1)


def _order(packed: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.right_shift(packed, chars.ORDER_SHIFT)


def _canonical_order(entries: tf.Tensor, packed: tf.Tensor, sources: tf.Tensor) -> tf.Tensor:
    """Returns indices that sort each run of combining characters: int32 [K]."""
    order = _order(packed)

    def is_sorted() -> tf.Tensor:
        run = tf.gather(_count(_has(entries, chars.STARTER)), sources)
        return tf.argsort(run * (1 << (31 - chars.ORDER_SHIFT)) + order, stable=True)

    return tf.cond(tf.reduce_any(order > 0), is_sorted, lambda: tf.range(tf.size(order)))


def _shared_spans(
    entries: tf.Tensor, packed: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns starts and ends, where marks of a reordered run share one span."""
    moves = _order(packed) > 0

    def shared() -> tuple[tf.Tensor, tf.Tensor]:
        number = _count(_has(entries, chars.STARTER))
        run, num_runs = tf.gather(number, starts), tf.reduce_max(number) + 1
        crosses = moves & _before(False, moves) & (run == _before(-1, run))
        crosses &= starts < _before(-1, starts)
        is_crossed = tf.math.unsorted_segment_max(tf.cast(crosses, tf.int32), run, num_runs) == 1
        first = tf.where(moves, starts, starts.dtype.max)
        first = tf.gather(tf.math.unsorted_segment_min(first, run, num_runs), run)
        last = tf.where(moves, ends, 0)
        last = tf.gather(tf.math.unsorted_segment_max(last, run, num_runs), run)
        is_shared = moves & tf.gather(is_crossed, run)
        return tf.where(is_shared, first, starts), tf.where(is_shared, last, ends)

    return tf.cond(tf.reduce_any(moves), shared, lambda: (starts, ends))
