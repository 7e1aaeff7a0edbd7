"""One device, several, several processes, and a batch in parts: the same weights and figures."""

import sys
from pathlib import Path

import numpy as np
import pytest
from worker_processes import WorkerProcess, end, start_workers

PROGRAM = Path(__file__).parents[1] / "support" / "train_on_devices.py"
SEVERAL = ["mirrored_2", "mirrored_4", "workers"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What train_on_devices.py writes on each kind of devices."""
    folder = tmp_path_factory.mktemp("devices")

    def command(*arguments: str) -> list[str]:
        return [sys.executable, str(PROGRAM), str(folder), *arguments]

    pairs = [[("one",), ("mirrored", "2")], [("mirrored", "4")]]
    for pair in pairs:
        programs = [
            WorkerProcess(command(*arguments), folder / f"{'_'.join(arguments)}.log")
            for arguments in pair
        ]
        if len(pair) == 1:
            programs += start_workers(
                lambda hosts, index: command("workers", hosts, str(index)), 2, folder
            )
        try:
            for program in programs:
                assert program.wait() == 0, program.output
        finally:
            end(programs)
    return folder


@pytest.mark.parametrize("kind", [*SEVERAL, "parts"])
def test_fifty_steps_give_the_weights_of_one_device(folder, kind):
    expected, actual = np.load(folder / "one.npz"), np.load(folder / f"{kind}.npz")
    assert min(expected["norms"]) > 0.1  # Every gradient was clipped.
    names = [name for name in expected.files if name not in ("norms", "loss")]
    differences = {name: actual[name].astype(float) - expected[name] for name in names}
    assert _norm(differences.values()) < 1e-6 * _norm(expected[name] for name in names)
    for name, difference in differences.items():
        np.testing.assert_allclose(difference, 0, atol=1e-6, err_msg=name)


def _norm(arrays) -> float:
    return float(np.sqrt(sum(np.sum(np.square(array, dtype=float)) for array in arrays)))


@pytest.mark.parametrize("kind", SEVERAL)
def test_evaluation_and_prediction_have_every_example_once_and_in_order(folder, kind):
    expected = np.load(folder / "one_figures.npz")
    actual = np.load(folder / f"{kind}_figures.npz")
    for name in expected.files:
        np.testing.assert_allclose(actual[name], expected[name], atol=2e-6, err_msg=name)
    for batch_size in (1, 5):  # Neither is a multiple of the replicas.
        outputs = actual[f"{batch_size}/out"]
        assert outputs.shape == (21, 2)
        assert len(np.unique(outputs, axis=0)) == 21


@pytest.mark.parametrize(("kind", "num_replicas"), zip(SEVERAL, (2, 4, 2), strict=True))
def test_no_two_replicas_nor_steps_share_a_dropout_mask(folder, kind, num_replicas):
    masks = np.load(folder / f"{kind}_masks.npy")
    assert masks.shape == (2 * num_replicas, 64)
    assert len(np.unique(masks, axis=0)) == 2 * num_replicas
    assert 0.3 < masks.mean() < 0.7
    one = np.load(folder / "one_masks.npy")
    np.testing.assert_array_equal(masks[[0, num_replicas]], one)  # The first replica's are alike.
