"""What is counted in a corpus, and what is warned of."""

import dataclasses
import re

import pytest

from bert_tf.pretraining_data.report import PretrainingDataReport, find_problems
from bert_tf.pretraining_data.statistics import CorpusStatistics
from bert_tf.settings import PretrainingDataSettings

UNCASED = {token: index for index, token in enumerate(["[PAD]", "[UNK]", "the", "cat", "##s"])}
CASED = {token: index for index, token in enumerate(["[PAD]", "[UNK]", "The", "cat", "Cat"])}

GOOD = CorpusStatistics(
    documents=100,
    sentences=2000,
    tokens=40_000,
    unknown_tokens=40,
    lines=2100,
    blank_lines=100,
    characters=160_000,
    long_sentences=2,
    examples=400,
    example_tokens=40_000,
    padding_tokens=11_200,
    random_next=210,
    masked_tokens=6_000,
)


def settings(**values):
    return PretrainingDataSettings("text", "vocab", output_dir="records", **values)


def problems(changes, vocab=UNCASED, **values):
    statistics = CorpusStatistics(**{**vars(GOOD), **changes})
    return find_problems(statistics, settings(**values), vocab)


def lines(statistics, **values):
    return PretrainingDataReport(["a", "b"], statistics, [], 2.0, **values).lines()


def test_the_counts_of_shards_add_up():
    total = CorpusStatistics()
    total.add(dataclasses.replace(GOOD, markup_example="the first"))
    total.add(dataclasses.replace(GOOD, markup_example="another"))
    doubled = {name: 2 * value for name, value in vars(GOOD).items()}
    assert vars(total) == {**doubled, "markup_example": "the first"}


def test_the_report_has_a_line_for_every_figure():
    assert lines(GOOD) == [
        "documents    100",
        "sentences    2,000, 20.0 a document",
        "tokens       40,000, 20.0 a sentence",
        "[UNK]        0.100% of the tokens",
        "examples     400",
        "mean length  100.0 tokens",
        "padding      21.9% of the records",
        "random next  52.5% of the examples",
        "masks        15.00 an example",
        "time         2.0 s, 200 examples/s, 0.08 million characters/s",
        "files        2: a ... b",
    ]
    assert lines(GOOD, num_kept=1, examples_kept=300)[-2:] == [
        "time         2.0 s, 50 examples/s",
        "files        2: a ... b; 1 of them were whole already",
    ]
    assert len(lines(GOOD, next_sentence=False)) == 10


def test_masks_that_are_drawn_later_are_reported_as_such():
    assert lines(CorpusStatistics())[8] == "masks        drawn in training"


def test_a_good_corpus_has_no_problems():
    assert problems({}) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"documents": 1, "single_document_shards": 1}, "There is one document only"),
        ({"blank_lines": 0}, "The text has no blank line"),
        ({"sentences": 600}, "67 tokens on average"),
        ({"long_sentences": 500}, "25% of the lines fill an example alone"),
        ({"sentences": 100, "tokens": 2000}, "Every document has one sentence only"),
        ({"unknown_tokens": 900}, r"2.2% of the tokens are \[UNK\]"),
        ({"unclosed_files": 3}, "do not end with a blank line.*: 3"),
        ({"empty_files": 1}, "hold no text: 1"),
        ({"carriage_returns": 4}, "4 carriage returns within lines are dropped"),
        ({"markup_lines": 21, "markup_example": "tags in a: '<p>'"}, "21 of 2,000.*tags in a: '<p"),
        ({"single_document_shards": 2}, "2 of 4 shards hold one document only"),
    ],
)
def test_what_ruins_a_corpus_is_warned_of(changes, says):
    found = problems(changes, num_shards=4)
    assert len(found) == 1
    assert re.search(says, found[0])


def test_options_that_make_no_difference_to_the_text_are_warned_of():
    (found,) = problems({"continuing_tokens": 30}, do_whole_word_mask=True)
    assert "only 30 of 40,000 tokens continue a word" in found
    assert problems({"continuing_tokens": 900}, do_whole_word_mask=True) == []
    assert "dupe_factor=5" in problems({}, masking="dynamic", dupe_factor=5)[0]
    assert problems({}, masking="dynamic") == []


def test_short_examples_are_filled_by_sentences_without_a_warning():
    assert problems({"long_sentences": 1500}, max_seq_length=16) == []


@pytest.mark.parametrize("changes", [{"documents": 1}, {"single_document_shards": 2}])
def test_the_warning_of_one_document_says_what_became_of_its_pairs(changes):
    (found,) = problems(changes, num_shards=4)
    assert "random next sentences are taken from it too, and their label is wrong" in found
    assert "all labels are 0" not in found
    (found,) = problems(changes, num_shards=4, mend_quirks=True)
    assert "there are no random next sentences and all labels are 0" in found
    assert "wrong" not in found
    assert "taken from" not in found


def test_a_lower_casing_that_does_not_fit_the_vocabulary_is_warned_of():
    assert "--do_lower_case=False" in problems({}, CASED, do_lower_case=True)[0]
    assert "--do_lower_case=True" in problems({}, UNCASED, do_lower_case=False)[0]
    assert problems({}, CASED, do_lower_case=False) == []


def test_a_vocabulary_of_a_script_without_case_fits_either_way():
    vocab = {"[PAD]": 0, "[UNK]": 1, "猫": 2, "<S>": 3}
    assert problems({}, vocab, do_lower_case=True) == []
    assert problems({}, vocab, do_lower_case=False) == []


@pytest.mark.data
@pytest.mark.parametrize(("name", "lower"), [("uncased", True), ("cased", False)])
def test_googles_vocabularies_fit_the_lower_casing_that_they_were_made_with(data_dir, name, lower):
    path = data_dir / "vocab" / f"bert_base_{name}.txt"
    tokens = path.read_text(encoding="utf-8").split("\n")
    vocab = {token: index for index, token in enumerate(tokens)}
    assert problems({}, vocab, do_lower_case=lower) == []
    assert len(problems({}, vocab, do_lower_case=not lower)) == 1
