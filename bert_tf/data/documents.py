"""Text -> documents of sentences of ids, kept flat so that a corpus takes two bytes a token.

    tokens            the cat sat . | it slept . | dogs bark .
    sentence_starts   0               4            7             10
    documents         [(0, 2), (2, 3)]      sentences 0 and 1; sentence 2

A sentence is a line of the text, and a blank line ends a document. As in the original, the end of
a file does not end a document, lines that hold no token are passed over, and so are documents
without sentences.
"""

import array
from collections.abc import Callable, Iterable

from bert_tf.files import open_text_lines


class Documents:
    """The ids of a corpus.

    Args:
        vocab_size: ids are below it.

    Attributes:
        tokens: the ids of all sentences, one after the other: an array of whole numbers.
        sentence_starts: where in `tokens` each sentence starts, and last where the last one ends.
        documents: (first sentence, past the last sentence) of each document.
        num_lines: lines read, with those that hold nothing.
        num_blank_lines: lines that hold nothing but white space.
    """

    def __init__(self, vocab_size: int) -> None:
        self.tokens = array.array(smallest_typecode(vocab_size))
        self.sentence_starts = array.array("q", [0])
        self.documents: list[tuple[int, int]] = []
        self.num_lines = 0
        self.num_blank_lines = 0

    def __len__(self) -> int:
        return len(self.documents)

    def read(
        self,
        paths: Iterable[str],
        encode: Callable[[str], list[int]],
        on_read: Callable[[int], None] | None = None,
    ) -> None:
        """Adds the documents of text files, which follow each other as if they were one file.

        Args:
            paths: text files, plain or gzipped.
            encode: from the text of a line to ids.
            on_read: see `bert_tf.files.open_text_lines`.

        Raises:
            ValueError: if a file is not UTF-8 or damaged, with the line.
        """
        add_tokens, add_start = self.tokens.fromlist, self.sentence_starts.append
        first_sentence = len(self.sentence_starts) - 1
        for path in paths:
            for line in open_text_lines(path, on_read):
                self.num_lines += 1
                line = line.strip()
                if line:
                    ids = encode(line)
                    if ids:
                        add_tokens(ids)
                        add_start(len(self.tokens))
                else:
                    self.num_blank_lines += 1
                    first_sentence = self._end_document(first_sentence)
        self._end_document(first_sentence)

    def _end_document(self, first_sentence: int) -> int:
        """Makes a document of the sentences since the last one; gives where the next starts."""
        past_last = len(self.sentence_starts) - 1
        if past_last > first_sentence:
            self.documents.append((first_sentence, past_last))
        return past_last


def smallest_typecode(limit: int) -> str:
    """The code of the smallest `array.array` that holds whole numbers below `limit`."""
    return "H" if limit <= 2**16 else "I"
