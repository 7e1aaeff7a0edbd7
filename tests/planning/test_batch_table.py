"""The table of docs/out_of_memory.md is what the planner computes, and near the original's."""

from pathlib import Path

import pytest
from published_runs import PUBLISHED_BATCHES

from bert_tf.planning.batch_table import MODELS, batch_table, largest_batch
from bert_tf.released.models import find_released_model

PAGE = Path(__file__).resolve().parents[2] / "docs" / "out_of_memory.md"
CONFIGS = [(name, find_released_model(name).config) for name in MODELS]
BASE = CONFIGS[0][1]


def test_the_page_has_the_table_that_the_command_prints():
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if "| bert_" in line]
    assert rows == batch_table(CONFIGS)[2:]


def test_a_number_of_the_table_is_the_one_that_docs_planning_compares_with_the_original():
    (published,) = [
        batch
        for batch in PUBLISHED_BATCHES
        if "Titan" in batch.name and batch.name.startswith("Base, 128")
    ]
    assert largest_batch(BASE, 128, 12) == 51
    assert published.batch == 32


@pytest.mark.parametrize("how", [{"is_half": True}, {"recomputes": True}, {"is_compiled": True}])
def test_what_the_page_advises_allows_larger_batches(how):
    assert largest_batch(BASE, 384, 12, **how) > largest_batch(BASE, 384, 12)


def test_nothing_fits_where_weights_gradients_and_moments_alone_do_not():
    assert largest_batch(BASE, 128, 1) == 0
