"""What a corpus and the records made from it look like, and what in it would ruin the training."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from bert_tf.pretraining_data.documents import Documents, TextLines
from bert_tf.pretraining_data.examples import Instance
from bert_tf.pretraining_data.masking import is_ordinary
from bert_tf.settings import PretrainingDataSettings

# English prose has some 25 tokens a sentence, even that of the 19th century.
_TOKENS_OF_A_PARAGRAPH = 60
_HIGH_LONG_SHARE = 0.2
# Google's English vocabularies leave less than one token in a thousand of prose unknown.
_HIGH_UNKNOWN_SHARE = 0.02
# Of Google's cased English vocabulary 29 % of the tokens hold a capital, of the uncased none.
_CASED_SHARE = 0.02
_UNCASED_SHARE = 0.001


@dataclasses.dataclass
class CorpusStatistics:
    """Counts over text and records; those of shards are added up.

    Attributes:
        documents, sentences, tokens: of the text, counted once. Sentences are lines with tokens.
        unknown_tokens: [UNK] among the tokens.
        lines, blank_lines, characters: of the files; see `TextLines`.
        long_sentences: sentences that alone fill a record.
        examples: records.
        example_tokens: tokens of the records without padding, with [CLS] and [SEP].
        padding_tokens: padding of the records.
        random_next: records whose B does not follow A.
        masked_tokens: tokens of the records that are to be predicted.
        empty_files, unclosed_files: see `TextLines`.
        single_document_shards: shards that hold one document only.
    """

    documents: int = 0
    sentences: int = 0
    tokens: int = 0
    unknown_tokens: int = 0
    lines: int = 0
    blank_lines: int = 0
    characters: int = 0
    long_sentences: int = 0
    examples: int = 0
    example_tokens: int = 0
    padding_tokens: int = 0
    random_next: int = 0
    masked_tokens: int = 0
    empty_files: int = 0
    unclosed_files: int = 0
    single_document_shards: int = 0

    def count_lines(self, lines: TextLines) -> None:
        """Counts files that were read to their end."""
        self.lines += lines.num_lines
        self.blank_lines += lines.num_blank_lines
        self.characters += lines.num_characters
        self.empty_files += lines.num_empty_files
        self.unclosed_files += lines.num_unclosed_files

    def count_documents(self, documents: Documents, unknown: Any, max_seq_length: int) -> None:
        """Counts a corpus, or a shard of it; `unknown` is what stands for [UNK] in it."""
        lengths = np.diff(np.frombuffer(documents.sentence_starts, np.int64))
        self.documents += len(documents)
        self.sentences += len(lengths)
        self.tokens += len(documents.tokens)
        self.unknown_tokens += documents.tokens.count(unknown)
        self.long_sentences += int((lengths >= max_seq_length - 3).sum())
        self.single_document_shards += len(documents) == 1

    def count_instance(self, instance: Instance, max_seq_length: int) -> None:
        """Counts a record."""
        num_tokens = len(instance.tokens)
        self.examples += 1
        self.example_tokens += num_tokens
        self.padding_tokens += max_seq_length - num_tokens
        self.random_next += instance.is_random_next
        self.masked_tokens += len(instance.positions)

    def add(self, other: "CorpusStatistics") -> None:
        """Adds the counts of another shard."""
        for field in dataclasses.fields(self):
            total = getattr(self, field.name) + getattr(other, field.name)
            setattr(self, field.name, total)

    def lines_of_report(self, next_sentence: bool = True) -> list[str]:
        """Returns the counts for people, a line each; `next_sentence`: whether there are labels."""
        mean_length = _ratio(self.example_tokens, self.examples)
        padding = _ratio(self.padding_tokens, self.example_tokens + self.padding_tokens)
        rows = {
            "documents": f"{self.documents:,}",
            "sentences": f"{self.sentences:,}, "
            f"{_ratio(self.sentences, self.documents):,.1f} a document",
            "tokens": f"{self.tokens:,}, {_ratio(self.tokens, self.sentences):.1f} a sentence",
            "[UNK]": f"{_ratio(self.unknown_tokens, self.tokens):.3%} of the tokens",
            "examples": f"{self.examples:,}",
            "mean length": f"{mean_length:.1f} tokens",
            "padding": f"{padding:.1%} of the records",
            "random next": f"{_ratio(self.random_next, self.examples):.1%} of the examples",
            "masks": f"{_ratio(self.masked_tokens, self.examples):.2f} an example"
            if self.masked_tokens
            else "drawn in training",
        }
        if not next_sentence:
            del rows["random next"]
        return [f"{name:<12} {value}" for name, value in rows.items()]


def find_problems(
    statistics: CorpusStatistics, settings: PretrainingDataSettings, vocab: Mapping[str, int]
) -> list[str]:
    """Warnings for what ruins a corpus, each with what to do; most corpora have none."""
    problems = _file_problems(statistics)
    if settings.next_sentence:
        problems = _next_sentence_problems(statistics, settings) + problems
        problems += _sentence_problems(statistics, settings)
    unknown_share = _ratio(statistics.unknown_tokens, statistics.tokens)
    if unknown_share > _HIGH_UNKNOWN_SHARE:
        problems.append(
            f"{unknown_share:.1%} of the tokens are [UNK]: the vocabulary does not fit the text. "
            f"Learn one from it with learn_vocab.py, or check do_lower_case."
        )
    case_problem = _case_problem(settings.do_lower_case, vocab)
    return [*problems, case_problem] if case_problem else problems


def _next_sentence_problems(
    statistics: CorpusStatistics, settings: PretrainingDataSettings
) -> list[str]:
    problems = []
    if settings.mend_quirks:
        consequence = "so that there are no random next sentences and all labels are 0"
    else:
        consequence = (
            "so that random next sentences are taken from it too, and their label is wrong"
        )
    if statistics.documents == 1:
        problems.append(
            f"There is one document only, {consequence}. Put a blank line between documents."
        )
    elif statistics.single_document_shards:
        problems.append(
            f"{statistics.single_document_shards} of {settings.num_shards} shards hold one "
            f"document only, {consequence} there. Make fewer shards: there are "
            f"{statistics.documents} documents."
        )
    return problems


def _file_problems(statistics: CorpusStatistics) -> list[str]:
    problems = []
    if statistics.lines and not statistics.blank_lines:
        problems.append(
            "The text has no blank line. One is needed between documents: the end of a file does "
            "not end a document."
        )
    elif statistics.unclosed_files:
        problems.append(
            f"Input files that do not end with a blank line, so that their last document goes on "
            f"in the next file: {statistics.unclosed_files}."
        )
    if statistics.empty_files:
        problems.append(f"Input files that hold no text: {statistics.empty_files}.")
    return problems


def _sentence_problems(
    statistics: CorpusStatistics, settings: PretrainingDataSettings
) -> list[str]:
    mean_length = _ratio(statistics.tokens, statistics.sentences)
    long_share = _ratio(statistics.long_sentences, statistics.sentences)
    if mean_length > _TOKENS_OF_A_PARAGRAPH or (
        long_share > _HIGH_LONG_SHARE and settings.max_seq_length >= _TOKENS_OF_A_PARAGRAPH
    ):
        return [
            f"A line has {mean_length:.0f} tokens on average, and {long_share:.0%} of the lines "
            f"fill an example alone, with a next sentence from elsewhere: these look like "
            f"paragraphs. Put one sentence on each line."
        ]
    if statistics.sentences == statistics.documents > 1:
        return [
            "Every document has one sentence only, so that no sentence has a next one: all pairs "
            "are random. Put one sentence on each line, and blank lines between documents only."
        ]
    return []


def _case_problem(do_lower_case: bool, vocab: Mapping[str, int]) -> str | None:
    """A warning if the vocabulary was made from text of the other kind."""
    words = [token for token in vocab if is_ordinary(token)]
    num_cased = sum(word != word.lower() for word in words)
    num_lower = sum(word != word.upper() for word in words)
    if do_lower_case and num_cased > _CASED_SHARE * len(words):
        return (
            f"do_lower_case is on, but {num_cased:,} of {len(words):,} tokens of the vocabulary "
            f"hold capitals, and will never occur. Is it a cased one? Then give "
            f"--do_lower_case=False."
        )
    if not do_lower_case and num_lower and num_cased <= _UNCASED_SHARE * len(words):
        return (
            "do_lower_case is off, but no token of the vocabulary holds capitals: words that do "
            "become [UNK]. Is it an uncased one? Then give --do_lower_case=True."
        )
    return None


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
