"""Counts the text and the records of a corpus."""

import dataclasses

_OF_LINES = (
    *("lines", "blank_lines", "characters", "empty_files", "unclosed_files"),
    *("carriage_returns", "markup_lines", "markup_example"),
)


@dataclasses.dataclass
class CorpusStatistics:
    """Holds counts of text and records; those of shards are summed."""

    documents: int = 0
    sentences: int = 0  # Lines with tokens.
    tokens: int = 0  # Of the text, whatever `dupe_factor` is.
    unknown_tokens: int = 0
    lines: int = 0
    blank_lines: int = 0
    characters: int = 0  # Without white space at the ends of lines.
    long_sentences: int = 0  # Fill a record alone.
    examples: int = 0
    example_tokens: int = 0  # With [CLS] and [SEP], without padding.
    padding_tokens: int = 0
    random_next: int = 0  # Records whose B does not follow A.
    masked_tokens: int = 0
    empty_files: int = 0  # Files without text.
    unclosed_files: int = 0  # Files whose last document continues in the next file with text.
    single_document_shards: int = 0
    carriage_returns: int = 0  # Within lines; they are dropped, as in the original.
    markup_lines: int = 0
    markup_example: str = ""  # The first of them and its place.
    continuing_tokens: int = 0  # Pieces after the first of a word; with whole-word masking only.

    def with_lines_of(self, other: "CorpusStatistics") -> "CorpusStatistics":
        """Returns these counts with the counts of lines, and of files, of another text."""
        return dataclasses.replace(self, **{name: getattr(other, name) for name in _OF_LINES})

    def add(self, other: "CorpusStatistics") -> None:
        """Adds the counts of another shard."""
        for name, value in vars(other).items():
            mine = getattr(self, name)
            setattr(self, name, mine or value if isinstance(value, str) else mine + value)
