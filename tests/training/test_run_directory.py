import json

import pytest
import tensorflow as tf

from bert_tf.settings import TrainingSettings
from bert_tf.training.checkpoint import write_tensors
from bert_tf.training.run_directory import (
    MetricsLog,
    check_model,
    check_settings,
    prepare_folder,
    write_run,
)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_run_that_goes_on_drops_the_lines_beyond_its_checkpoint(tmp_path):
    with MetricsLog(str(tmp_path), 0) as log:
        for step in (5, 10, 15):
            log.write(step, {"loss": float(step)})
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 20, "lo')  # Killed while writing.

    with MetricsLog(str(tmp_path), 10) as log:
        log.write(12, {"loss": 1.0}, prefix="eval_")

    assert lines(tmp_path) == [
        {"step": 5, "loss": 5.0},
        {"step": 10, "loss": 10.0},
        {"step": 12, "eval_loss": 1.0},
    ]
    assert list(tmp_path.glob("events.out.tfevents*"))
    assert list(tmp_path.glob("eval/events.out.tfevents*"))


def test_damaged_lines_are_dropped_and_the_others_stay(tmp_path):
    with MetricsLog(str(tmp_path), 0) as log:
        for step in (5, 10, 15):
            log.write(step, {"loss": float(step)})
    path = tmp_path / "metrics.jsonl"
    content = bytearray(path.read_bytes())
    content[content.index(b"\n") + 3] ^= 0x80
    path.write_bytes(bytes(content) + b"7\n[]\n")

    with MetricsLog(str(tmp_path), 20) as log:
        pass
    assert [line["step"] for line in lines(tmp_path)] == [5, 15]


def test_whoever_only_evaluates_leaves_all_lines(tmp_path):
    with MetricsLog(str(tmp_path), 0) as log, MetricsLog(str(tmp_path)) as other:
        log.write(15, {"loss": 2.0})
        other.write(10, {"loss": 3.0}, prefix="eval_")
        assert [line["step"] for line in lines(tmp_path)] == [15, 10]
        assert other.evaluation(10) == {"step": 10, "eval_loss": 3.0}
        assert other.evaluation(15) is None


@pytest.fixture
def begun(tmp_path):
    """The folder of a run with a checkpoint."""
    write_run(str(tmp_path), '{"hidden_size": 8}\n', {"a": 1, "b": (1, 2)})
    write_tensors(str(tmp_path / "model.ckpt-5"), {"x": tf.constant([1.0])})
    return str(tmp_path)


def settings_of(folder, **values):
    return TrainingSettings(bert_config_file="config.json", output_dir=folder, **values)


def test_settings_may_not_change_unless_asked(begun):
    check_settings(settings_of(begun), {"a": 1, "b": [1, 2]})
    with pytest.raises(ValueError, match=r"a: 1 -> 2\n  c: null -> 3"):
        check_settings(settings_of(begun), {"a": 2, "b": [1, 2], "c": 3})
    check_settings(settings_of(begun, allow_changed_settings=True), {"a": 2, "b": [1, 2]})


def test_another_model_is_never_mixed_in(begun):
    check_model(begun, '{"hidden_size": 8}')
    with pytest.raises(ValueError, match="hidden_size: 8 -> 16"):
        check_model(begun, '{"hidden_size": 16}')


def test_a_run_that_failed_before_its_first_checkpoint_does_not_block_the_folder(tmp_path):
    write_run(str(tmp_path), '{"hidden_size": 8}\n', {"a": 1})
    check_settings(settings_of(str(tmp_path)), {"a": 2})
    check_model(str(tmp_path), '{"hidden_size": 16}')


def test_figures_that_are_no_numbers_are_null(tmp_path):
    with MetricsLog(str(tmp_path), 0) as log:
        log.write(1, {"loss": float("inf")})
    assert lines(tmp_path) == [{"step": 1, "loss": None}]


def test_half_a_line_is_mended_before_another_is_added(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    with MetricsLog(str(tmp_path)) as log:
        log.write(1, {"loss": 3.0}, prefix="eval_")
    assert lines(tmp_path) == [{"step": 1, "loss": 2.0}, {"step": 1, "eval_loss": 3.0}]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="nothing can be written there"):
        prepare_folder(str(tmp_path / "file" / "out"))
    prepare_folder(str(tmp_path / "new" / "out"))
    assert not list((tmp_path / "new" / "out").iterdir())


def test_a_run_of_a_version_that_knew_less_of_settings_had_their_defaults(begun):
    known = {"a": 1, "b": [1, 2]}
    check_settings(settings_of(begun), {**known, "optimizer": "adam"})
    with pytest.raises(ValueError, match='optimizer: "adam" -> "lamb"'):
        check_settings(settings_of(begun), {**known, "optimizer": "lamb"})
