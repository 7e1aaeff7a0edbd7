"""Texts to words inside a TensorFlow graph, each character of a word with its source.

    texts       ["Re\\u0301sume\\u0301!"]
    code points  R e ́ s u m e ́ ! ␣           all texts in one row; a space ends each
    entries      K K X K K K K X K B           what becomes of each: graph_characters.py
    characters   r e s u m e !                 of words
    starts       0 1 3 4 5 6 8                 the span of the source of each
    ends         1 3 4 5 6 8 9
    words        resume  !

Everything happens to all characters of all texts at once. What is rare (a capital sigma, a Hangul
syllable, marks that Unicode reorders) is looked for, and done only when it is there.

The rules are those of `BasicTokenizer`, and of `FullTokenizer.tokenize_with_offsets` for the spans.
"""

from typing import NamedTuple

import tensorflow as tf

from bert_tf.text.graph_characters import (
    ALONE,
    BLANK,
    CAPITAL_SIGMA,
    CASED,
    CODE_POINT,
    EXTENDS,
    FINAL_SIGMA,
    IGNORED,
    KEPT,
    MANY,
    ORDER_SHIFT,
    PAGE_BITS,
    PAGE_SIZE,
    STARTER,
    CharacterTables,
    PagedTable,
)


class GraphWords(NamedTuple):
    """The words of N texts: W words with K characters.

    words: string [W].
    lengths: int32 [W], in characters.
    text_splits: int64 [N + 1]; the words of text i are those from text_splits[i] on.
    starts, ends: int32 [K], the span that each character comes from, counted from the start of the
        first text, with one character more for each text before.
    text_starts: int32 [N], where each text starts by that count.
    """

    words: tf.Tensor
    lengths: tf.Tensor
    text_splits: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    text_starts: tf.Tensor


class _Characters(NamedTuple):
    """The characters that stay, [K].

    packed: int32, the code point with ALONE and the order, as in a record.
    sources: int32, the place of the code point that each comes from.
    """

    packed: tf.Tensor
    sources: tf.Tensor


def split_words(texts: tf.Tensor, tables: CharacterTables, do_lower_case: bool) -> GraphWords:
    """The normalized words of texts.

    Args:
        texts: string [N], UTF-8; bytes that are not are left out.
        tables: of `character_tables`, for the same `do_lower_case`.
        do_lower_case: whether there are capital sigmas to look for.
    """
    # The blank keeps texts apart; what is cut off in the middle of a character stays invalid.
    decoded = tf.strings.unicode_decode(tf.strings.join([texts, " "]), "UTF-8", errors="ignore")
    code_points, text_splits = decoded.values, tf.cast(decoded.row_splits, tf.int32)
    if do_lower_case:
        code_points = _with_final_sigmas(code_points, tables.cases)
    entries = _look_up(tables.entries, code_points)
    characters = _kept_characters(code_points, entries, tables)
    starts, ends = characters.sources, _ends(entries, characters.sources)
    if tables.has_marks_to_strip:
        order = _canonical_order(entries, characters)
        characters = _Characters(*(tf.gather(x, order) for x in characters))
        starts, ends = _shared_spans(entries, characters, tf.gather(ends, order))
    word_starts = _word_starts(entries, characters)
    words = tf.RaggedTensor.from_row_starts(
        tf.bitwise.bitwise_and(characters.packed, CODE_POINT), word_starts, validate=False
    )
    return GraphWords(
        tf.strings.unicode_encode(words, "UTF-8"),
        tf.cast(words.row_lengths(), tf.int32),
        tf.searchsorted(tf.gather(characters.sources, word_starts), text_splits, out_type=tf.int64),
        starts,
        ends,
        text_splits[:-1],
    )


def _look_up(table: PagedTable, code_points: tf.Tensor) -> tf.Tensor:
    pages = tf.gather(table.pages, tf.bitwise.right_shift(code_points, PAGE_BITS))
    return tf.gather(table.values, pages + tf.bitwise.bitwise_and(code_points, PAGE_SIZE - 1))


def _has(numbers: tf.Tensor, flag: int) -> tf.Tensor:
    return tf.bitwise.bitwise_and(numbers, flag) != 0


def _places(condition: tf.Tensor) -> tf.Tensor:
    """Where a condition [M] holds: int32."""
    return tf.cast(tf.where(condition)[:, 0], tf.int32)


def _count(condition: tf.Tensor) -> tf.Tensor:
    """How often a condition [M] holds up to each place, that place included: int32 [M]."""
    return tf.cumsum(tf.cast(condition, tf.int32))


def _after(first: int, values: tf.Tensor) -> tf.Tensor:
    """What comes before each of `values`; before the first one `first`."""
    return tf.concat([tf.constant([first], values.dtype), values], 0)[:-1]


def _with_final_sigmas(code_points: tf.Tensor, cases: PagedTable) -> tf.Tensor:
    """Capital sigmas that end a word become final ones, as `str.lower` does it.

    Such a one has a cased character before it and none behind it, on both sides looking past what
    is ignored.
    """
    is_sigma = code_points == CAPITAL_SIGMA

    def replaced() -> tf.Tensor:
        case = _look_up(cases, code_points)
        seen = _places(case != IGNORED)
        is_cased = tf.cast(tf.gather(case, seen) == CASED, tf.int32)
        before, behind = _after(0, is_cased), tf.concat([is_cased[1:], [0]], 0)
        ends_word = tf.scatter_nd(
            seen[:, tf.newaxis], tf.cast(before > behind, tf.int32), tf.shape(code_points)
        )
        return tf.where(is_sigma & (ends_word == 1), FINAL_SIGMA, code_points)

    return tf.cond(tf.reduce_any(is_sigma), replaced, lambda: code_points)


def _kept_characters(
    code_points: tf.Tensor, entries: tf.Tensor, tables: CharacterTables
) -> _Characters:
    """The characters that stay, in the order of the text."""
    sources = _places(_has(entries, KEPT))
    kept = tf.gather(entries, sources)
    packed = tf.bitwise.bitwise_xor(kept, tf.gather(code_points, sources))
    is_many = _has(kept, MANY)

    def divided() -> tuple[tf.Tensor, tf.Tensor]:
        record = tf.where(is_many, tf.bitwise.bitwise_and(packed, CODE_POINT), 0)
        starts = tf.gather(tables.record_starts, record)
        ends = tf.gather(tables.record_starts, record + 1)
        lengths = tf.where(is_many, ends - starts, 1)
        index = tf.repeat(tf.range(tf.size(kept)), lengths)
        place = tf.range(tf.size(index)) - tf.gather(tf.cumsum(lengths, exclusive=True), index)
        values = tf.gather(
            tables.record_values,
            tf.where(tf.gather(is_many, index), tf.gather(starts, index) + place, 0),
        )
        return (
            tf.where(tf.gather(is_many, index), values, tf.gather(packed, index)),
            tf.gather(sources, index),
        )

    packed, sources = tf.cond(tf.reduce_any(is_many), divided, lambda: (packed, sources))
    return _Characters(packed, sources)


def _ends(entries: tf.Tensor, sources: tf.Tensor) -> tf.Tensor:
    """Where the source of each character ends, with the stripped marks on it: int32 [K]."""
    is_mark = _has(entries, EXTENDS)

    def with_marks() -> tf.Tensor:
        # A mark is on the last character, or blank, before it; of several from one source on the
        # last of them.
        is_base = _has(entries, KEPT | BLANK)
        number = _count(is_base)
        marks = _places(is_mark)
        bases = tf.gather(number - tf.cast(is_base, tf.int32), marks) - 1
        marked_ends = tf.math.unsorted_segment_max(marks + 1, bases, tf.reduce_sum(number[-1:]))
        is_last = sources != tf.concat([sources[1:], [-1]], 0)
        marked = tf.gather(marked_ends, tf.gather(number, sources) - 1)
        return tf.where(is_last, tf.maximum(marked, sources + 1), sources + 1)

    return tf.cond(tf.reduce_any(is_mark), with_marks, lambda: sources + 1)


def _order(packed: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.right_shift(packed, ORDER_SHIFT)


def _canonical_order(entries: tf.Tensor, characters: _Characters) -> tf.Tensor:
    """The places of the characters after each run of combining ones has been sorted: int32 [K]."""
    order = _order(characters.packed)
    places = tf.range(tf.size(order))

    def is_sorted() -> tf.Tensor:
        run = tf.gather(_count(_has(entries, STARTER)), characters.sources)
        return tf.argsort(run * (1 << (31 - ORDER_SHIFT)) + order, stable=True)

    return tf.cond(tf.reduce_any(order > 0), is_sorted, lambda: places)


def _shared_spans(
    entries: tf.Tensor, characters: _Characters, ends: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Starts and ends: marks of a run that were moved past each other have the span of them all."""
    starts = characters.sources
    moves = _order(characters.packed) > 0

    def shared() -> tuple[tf.Tensor, tf.Tensor]:
        number = _count(_has(entries, STARTER))
        run, num_runs = tf.gather(number, starts), tf.reduce_max(number) + 1
        crosses = moves & _after(False, moves) & (run == _after(-1, run))
        crosses &= starts < _after(-1, starts)
        is_crossed = tf.math.unsorted_segment_max(tf.cast(crosses, tf.int32), run, num_runs) == 1
        first = tf.math.unsorted_segment_min(
            tf.where(moves, starts, starts.dtype.max), run, num_runs
        )
        last = tf.math.unsorted_segment_max(tf.where(moves, ends, 0), run, num_runs)
        is_shared = moves & tf.gather(is_crossed, run)
        return (
            tf.where(is_shared, tf.gather(first, run), starts),
            tf.where(is_shared, tf.gather(last, run), ends),
        )

    return tf.cond(tf.reduce_any(moves), shared, lambda: (starts, ends))


def _word_starts(entries: tf.Tensor, characters: _Characters) -> tf.Tensor:
    """Which characters start a word: int32 [W]."""
    num_blanks = tf.gather(_count(_has(entries, BLANK)), characters.sources)
    is_alone = _has(characters.packed, ALONE)
    return _places(is_alone | _after(False, is_alone) | (num_blanks != _after(-1, num_blanks)))
