"""Files of predicates and roles are read as they are found, and written so that they are read."""

import gzip
import json

import pytest

from bert_tf.metrics.semantic_roles import Predicate, score_dependencies
from bert_tf.spans.bio import RoleSpan
from bert_tf.tasks.role_files import FORMATS, format_of, props_lines, read_sentences

CONLL_2005 = """\
He      PRP  (S*   -   -     (A0*)  *
wants   VBZ  *     01  want  (V*)   *
to      TO   *     -   -     (A1*   *
eat     VB   *     02  eat   *      (V*)
apples  NNS  *)    -   -     *)     (A1*)

Yes     UH   (S*)  -   -
"""
CONLL_2012 = """\
#begin document (a/b); part 000
a/b 0 0 He    PRP (S*  -    -  - A * (ARG0*) *      (1)
a/b 0 1 wants VBZ *    want 01 1 A * (V*)    *      -
a/b 0 2 to    TO  *    -    -  - A * (ARG1*  *      -
a/b 0 3 eat   VB  *)   eat  02 1 A * *)      (V*)   -

a/b 0 0 Yes   UH  (S*) -    -  - A * -

#end document
"""
CONLL_2009 = (
    "\n".join(
        "\t".join(row.split())
        for row in """\
1 He he he PRP PRP _ _ 2 2 SBJ SBJ _ _ A0 A0
2 wants want want VBZ VBZ _ _ 0 0 ROOT ROOT Y want.01 _ _
3 to to to TO TO _ _ 2 2 OPRD OPRD _ _ A1|AM-PRP _
4 eat eat eat VB VB _ _ 3 3 IM IM Y eat.02 _ -
""".splitlines()
    )
    + "\n"
)
UP = """\
# sent_id = 1
1\tHe\the\tPRON\tPRP\t_\t2\tnsubj\t_\t_\t_\tARG0\t|R-ARG0
2-3\twanna\t_\t_\t_\t_\t_\t_\t_\t_\t\t\t
2\twant\twant\tVERB\tVBZ\t_\t0\troot\t_\t_\twant.01\tV\t
3\tna\tto\tPART\tTO\t_\t4\tmark\t_\t_\t_\t_\tC-V
4\teat\teat\tVERB\tVB\t_\t2\txcomp\t_\t_\teat.02\tARG1\tV

# text = Yes
1\tYes\tyes\tINTJ\tUH\t_\t0\troot\t_\t_=\t\t
"""
FILES = {
    "roles.txt": CONLL_2005,
    "roles.gold_conll": CONLL_2012,
    "roles.conll09": CONLL_2009,
    "roles.conllu": UP,
}


@pytest.fixture
def write(tmp_path):
    def write_file(name, text):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write_file


def roles(predicate):
    return [tuple(span) for span in predicate.roles]


def test_conll_2005_is_words_then_a_target_column_then_brackets(write):
    path = write("roles.txt", CONLL_2005)
    first, second = read_sentences(path)
    assert format_of(path) == "conll2005"
    assert first.words == ("He", "wants", "to", "eat", "apples")
    want, eat = first.predicates
    assert (want.position, want.lemma, want.sense) == (1, "want", "want.01")
    assert roles(want) == [("A0", 0, 0), ("V", 1, 1), ("A1", 2, 4)]
    assert eat == Predicate(3, "eat", "eat.02", (RoleSpan("V", 3, 3), RoleSpan("A1", 4, 4)))
    assert (second.words, second.predicates) == (("Yes",), ())
    assert [line.split() for line in props_lines(first, first.predicates)] == [
        ["-", "(A0*)", "*"],
        ["want", "(V*)", "*"],
        ["-", "(A1*", "*"],
        ["eat", "*", "(V*)"],
        ["-", "*)", "(A1*)"],
    ]


def test_a_file_to_predict_may_have_predicates_only(write):
    text = "He -\nwants want\n\nYes -\n"
    (first, _) = read_sentences(write("test.txt", text))
    assert first.predicates == (Predicate(1, "want", "", ()),)
    text = "\n".join("\t".join(line.split("\t")[:14]) for line in CONLL_2009.splitlines())
    text = text.replace("want.01", "_").replace("eat.02", "_")
    (sentence,) = read_sentences(write("test.conll09", text))
    assert [(p.position, p.sense, p.roles) for p in sentence.predicates] == [
        (1, "", ()),
        (3, "", ()),
    ]


def test_conll_2012_has_a_role_column_per_predicate_before_the_last(write):
    first, second = read_sentences(write("a.gold_conll", CONLL_2012))
    want, eat = first.predicates
    assert (want.position, want.sense, eat.position, eat.sense) == (1, "want.01", 3, "eat.02")
    assert roles(want) == [("ARG0", 0, 0), ("V", 1, 1), ("ARG1", 2, 3)]
    assert second.predicates == ()


@pytest.mark.parametrize(
    "predicted", [(), (RoleSpan("V", 0, 0),), (RoleSpan("ARG1", 0, 2), RoleSpan("V", 3, 3))]
)
def test_conll_2012_is_written_with_each_predicate_where_it_was_given(write, predicted):
    first, second = read_sentences(write("a.gold_conll", CONLL_2012))
    want, eat = first.predicates
    missed = want._replace(roles=predicted)
    lines = [*FORMATS["conll2012"].write(first, [missed, eat]), ""]
    lines += FORMATS["conll2012"].write(second, [])
    (again, _) = read_sentences(write("b.gold_conll", "\n".join(lines) + "\n"))
    assert [each.position for each in again.predicates] == [1, 3]
    assert roles(again.predicates[0]) == [("V", 1, 1)]
    assert again.predicates[1] == eat


def test_conll_2009_has_roles_at_words_and_may_have_two_at_one(write):
    (sentence,) = read_sentences(write("roles.conll09", CONLL_2009))
    want, eat = sentence.predicates
    assert roles(want) == [("A0", 0, 0), ("A1", 2, 2), ("AM-PRP", 2, 2)]
    assert (eat.lemma, eat.sense, roles(eat)) == ("eat", "eat.02", [("A0", 0, 0)])


def test_universal_propositions_may_have_empty_cells_and_other_lines(write):
    first, second = read_sentences(write("roles.conllu", UP))
    assert first.words == ("He", "want", "na", "eat")
    want, eat = first.predicates
    assert roles(want) == [("ARG0", 0, 0), ("ARG1", 3, 3)]
    assert roles(eat) == [("R-ARG0", 0, 0), ("C-V", 2, 2)]
    assert (second.words, second.predicates) == (("Yes",), ())


@pytest.mark.parametrize("name", FILES)
def test_what_is_written_is_read_as_the_same(write, name):
    sentences = read_sentences(write(name, FILES[name]))
    form = format_of(write(name, FILES[name]))
    blocks = ["\n".join(FORMATS[form].write(each, each.predicates)) for each in sentences]
    if form == "conll2005":  # The propositions alone; the words are in a file of their own.
        return
    again = read_sentences(write("again", "\n\n".join(blocks)), form)
    assert [(s.words, s.predicates) for s in again] == [(s.words, s.predicates) for s in sentences]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a", "", "no sentence in this file"),
        ("a", "- *\neat (V*)\n\n-\n", "paste words props"),
        ("a", "He - (A0*\neat eat *\n", r"a:1: column 3: .*never closed"),
        ("a", "He - *)\neat eat (V*)\n", r"a:1: column 3: nothing is open"),
        ("a", "He - *\neat eat (V*)\n\nThe -\nman man\nlaughs laugh\n", "a:4: no column of pred"),
        ("a", "He - *\neat eat\n", "a:2: CoNLL-2005 has"),
        (
            "a.gold_conll",
            CONLL_2012.replace("(V*)   -", "*      -"),
            "a.gold_conll:2: column 13 has no pred",
        ),
        (
            "a.gold_conll",
            CONLL_2012.replace("(ARG0*) ", "(ARG0* "),
            r"conll:3: .*one role at a time",
        ),
        ("a.conllu", UP.replace("eat.02", "_"), "a.conllu:2: column 13 has roles, but .* only 1"),
        ("a.conllu", UP.replace("\t_=\t\t", ""), "a.conllu:9: Universal Propositions has at least"),
        ("a.conllu", UP.replace("\t_\teat.02\tARG1\tV", "\t_\teat.02"), r"a.conllu:6: .*\(13 in"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(write, name, text, message):
    with pytest.raises(ValueError, match=message):
        read_sentences(write(name, text))


@pytest.fixture(scope="module")
def english_ewt(data_dir):
    """The development set of Universal Propositions for English."""
    return read_sentences(str(data_dir / "srl_up_english_ewt" / "en_ewt-up-dev.conllu.gz"))


@pytest.mark.data
def test_english_ewt_has_the_published_counts_and_scores_itself_100(english_ewt):
    predicates = [each for sentence in english_ewt for each in sentence.predicates]
    spans = [span for each in predicates for span in each.roles]
    counts = (len(english_ewt), len(predicates), len(spans), len({span.role for span in spans}))
    assert counts == (2002, 4977, 9682, 44)
    gold = [sentence.predicates for sentence in english_ewt]
    scores = score_dependencies(gold, gold)
    assert (scores.labeled.f1, scores.labeled.gold) == (100.0, 4977 + 9682)


@pytest.mark.data
def test_predictions_for_english_ewt_have_the_official_scores(english_ewt, data_dir):
    golden = data_dir.parent / "golden" / "tasks" / "srl" / "conll2009.json.gz"
    if not golden.exists():
        pytest.skip(f"no scores of the official scorer for this set: {golden} is not there")
    gold = [sentence.predicates for sentence in english_ewt]
    with gzip.open(golden) as file:
        content = json.load(file)
    case = content["universal_propositions"]["evaluations"][1]
    predicted = [
        [
            Predicate(p["position"], "", p["sense"], [(r, i, i) for r, i in p["arguments"]])
            for p in each
        ]
        for each in case["predicted"]
    ]
    scores, official = score_dependencies(gold, predicted), case["official"]
    assert scores.labeled_arguments.correct == official["labeled"]["correct_arguments"]
    assert scores.labeled_predicates.correct == official["labeled"]["correct_predicates"]
    assert scores.labeled.f1 == pytest.approx(official["labeled"]["f1"], abs=0.005001)
    assert scores.unlabeled.f1 == pytest.approx(official["unlabeled"]["f1"], abs=0.005001)
