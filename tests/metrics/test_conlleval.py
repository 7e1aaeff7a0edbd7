"""Scores of tagged sequences: equal to conlleval's and to seqeval's strict mode."""

import gzip
import json

import pytest

from bert_tf.metrics import conlleval


def read(path):
    return json.loads(gzip.decompress(path.read_bytes()))


@pytest.fixture(scope="module")
def taggings(golden_dir):
    return read(golden_dir / "tagging" / "taggings.json.gz")


def tags_of(case, side):
    return [sentence[side] for sentence in case["sentences"]]


def check(figures, expected):
    for name, value in expected.items():
        if name == "types":
            assert figures["types"].keys() == value.keys()
            for type_, each in value.items():
                check(figures["types"][type_], each)
        else:
            assert figures[name] == pytest.approx(value, abs=0.005 + 1e-9), name


def test_all_taggings_have_the_official_scores(taggings):
    assert len(taggings) == 200
    for case in taggings:
        gold, predicted = tags_of(case, "gold"), tags_of(case, "pred")
        check(conlleval.evaluate(gold, predicted), case["conlleval"])
        if case["scheme"] == "BIOES":
            gold, predicted = (
                [conlleval.to_iob2(tags, "bioes") for tags in side] for side in (gold, predicted)
            )
            check(conlleval.evaluate(gold, predicted), case["conlleval_mapped"])


def test_strict_scores_are_seqeval_s(taggings):
    for case in (case for case in taggings if case["scheme"] == "IOB2"):
        sides = tags_of(case, "gold"), tags_of(case, "pred")
        figures = conlleval.evaluate(*sides, conlleval.strict_entities)
        for name, value in case["seqeval"]["strict"].items():
            if name != "types":
                assert figures[name] == pytest.approx(100 * value, abs=1e-9), (case["id"], name)


def as_without_perl(name, output):
    """Mends conlleval's output where Perl takes a type for no value: it does for "" and "0"."""
    if name == "no_type":  # `not($lastType) or ...`: one line for gold, and the same for found.
        return "".join(dict.fromkeys(output.splitlines(keepends=True)))
    if name == "type_zero":  # The type 0 is printed without its name.
        return output.replace(f"\n{'':>17}:", f"\n{'0':>17}:")
    return output


def raw_entities(tags):
    """`conlleval -r`, for parts of speech: each word that is not O is an entity."""
    return [conlleval.Entity(i, i, tag) for i, tag in enumerate(tags) if tag != "O"]


def test_the_report_is_what_conlleval_prints(golden_dir):
    cases = read(golden_dir / "tagging" / "odd_inputs.json.gz")
    cases = [case for case in cases if case["output"]]  # The tool refuses the others.
    assert len(cases) >= 17
    for case in cases:
        find = raw_entities if "-r" in case["arguments"] else conlleval.entities
        gold, predicted = [[]], [[]]
        for line in case["input"].splitlines():
            columns = line.split("\t" if "-d" in case["arguments"] else " ")
            if len(columns) < 2 or columns[0] == "-X-":
                gold.append([])
                predicted.append([])
                continue
            gold[-1].append(columns[-2])
            predicted[-1].append(columns[-1])
        expected = as_without_perl(case["name"], case["output"])
        assert conlleval.report(conlleval.evaluate(gold, predicted, find)) == expected, case


def test_scores_by_hand():
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["O"]]
    predicted = [["B-PER", "I-PER", "O", "I-ORG"], ["O"]]
    figures = conlleval.evaluate(gold, predicted)
    assert (figures["gold"], figures["found"], figures["correct"]) == (2, 2, 1)
    assert (figures["precision"], figures["recall"], figures["f1"]) == (50.0, 50.0, 50.0)
    assert figures["accuracy"] == 80.0
    assert figures["types"]["ORG"]["precision"] == 0.0
    strict = conlleval.evaluate(gold, predicted, conlleval.strict_entities)
    assert (strict["found"], strict["precision"]) == (1, 100.0)


IOB2 = ["B-A", "I-A", "B-A", "B-C", "O", "B-x-y"]


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        ("iob2", IOB2),
        ("iob1", ["I-A", "I-A", "B-A", "I-C", "O", "I-x-y"]),
        ("bioes", ["B-A", "E-A", "S-A", "S-C", "O", "S-x-y"]),
    ],
)
def test_schemes_are_converted_both_ways(scheme, tags):
    assert conlleval.to_iob2(tags, scheme) == IOB2
    assert conlleval.from_iob2(IOB2, scheme) == tags


def test_a_sentence_of_another_length_is_refused():
    with pytest.raises(ValueError, match="2 gold tags and 1 predicted"):
        conlleval.evaluate([["O", "O"]], [["O"]])
