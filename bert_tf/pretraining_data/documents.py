"""Text -> documents of sentences of tokens, kept flat, so that a token takes a pointer.

    tokens            the cat sat . | it slept . | dogs bark .
    sentence_starts   0               4            7             10
    documents         [(0, 2), (2, 3)]      sentences 0 and 1; sentence 2

A sentence is a line of the text, and a blank line ends a document. As in the original, the end of
a file does not end a document, lines that hold no token are passed over, and so are documents
without sentences.
"""

import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from bert_tf.files.paths import open_text_lines


class TextLines:
    """Goes through the lines of text files, which follow each other as if they were one file.

    White space at both ends of a line is cut off; a blank line is "".

    Args:
        paths: text files, plain or gzipped.
        on_read: see `bert_tf.files.paths.open_text_lines`.

    Attributes:
        num_lines, num_blank_lines: seen so far.
        num_characters: in the lines, without the white space at their ends.
        num_empty_files: files that hold no text.
        num_unclosed_files: files whose last document goes on in the next file that holds text.

    Raises:
        ValueError: from the iteration, if a file is not UTF-8 or damaged, with the line.
    """

    def __init__(self, paths: Iterable[str], on_read: Callable[[int], None] | None = None) -> None:
        self._paths = list(paths)
        self._on_read = on_read
        self.num_lines = 0
        self.num_blank_lines = 0
        self.num_characters = 0
        self.num_empty_files = 0
        self.num_unclosed_files = 0

    def __iter__(self) -> Iterator[str]:
        is_in_document = False
        for path in self._paths:
            was_in_document, is_empty = is_in_document, True
            for line in open_text_lines(path, self._on_read):
                line = line.strip()
                self.num_lines += 1
                self.num_characters += len(line)
                if not line:
                    self.num_blank_lines += 1
                elif is_empty:
                    is_empty = False
                    self.num_unclosed_files += was_in_document and is_in_document
                is_in_document = bool(line)
                yield line
            self.num_empty_files += is_empty


class Documents:
    """The tokens of a corpus.

    Attributes:
        tokens: those of all sentences, one after the other, as what `read` was told to make of the
            text: ids, or what stands for them.
        sentence_starts: where in `tokens` each sentence starts, and last where the last one ends.
        documents: (first sentence, past the last sentence) of each document.
    """

    def __init__(self) -> None:
        self.tokens: list[Any] = []
        self.sentence_starts = array.array("q", [0])
        self.documents: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self.documents)

    def read(self, lines: Iterable[str], encode: Callable[[str], list[Any]]) -> None:
        """Adds the documents of `lines`, as of `TextLines`; `encode` turns a line into tokens."""
        add_tokens, add_start = self.tokens.extend, self.sentence_starts.append
        first_sentence = len(self.sentence_starts) - 1
        for line in lines:
            if line:
                tokens = encode(line)
                if tokens:
                    add_tokens(tokens)
                    add_start(len(self.tokens))
            else:
                first_sentence = self._end_document(first_sentence)
        self._end_document(first_sentence)

    def _end_document(self, first_sentence: int) -> int:
        """Makes a document of the sentences since the last one; gives where the next starts."""
        past_last = len(self.sentence_starts) - 1
        if past_last > first_sentence:
            self.documents.append((first_sentence, past_last))
        return past_last
