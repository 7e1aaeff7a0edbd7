"""Reports on the records of a corpus, and warns of problems that would harm training."""

import dataclasses
from collections.abc import Iterator, Mapping

from bert_tf.pretraining_data.masking import is_ordinary
from bert_tf.pretraining_data.statistics import CorpusStatistics
from bert_tf.settings import PretrainingDataSettings

# English prose has some 25 tokens a sentence, even that of the 19th century.
_TOKENS_OF_A_PARAGRAPH = 60
_HIGH_LONG_SHARE = 0.2
# Google's English vocabularies leave less than one token in a thousand of prose unknown.
_HIGH_UNKNOWN_SHARE = 0.02
_HIGH_MARKUP_SHARE = 0.01
# Of the tokens of English prose, a tenth or more continue a word.
_FEW_CONTINUING = 0.01
# Of Google's cased English vocabulary 29 % of the tokens hold a capital, of the uncased none.
_CASED_SHARE = 0.02
_UNCASED_SHARE = 0.001


@dataclasses.dataclass(frozen=True)
class PretrainingDataReport:
    """Summarizes the result of `create_pretraining_data`."""

    paths: list[str]  # The record files.
    statistics: CorpusStatistics
    problems: list[str]  # Warnings: see `find_problems`.
    seconds: float
    next_sentence: bool = True
    num_kept: int = 0  # Shards that were already complete.
    examples_kept: int = 0

    def lines(self) -> list[str]:
        """Returns the lines of the report, without the warnings."""
        counts, seconds = self.statistics, max(self.seconds, 1e-9)
        speed = f"{(counts.examples - self.examples_kept) / seconds:,.0f} examples/s"
        kept = f"; {self.num_kept} of them were whole already" if self.num_kept else ""
        if not self.num_kept:
            speed += f", {counts.characters / 1e6 / seconds:.2f} million characters/s"
        last = f" ... {self.paths[-1]}" if len(self.paths) > 1 else ""
        rows = {
            **_rows(counts),
            "time": f"{self.seconds:.1f} s, {speed}",
            "files": f"{len(self.paths)}: {self.paths[0]}{last}{kept}",
        }
        if not self.next_sentence:
            del rows["random next"]
        return [f"{name:<12} {value}" for name, value in rows.items()]


def _rows(counts: CorpusStatistics) -> dict[str, str]:
    padding = _ratio(counts.padding_tokens, counts.example_tokens + counts.padding_tokens)
    masks = f"{_ratio(counts.masked_tokens, counts.examples):.2f} an example"
    sentences = _ratio(counts.sentences, counts.documents)
    return {
        "documents": f"{counts.documents:,}",
        "sentences": f"{counts.sentences:,}, {sentences:,.1f} a document",
        "tokens": f"{counts.tokens:,}, {_ratio(counts.tokens, counts.sentences):.1f} a sentence",
        "[UNK]": f"{_ratio(counts.unknown_tokens, counts.tokens):.3%} of the tokens",
        "examples": f"{counts.examples:,}",
        "mean length": f"{_ratio(counts.example_tokens, counts.examples):.1f} tokens",
        "padding": f"{padding:.1%} of the records",
        "random next": f"{_ratio(counts.random_next, counts.examples):.1%} of the examples",
        "masks": masks if counts.masked_tokens else "drawn in training",
    }


def find_problems(
    counts: CorpusStatistics, settings: PretrainingDataSettings, vocab: Mapping[str, int]
) -> list[str]:
    """Returns warnings of problems that would harm training, each with a remedy."""
    return [
        *_form_problems(counts),
        *_text_problems(counts, settings),
        *_vocabulary_problems(counts, settings, vocab),
    ]


def _text_problems(counts: CorpusStatistics, settings: PretrainingDataSettings) -> Iterator[str]:
    consequence = "so that random next sentences are taken from it too, and their label is wrong"
    if settings.mend_quirks:
        consequence = "so that there are no random next sentences and all labels are 0"
    if settings.next_sentence and counts.documents == 1:
        yield f"There is one document only, {consequence}. Put a blank line between documents."
    elif settings.next_sentence and counts.single_document_shards:
        yield (
            f"{counts.single_document_shards} of {settings.num_shards} shards hold one document "
            f"only, {consequence} there. Make fewer shards: there are {counts.documents} documents."
        )
    if counts.lines and not counts.blank_lines:
        yield (
            "The text has no blank line. One is needed between documents: the end of a file does "
            "not end a document."
        )
    elif counts.unclosed_files:
        yield (
            f"Input files that do not end with a blank line, so that their last document goes on "
            f"in the next file: {counts.unclosed_files}."
        )
    if counts.empty_files:
        yield f"Input files that hold no text: {counts.empty_files}."
    if settings.do_span_mask:
        kept = (counts.example_tokens - 2 * counts.examples) // settings.dupe_factor
        if kept < counts.tokens:
            yield (
                f"{counts.tokens - kept:,} of {counts.tokens:,} tokens are left out, as in the "
                f"original: those of sentences too long for an example, and of the sentences "
                f"before one that ends its document. --mend_quirks splits such sentences."
            )
    if not settings.next_sentence:
        return
    mean_length = _ratio(counts.tokens, counts.sentences)
    long_share = _ratio(counts.long_sentences, counts.sentences)
    fits_a_sentence = settings.max_seq_length >= _TOKENS_OF_A_PARAGRAPH
    many_are_long = fits_a_sentence and long_share > _HIGH_LONG_SHARE
    if mean_length > _TOKENS_OF_A_PARAGRAPH or many_are_long:
        yield (
            f"A line has {mean_length:.0f} tokens on average, and {long_share:.0%} of the lines "
            f"fill an example alone, with a next sentence from elsewhere: these look like "
            f"paragraphs. Put one sentence on each line."
        )
    elif counts.sentences == counts.documents > 1:
        yield (
            "Every document has one sentence only, so that no sentence has a next one: all pairs "
            "are random. Put one sentence on each line, and blank lines between documents only."
        )


def _form_problems(counts: CorpusStatistics) -> Iterator[str]:
    if counts.carriage_returns:
        yield (
            f"{counts.carriage_returns:,} carriage returns within lines are dropped, as in the "
            f"original, which joins the words around them. If they end lines, convert the files "
            f"first: tr '\\r' '\\n' < FILE > NEW_FILE"
        )
    num_lines = counts.lines - counts.blank_lines
    if counts.markup_lines > _HIGH_MARKUP_SHARE * num_lines:
        yield (
            f"{counts.markup_lines:,} of {num_lines:,} lines hold tags, entities, wikitext, "
            f"JSON or base64, such as {counts.markup_example}. prepare_corpus.py makes text of "
            f"HTML, WikiExtractor's files, Wikipedia dumps and JSON lines."
        )


def _vocabulary_problems(
    counts: CorpusStatistics, settings: PretrainingDataSettings, vocab: Mapping[str, int]
) -> Iterator[str]:
    do_lower_case = settings.do_lower_case
    if settings.masking == "dynamic" and settings.dupe_factor > 1:
        yield (
            f"dupe_factor={settings.dupe_factor} repeats the text for other masks, which "
            f"--masking=dynamic draws in every epoch anyway. Leave it out."
        )
    few_continue = counts.continuing_tokens < _FEW_CONTINUING * counts.tokens
    if settings.do_whole_word_mask and not settings.do_span_mask and few_continue:
        yield (
            f"do_whole_word_mask is on, but only {counts.continuing_tokens:,} of {counts.tokens:,} "
            f"tokens continue a word, so that it makes little or no difference: nearly every word "
            f"is one token, as in Chinese, where each character is a word of its own. Leave it "
            f"off, use a vocabulary that splits words, or, in Chinese, give --word_segmenter."
        )
    unknown_share = _ratio(counts.unknown_tokens, counts.tokens)
    if unknown_share > _HIGH_UNKNOWN_SHARE:
        yield (
            f"{unknown_share:.1%} of the tokens are [UNK]: the vocabulary does not fit the text. "
            f"Learn one from it with learn_vocab.py, or check do_lower_case."
        )
    words = [token for token in vocab if is_ordinary(token)]
    num_cased = sum(word != word.lower() for word in words)
    has_case = any(word != word.upper() for word in words)
    if do_lower_case and num_cased > _CASED_SHARE * len(words):
        yield (
            f"do_lower_case is on, but {num_cased:,} of {len(words):,} tokens of the vocabulary "
            f"hold capitals, and will never occur. Is it a cased one? Then give "
            f"--do_lower_case=False."
        )
    if not do_lower_case and has_case and num_cased <= _UNCASED_SHARE * len(words):
        yield (
            "do_lower_case is off, but no token of the vocabulary holds capitals: words that do "
            "become [UNK]. Is it an uncased one? Then give --do_lower_case=True."
        )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
