"""Counts the tokenizer's words in text files, in bounded memory.

Chunks between spaces are counted first, which is fast, and each is split into words once.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from bert_tf.files import open_text_lines
from bert_tf.text.tokenization import BasicTokenizer

# Bounds of the memory; a chunk or word takes about 150 bytes.
_MAX_CHUNKS = 500_000
_MAX_WORDS = 2_000_000
_LONGEST_CHUNK = 200  # Characters; longer words are unknown to WordpieceTokenizer.


def count_words(
    paths: Iterable[str], do_lower_case: bool, on_read: Callable[[int], None] = lambda size: None
) -> Counter[str]:
    """Counts the words of UTF-8 text files, `.gz` too, as `BasicTokenizer` makes them.

    Drops words of more than 200 characters and, beyond two million different words, the rarest so
    far. `on_read` is called with the number of bytes just read.
    """
    basic = BasicTokenizer(do_lower_case)
    words: Counter[str] = Counter()
    chunks: Counter[str] = Counter()
    for path in paths:
        for line in open_text_lines(path, on_read):
            line_chunks = basic.clean(line).split()
            chunks.update(line_chunks)
            if len(line) > _LONGEST_CHUNK:  # It may have chunks that are too long to be kept.
                too_long = {chunk for chunk in line_chunks if len(chunk) > _LONGEST_CHUNK}
                _add_words(words, {chunk: chunks.pop(chunk) for chunk in too_long}, basic)
            if len(chunks) > _MAX_CHUNKS:
                _add_words(words, chunks, basic)
                chunks.clear()
                _drop_rare_words(words)
    _add_words(words, chunks, basic)
    return words


def _add_words(words: Counter[str], chunks: Mapping[str, int], basic: BasicTokenizer) -> None:
    for chunk, count in chunks.items():
        for word in basic.normalize(chunk).split():
            if len(word) <= _LONGEST_CHUNK:
                words[word] += count


def _drop_rare_words(words: Counter[str]) -> None:
    """Drops the rarest words until half of the limit is left, if there are too many."""
    rare = 0
    while len(words) > _MAX_WORDS // (2 if rare else 1):
        rare += 1
        for word in [word for word, count in words.items() if count <= rare]:
            del words[word]
