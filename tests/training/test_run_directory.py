import json

import pytest

from bert_tf.training.run_directory import MetricsLog, check_model, check_settings, prepare_folder


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_run_that_goes_on_drops_the_lines_beyond_its_checkpoint(tmp_path):
    log = MetricsLog(str(tmp_path), 0)
    for step in (5, 10, 15):
        log.write(step, {"loss": float(step)})
    log.close()
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 20, "lo')  # Killed while writing.

    log = MetricsLog(str(tmp_path), 10)
    log.write(12, {"loss": 1.0}, prefix="eval_")
    log.close()

    assert lines(tmp_path) == [
        {"step": 5, "loss": 5.0},
        {"step": 10, "loss": 10.0},
        {"step": 12, "eval_loss": 1.0},
    ]
    assert list(tmp_path.glob("events.out.tfevents*"))
    assert list(tmp_path.glob("eval/events.out.tfevents*"))


def test_whoever_only_evaluates_leaves_all_lines(tmp_path):
    log = MetricsLog(str(tmp_path), 0)
    log.write(15, {"loss": 2.0})
    evaluation = MetricsLog(str(tmp_path))
    evaluation.write(10, {"loss": 3.0}, prefix="eval_")
    assert [line["step"] for line in lines(tmp_path)] == [15, 10]
    assert evaluation.has(15, "loss")
    assert not evaluation.has(15, "eval_loss")
    log.close()
    evaluation.close()


def test_settings_may_not_change_unless_asked(tmp_path):
    folder = str(tmp_path)
    check_settings(folder, {"a": 1, "b": (1, 2)}, allow_changed=False)
    check_settings(folder, {"a": 1, "b": [1, 2]}, allow_changed=False)
    with pytest.raises(ValueError, match=r"a: 1 -> 2\n  c: null -> 3"):
        check_settings(folder, {"a": 2, "b": [1, 2], "c": 3}, allow_changed=False)
    check_settings(folder, {"a": 2, "b": [1, 2]}, allow_changed=True)
    check_settings(folder, {"a": 2, "b": [1, 2]}, allow_changed=False)


def test_another_model_is_never_mixed_in(tmp_path):
    check_model(str(tmp_path), '{"hidden_size": 8}\n')
    check_model(str(tmp_path), '{"hidden_size": 8}')
    with pytest.raises(ValueError, match="hidden_size: 8 there, 16 in"):
        check_model(str(tmp_path), '{"hidden_size": 16}')


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="nothing can be written there"):
        prepare_folder(str(tmp_path / "file" / "out"))
    prepare_folder(str(tmp_path / "new" / "out"))
    assert not list((tmp_path / "new" / "out").iterdir())
