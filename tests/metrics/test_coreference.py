"""The metrics of coreference and GAP, against the official scorers."""

import gzip
import json

import numpy as np
import pytest

from bert_tf.metrics import coreference, gap
from bert_tf.tasks.coreference_files import Mentions
from bert_tf.tasks.gap_files import read_gap


def load(golden_dir, name):
    return json.loads(gzip.open(golden_dir / "coreference" / name).read())


def clusters_of(document):
    if "columns" not in document:
        return [list(map(tuple, cluster)) for cluster in document["clusters"]]
    mentions = Mentions()
    for cell in document["columns"]:
        mentions.add(cell)
    # The scorer takes entities in the order of their numbers' first appearance.
    return mentions.clusters()


def documents_of(case):
    response = {each["document"]: clusters_of(each) for each in case["response"]}
    return [(clusters_of(each), response.get(each["document"], [])) for each in case["key"]]


def check(scores, official):
    for name in ("mentions", "muc", "bcub", "ceafm", "ceafe"):
        for part in ("recall", "precision"):
            actual = getattr(scores[name], f"{part}_parts")
            assert actual == pytest.approx(official[name][part], rel=1e-9), (name, part)
    if "blanc" in official:
        check_blanc(scores["blanc"], official["blanc"])
    average = 100 * coreference.conll_average(scores)
    assert average == pytest.approx(official["conll_average"], rel=1e-9)


def check_blanc(blanc, official):
    kinds = (("coreference_links", "coreference"), ("non_coreference_links", "non_coreference"))
    for theirs, mine in kinds:
        for part in ("recall", "precision"):
            actual = getattr(getattr(blanc, mine), f"{part}_parts")
            assert list(actual) == official[theirs][part]
    printed = [100 * getattr(blanc, part) for part in ("recall", "precision", "f1")]
    assert [np.floor(value * 100 + 1e-6) / 100 for value in printed] == pytest.approx(
        official["blanc"]["printed"],
        abs=0.0101,  # Cut off after two decimals.
    )


def check_lea(scores, coval):
    actual = [100 * getattr(scores["lea"], part) for part in ("recall", "precision", "f1")]
    assert actual == pytest.approx(coval["lea"], rel=1e-9)


def test_the_published_cases_and_the_surprising_ones(golden_dir):
    for case in load(golden_dir, "cases.json.gz"):
        if "refused" in case["official"]["blanc"]:
            with pytest.raises(ValueError, match="refuses more than 10"):
                coreference.evaluate(documents_of(case))
            continue
        scores = coreference.evaluate(documents_of(case))
        check(scores, case["official"])
        for name, published in case.get("published", {}).items():
            actual = [getattr(scores[name], part) for part in ("recall", "precision", "f1")]
            assert actual == pytest.approx(published, abs=1e-5), (case["id"], name)


def test_random_documents(golden_dir):
    for case in load(golden_dir, "small.json.gz"):
        pairs = [
            tuple(
                [tuple(map(tuple, cluster)) for cluster in each[side]]
                for side in ("key", "response")
            )
            for each in case["documents"]
        ]
        scores = coreference.evaluate(pairs)
        check(scores, case["official"])
        check_lea(scores, case["coval"])


def test_scores_by_hand():
    key, response = [["a", "b", "c"], ["d"]], [["a", "b"], ["c", "d"]]
    scores = coreference.evaluate([(key, response)])
    assert scores["muc"] == coreference.Score((1, 2), (1, 2))
    assert scores["bcub"].recall == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1) / 4)
    assert scores["ceafm"] == coreference.Score((3.0, 4), (3.0, 4))
    assert scores["ceafe"].recall == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert scores["lea"].recall_parts == (1.0, 4)  # 1 of 3 links of the entity of 3 mentions.
    assert coreference.without_singletons(key) == [["a", "b", "c"]]
    percent = coreference.percentages(scores)
    assert percent["muc_f1"] == 50.0
    assert percent["conll_f1"] == pytest.approx(100 * coreference.conll_average(scores))


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (6, 4), (7, 7), (0, 3), (3, 0)])
def test_best_matching_is_the_best_of_all(shape):
    optimize = pytest.importorskip("scipy.optimize", reason="needs: pip install scipy")
    for seed in range(20):
        table = np.random.default_rng(seed).integers(0, 6, shape) / 7
        rows, columns = coreference.best_matching(table)
        assert len(set(rows.tolist())) == len(set(columns.tolist())) == min(shape)
        expected = table[optimize.linear_sum_assignment(table, maximize=True)].sum()
        assert table[rows, columns].sum() == pytest.approx(expected)


def distance(row, place):
    return abs(place - row.pronoun_start)


# Rules that decide whole files, by their names in the golden values.
GAP_RULES = {
    "gold": lambda row: row.coreferent,
    "nearest_name": lambda row: [
        distance(row, place) == min(distance(row, other) for _, other in row.names)
        for _, place in row.names
    ],
    "always_A": lambda row: (True, False),
    "both": lambda row: (True, True),
    "none": lambda row: (False, False),
}


def decisions(rows):
    """Returns decisions by id; as for the official scorer, the first of two rows counts."""
    words = {"true": True, "false": False}
    read = [(row, *(words.get(cell.strip().lower()) for cell in cells)) for row, *cells in rows]
    return {row: both for row, *both in reversed(read)}


@pytest.mark.data
def test_gap_counts_of_rules_and_of_made_up_systems(golden_dir, data_dir):
    golden = load(golden_dir, "gap.json.gz")
    rows = [document.row for document in read_gap(str(data_dir / "gap" / golden["file"]))]
    assert len(golden["systems"]) == len(GAP_RULES) + 5
    for system in golden["systems"]:
        if system["rows"] is None:
            some = rows
            decided = {row.id: tuple(GAP_RULES[system["system"]](row)) for row in rows}
        else:
            some = rows[: system["gold_rows"]]
            decided = decisions(system["rows"])
        metrics = gap.evaluate({row.id: (row.pronoun, *row.coreferent) for row in some}, decided)
        for group in ("overall", "masculine", "feminine"):
            prefix = "" if group == "overall" else f"{group}_"
            for name, value in system["official"][group].items():
                assert metrics[prefix + name] == pytest.approx(value), (system["system"], name)
        bias = f"{metrics['bias']:.2f}" if "bias" in metrics else "-"
        assert bias == system["official"]["bias"]


def test_gap_by_hand():
    gold = {"1": ("He", True, False), "2": ("her", False, True), "3": ("their", True, False)}
    answers = {"1": (True, False), "2": (True, None)}
    metrics = gap.evaluate(gold, answers)
    assert (metrics["tp"], metrics["fp"], metrics["tn"], metrics["fn"]) == (1, 1, 1, 3)
    assert metrics["masculine_f1"] == 100.0
    assert metrics["feminine_f1"] == 0.0
    assert "bias" not in metrics
