"""run_finetuning on a small task: what it writes, that it learns, restarts, and what it refuses."""

import dataclasses
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from small_finetuning import small_finetuning

import bert_tf
from bert_tf.config import BertConfig
from bert_tf.finetuning.evaluation import TaskEvaluator
from bert_tf.finetuning.program import run_finetuning
from bert_tf.model.encoder import BertEncoder
from bert_tf.model.encoders import make_encoder
from bert_tf.released.model_folder import read_description
from bert_tf.settings import FinetuningSettings
from bert_tf.training.checkpoint import save_checkpoint, write_tensors
from bert_tf.training.run import check_length


@pytest.fixture
def settings(small_model, reviews, tmp_path) -> FinetuningSettings:
    return small_finetuning(small_model, "glue:sst-2", tmp_path / "out", (f"data_dir={reviews}",))


def read_results(path: Path) -> dict[str, float]:
    lines = path.read_text().splitlines()
    return {name: float(value) for name, value in (line.split(" = ") for line in lines)}


def checkpoint(prefix: Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def metrics(folder: str) -> list[dict]:
    return [json.loads(line) for line in Path(folder, "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(small_model, reviews, tmp_path_factory):
    """A whole run: train, evaluate, predict."""
    folder = tmp_path_factory.mktemp("trained")
    settings = small_finetuning(
        small_model,
        "glue:sst-2",
        folder,
        (f"data_dir={reviews}",),
        num_train_epochs=6.0,
        log_steps=10,
        do_predict=True,
    )
    return settings, run_finetuning(settings)


def test_it_learns_and_leaves_the_files_of_the_original(trained, reviews):
    settings, figures = trained
    folder = Path(settings.output_dir)
    results = read_results(folder / "eval_results.txt")
    assert list(results) == ["eval_accuracy", "eval_loss", "global_step", "loss"]
    assert results["eval_accuracy"] >= 0.9
    assert results["global_step"] == 96 == figures["global_step"]
    for name in ("train.tf_record", "eval.tf_record", "predict.tf_record", "model.ckpt-96.index"):
        assert (folder / name).exists()
    rows = [line.split("\t") for line in (folder / "test_results.tsv").read_text().splitlines()]
    labels = Path(reviews, "test_labels.txt").read_text().splitlines()
    predicted = [str(np.argmax(list(map(float, row)))) for row in rows]
    assert np.mean([a == b for a, b in zip(predicted, labels, strict=True)]) > 0.8
    submission = (folder / "submission" / "SST-2.tsv").read_text().splitlines()
    assert submission == ["index\tprediction", *(f"{i}\t{p}" for i, p in enumerate(predicted))]


def test_what_a_later_user_needs_lies_beside_the_weights(trained, small_model):
    settings, _ = trained
    description = read_description(settings.output_dir)
    assert description.task == "glue:sst-2"
    assert description.kind == "classification"
    assert description.inputs == ("text",)
    assert description.labels == ("0", "1")
    assert description.max_seq_length == 24
    vocabulary = Path(settings.output_dir, "vocab.txt").read_text()
    assert vocabulary == Path(small_model["vocab_file"]).read_text()
    weights = checkpoint(Path(settings.output_dir, "model.ckpt-96"))
    assert weights["output_weights"].shape == (2, 16)
    assert "output_weights/adam_m" in weights


def test_a_second_process_evaluates_and_predicts_the_same(trained, small_model, tmp_path):
    settings, figures = trained
    again = dataclasses.replace(settings, do_train=False, do_predict=False)
    assert run_finetuning(again) == pytest.approx(figures, abs=1e-6)
    elsewhere = dataclasses.replace(
        again,
        output_dir=str(tmp_path),
        init_checkpoint=settings.output_dir,
        length_buckets=False,
        eval_batch_size=7,
    )
    other = run_finetuning(elsewhere)
    for name in ("eval_accuracy", "eval_loss"):
        assert other[name] == pytest.approx(figures[name], abs=1e-5)


def test_a_bilstm_on_top_is_trained_and_used_by_whoever_loads_the_model(settings, reviews):
    small = dataclasses.replace(settings, bilstm_layers=1, num_train_epochs=2.0, do_predict=True)
    run_finetuning(small)
    folder = Path(small.output_dir)
    assert BertConfig.from_json_file(str(folder / "bert_config.json")).bilstm_layers == 1
    names = checkpoint(folder / "model.ckpt-32")
    assert "bilstm/layer_0/forward_lstm/lstm_cell/kernel" in names
    predictor = bert_tf.Predictor(str(folder))
    rows = [line.split("\t") for line in Path(reviews, "test.tsv").read_text().splitlines()[1:9]]
    answers = predictor.predict([row[-1] for row in rows])
    expected = np.loadtxt(folder / "test_results.tsv")[:8]
    ours = [list(answer.probabilities.values()) for answer in answers]
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_a_finished_run_is_not_trained_again(trained, caplog):
    settings, figures = trained
    before = os.stat(Path(settings.output_dir, "model.ckpt-96.index")).st_mtime_ns
    with caplog.at_level("INFO"):
        assert run_finetuning(settings) == pytest.approx(figures, abs=1e-6)
    assert "Training is complete at step 96" in caplog.text
    assert os.stat(Path(settings.output_dir, "model.ckpt-96.index")).st_mtime_ns == before


def test_the_loss_is_that_of_the_batches_in_the_order_of_the_file(trained):
    settings, figures = trained
    again = run_finetuning(dataclasses.replace(settings, do_train=False, eval_batch_size=40))
    # One batch with everything: the mean of the batches is the mean of the examples.
    assert again["loss"] == pytest.approx(again["eval_loss"], abs=1e-6)
    assert again["eval_loss"] == pytest.approx(figures["eval_loss"], abs=1e-6)


def test_other_settings_in_the_same_folder_are_refused(trained):
    settings, _ = trained
    with pytest.raises(ValueError, match=r"learning_rate: 0.002 -> 0.001"):
        run_finetuning(dataclasses.replace(settings, learning_rate=1e-3))


def test_the_best_checkpoint_is_kept_and_used(settings):
    figures = run_finetuning(dataclasses.replace(settings, eval_steps=8))
    values = {
        line["step"]: line["eval_accuracy"]
        for line in metrics(settings.output_dir)
        if "eval_accuracy" in line
    }
    assert sorted(values) == list(range(8, 65, 8))
    best = max(values, key=lambda step: (values[step], -step))
    assert figures["global_step"] == best
    assert figures["eval_accuracy"] == pytest.approx(values[best])
    kept = {path.name for path in Path(settings.output_dir, "best").glob("model*.index")}
    assert kept == {f"model.ckpt-{best}.index"}
    weights = checkpoint(Path(settings.output_dir, "best", f"model.ckpt-{best}"))
    assert not [name for name in weights if "adam" in name]


def test_training_stops_when_nothing_gets_better(settings):
    quick = dataclasses.replace(
        settings, eval_steps=4, early_stopping_patience=3, num_train_epochs=40.0
    )
    figures = run_finetuning(quick)
    steps = [line["step"] for line in metrics(settings.output_dir) if "eval_loss" in line]
    assert steps[-1] < 640
    assert steps[-1] - figures["global_step"] == 12
    # Started again, it knows that it is over.
    assert run_finetuning(quick) == pytest.approx(figures, abs=1e-6)
    assert [line["step"] for line in metrics(settings.output_dir) if "eval_loss" in line] == steps


def test_frozen_parts_keep_their_weights(settings, small_model, tmp_path):
    encoder = BertEncoder(BertConfig.from_json_file(small_model["bert_config_file"]))
    start = str(tmp_path / "start" / "bert_model.ckpt")
    save_checkpoint(encoder, start)
    run_finetuning(
        dataclasses.replace(
            settings, init_checkpoint=start, freeze=("embeddings", "layers:0"), num_train_epochs=1.0
        )
    )
    before, after = checkpoint(Path(start)), checkpoint(Path(settings.output_dir, "model.ckpt-16"))
    for name, value in before.items():
        is_frozen = name.startswith(("bert/embeddings/", "bert/encoder/layer_0/"))
        assert np.array_equal(after[name], value) == is_frozen, name
        assert (f"{name}/adam_m" in after) != is_frozen


@pytest.mark.parametrize("part", ["layers:1-2", "layer:1", "head", "layers:1-0"])
def test_what_cannot_be_frozen_is_refused(settings, part):
    with pytest.raises(ValueError, match=r"--freeze takes embeddings.*from 0 to 1"):
        run_finetuning(dataclasses.replace(settings, freeze=(part,)))


@pytest.mark.parametrize("mixed_precision", ["", "float16"])
def test_gradients_are_clipped_to_the_norm_that_is_asked_for(settings, tmp_path, mixed_precision):
    """With a large epsilon, the first update is a multiple of the gradient."""
    changes = {"adam_epsilon": 1e3, "weight_decay_rate": 0.0, "learning_rate": 1e4}
    changes |= {
        "num_train_epochs": 1 / 16,
        "warmup_proportion": 0.0,
        "do_eval": False,
        "log_steps": 1,
    }
    updates, norms = [], []
    for clip_norm in (0.0, 1e-2):
        folder = tmp_path / str(clip_norm)
        one = dataclasses.replace(settings, **changes, clip_norm=clip_norm, output_dir=str(folder))
        run_finetuning(dataclasses.replace(one, mixed_precision=mixed_precision))
        reader = tf.train.load_checkpoint(str(folder / "model.ckpt-1"))
        updates.append(reader.get_tensor("output_bias"))  # It starts at 0.
        norms.append(json.loads((folder / "metrics.jsonl").read_text())["gradient_norm"])
    assert norms[0] == pytest.approx(norms[1])
    np.testing.assert_allclose(updates[1], updates[0] * 1e-2 / norms[0], rtol=1e-2)


def test_the_final_checkpoint_can_be_lean(settings):
    lean = dataclasses.replace(
        settings, keep_optimizer=False, num_train_epochs=1.0, save_checkpoints_steps=5
    )
    figures = run_finetuning(lean)
    names = {path.name for path in Path(settings.output_dir).glob("model.ckpt-*")}
    assert names == {"model.ckpt-16.index", "model.ckpt-16.data-00000-of-00001"}
    weights = checkpoint(Path(settings.output_dir, "model.ckpt-16"))
    assert not [name for name in weights if "adam" in name]
    assert weights["global_step"] == 16
    assert run_finetuning(lean) == pytest.approx(figures, abs=1e-6)


def test_restarts_and_a_grid_keep_the_best_and_tell_of_all(settings, tmp_path, caplog):
    sweep = dataclasses.replace(
        settings,
        num_train_epochs=1.0,
        num_restarts=2,
        learning_rates=("2e-3", "1e-6"),
        train_batch_sizes=("32",),
        do_predict=True,
    )
    with caplog.at_level("INFO"):
        figures = run_finetuning(sweep)
    folder = Path(settings.output_dir)
    content = json.loads((folder / "runs.json").read_text())
    assert len(content["runs"]) == 4
    assert len({run["seed"] for run in content["runs"]}) == 2
    usable = [run for run in content["runs"] if not run["is_collapsed"]] or content["runs"]
    best = max(usable, key=lambda run: run["value"])
    assert content["best"] == best["name"]
    assert figures["eval_accuracy"] == pytest.approx(best["value"])
    assert re.search("learning_rate +batch_size +runs .* mean +deviation", caplog.text)
    assert (folder / "best" / f"model.ckpt-{best['step']}.index").exists()
    assert not list((folder / "runs").rglob("model.ckpt-*"))
    assert (folder / "test_results.tsv").exists()
    assert len((folder / "runs.tsv").read_text().splitlines()) == 5
    readme = (folder / "README.md").read_text()
    assert f"with a learning rate of {best['learning_rate']:g}, on" in readme
    assert "`runs.tsv`" in readme
    assert "run_settings.json" not in readme
    predictor = bert_tf.Predictor(str(folder))  # By the task.json beside `best`.
    assert "labels=0, 1, max_seq_length=24" in repr(predictor)
    # Restarts differ, as their seeds do.
    losses = [run["figures"]["eval_loss"] for run in content["runs"]]
    assert len(set(losses)) == 4
    # Done runs are taken up, not done again.
    done = folder / "runs" / best["name"] / "metrics.jsonl"
    before = done.stat().st_mtime_ns
    assert run_finetuning(sweep) == pytest.approx(figures, abs=1e-6)
    assert done.stat().st_mtime_ns == before
    with pytest.raises(ValueError, match=r"done with other settings.*num_train_epochs"):
        run_finetuning(dataclasses.replace(sweep, num_train_epochs=2.0))
    # The weights that are kept are those of the best of all that were asked for.
    others = tuple(r for r in sweep.learning_rates if float(r) != best["learning_rate"])
    with pytest.raises(ValueError, match=rf"the weights of {re.escape(best['name'])}, which is"):
        run_finetuning(dataclasses.replace(sweep, learning_rates=others))


def test_runs_that_diverge_or_collapse_are_named_and_never_the_best(settings, caplog):
    rates = ("1e30", "1e-9", "2e-3")
    sweep = dataclasses.replace(settings, num_train_epochs=9.0, learning_rates=rates)
    with caplog.at_level("INFO"):
        figures = run_finetuning(sweep)
    content = json.loads(Path(settings.output_dir, "runs.json").read_text())
    wild, slow, quick = content["runs"]
    assert wild["is_diverged"]
    assert "diverged" in caplog.text
    assert slow["is_collapsed"]
    assert not quick["is_collapsed"]
    assert f"Run {slow['name']} collapsed" in caplog.text
    assert content["best"] == quick["name"]
    assert figures["eval_loss"] == pytest.approx(quick["figures"]["eval_loss"], abs=1e-6)


def eval_lines(folder: str) -> list[dict]:
    return [line for line in metrics(folder) if "eval_loss" in line]


@pytest.fixture(scope="module")
def evaluated_often(small_model, reviews, tmp_path_factory):
    """The settings and results of a run that is evaluated four times."""
    settings = small_finetuning(
        small_model,
        "glue:sst-2",
        tmp_path_factory.mktemp("whole"),
        (f"data_dir={reviews}",),
        eval_steps=16,
        save_checkpoints_steps=16,
    )
    return settings, run_finetuning(settings)


@pytest.mark.parametrize("evaluation", [1, 4])
def test_a_run_that_dies_while_it_is_evaluated_evaluates_again(
    evaluated_often, tmp_path, monkeypatch, evaluation
):
    course, expected = evaluated_often
    calls = []
    figures = TaskEvaluator.metrics

    def die(self, *between_batches):
        calls.append(self.step)
        if len(calls) == evaluation:
            raise KeyboardInterrupt
        return figures(self, *between_batches)

    killed = dataclasses.replace(course, output_dir=str(tmp_path / "killed"))
    with monkeypatch.context() as patched:
        patched.setattr(TaskEvaluator, "metrics", die)
        with pytest.raises(KeyboardInterrupt):
            run_finetuning(killed)
    assert run_finetuning(killed) == pytest.approx(expected, abs=1e-6)
    assert eval_lines(killed.output_dir) == eval_lines(course.output_dir)


def test_the_last_weights_are_evaluated_too_and_random_ones_at_the_start_are_said(settings, caplog):
    run_finetuning(dataclasses.replace(settings, eval_steps=30))
    assert "No --init_checkpoint: training starts from random weights" in caplog.text
    assert [line["step"] for line in eval_lines(settings.output_dir)] == [30, 60, 64]


def test_other_labels_in_the_same_file_are_other_data(settings, reviews, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("train.tsv", "dev.tsv"):
        (data / name).write_text(Path(reviews, name).read_text())
    own = dataclasses.replace(settings, task_options=(f"data_dir={data}",), num_train_epochs=1.0)
    run_finetuning(own)
    swapped = Path(reviews, "train.tsv").read_text().translate(str.maketrans("01", "10"))
    (data / "train.tsv").write_text(swapped)
    with pytest.raises(ValueError, match="records: "):
        run_finetuning(own)


def test_a_model_is_used_as_it_was_trained(trained, tmp_path):
    settings, _ = trained
    only = dataclasses.replace(settings, do_train=False, do_predict=False)
    with pytest.raises(ValueError, match="trained with --do_lower_case=True"):
        run_finetuning(dataclasses.replace(only, do_lower_case=False))
    words = Path(settings.vocab_file).read_text().splitlines()
    (tmp_path / "other.txt").write_text("\n".join([*words[:-2], *reversed(words[-2:])]) + "\n")
    with pytest.raises(ValueError, match="trained with the vocabulary"):
        run_finetuning(dataclasses.replace(only, vocab_file=str(tmp_path / "other.txt")))
    with pytest.raises(ValueError, match="trained for the task glue:sst-2"):
        run_finetuning(dataclasses.replace(only, task="glue:cola"))


def test_a_head_of_another_task_is_not_taken_over(trained, settings, reviews, tmp_path, caplog):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("train", "dev"):
        rows = Path(reviews, f"{name}.tsv").read_text().splitlines()[1:]
        labels = ["yes", "no", "maybe"]
        text = "".join(f"{row[:-2]}\t{labels[i % 3]}\n" for i, row in enumerate(rows))
        (data / f"{name}.tsv").write_text(text)
    options = (f"data_dir={data}", "text_a_column=0", "label_column=1", "labels=no,maybe,yes")
    other = dataclasses.replace(
        settings,
        task="tsv",
        task_options=options,
        init_checkpoint=trained[0].output_dir,
        num_train_epochs=1.0,
    )
    run_finetuning(other)
    assert "output_weights has another shape and is not loaded" in caplog.text
    weights = checkpoint(Path(settings.output_dir, "model.ckpt-16"))
    assert weights["output_weights"].shape == (3, 16)


def test_a_finished_run_can_be_made_lean(trained, tmp_path):
    settings, figures = trained
    shutil.copytree(settings.output_dir, tmp_path / "lean")
    lean = dataclasses.replace(settings, output_dir=str(tmp_path / "lean"), keep_optimizer=False)
    assert run_finetuning(lean) == pytest.approx(figures, abs=1e-6)
    weights = checkpoint(tmp_path / "lean" / "model.ckpt-96")
    assert not [name for name in weights if "adam" in name]


def test_a_folder_whose_name_is_a_pattern_is_refused(settings, tmp_path):
    with pytest.raises(ValueError, match=r"folder whose name has \[ \] in it"):
        run_finetuning(dataclasses.replace(settings, output_dir=str(tmp_path / "run[1]")))


def test_a_cased_vocabulary_is_not_read_with_lower_cased_text(settings, tmp_path):
    words = [f"Word{i}" for i in range(2000)]
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (tmp_path / "cased.txt").write_text("\n".join(vocab) + "\n")
    with pytest.raises(ValueError, match="cased model"):
        run_finetuning(dataclasses.replace(settings, vocab_file=str(tmp_path / "cased.txt")))


def test_a_vocabulary_that_is_larger_than_the_model_is_refused(settings, tmp_path):
    text = Path(settings.vocab_file).read_text() + "another\n"
    (tmp_path / "larger.txt").write_text(text)
    with pytest.raises(ValueError, match="another vocabulary"):
        run_finetuning(dataclasses.replace(settings, vocab_file=str(tmp_path / "larger.txt")))


def test_sequences_beyond_the_position_table_are_refused(settings):
    with pytest.raises(ValueError, match="max_position_embeddings is 32"):
        run_finetuning(dataclasses.replace(settings, max_seq_length=33))
    roberta = BertConfig(10, max_position_embeddings=34, model_type="roberta", type_vocab_size=1)
    check_length(32, roberta, "config.json")
    with pytest.raises(ValueError, match=r"is 34 in config\.json, of which 32 are for tokens\."):
        check_length(33, roberta, "config.json")


def test_missing_files_are_said_before_training(settings, reviews, tmp_path):
    os.symlink(Path(reviews, "train.tsv"), tmp_path / "train.tsv")
    lacking = dataclasses.replace(settings, task_options=(f"data_dir={tmp_path}",))
    with pytest.raises(ValueError, match=r"dev\.tsv"):
        run_finetuning(lacking)
    assert not Path(settings.output_dir).exists()


def test_a_row_of_the_evaluation_set_that_is_wrong_is_said_before_training(
    settings, reviews, tmp_path
):
    os.symlink(Path(reviews, "train.tsv"), tmp_path / "train.tsv")
    text = Path(reviews, "dev.tsv").read_text().rstrip("\n")
    (tmp_path / "dev.tsv").write_text(text[:-1] + "x\n")
    with pytest.raises(ValueError, match=r"dev\.tsv:41: .*'x' is not one of 0, 1"):
        run_finetuning(dataclasses.replace(settings, task_options=(f"data_dir={tmp_path}",)))
    assert not list(Path(settings.output_dir).glob("model.ckpt-*"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"do_train": False, "do_eval": False}, "Nothing to do"),
        ({"early_stopping_patience": 2}, "needs --eval_steps"),
        ({"learning_rates": ("fast",)}, "--learning_rates takes numbers"),
        ({"do_train": False, "num_restarts": 3}, "need --do_train"),
        ({"num_train_epochs": 0.0}, "num_train_epochs"),
        ({"vocab_file": ""}, "--vocab_file is needed"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(settings, **changes)


def test_a_checkpoint_that_is_not_there_is_said_before_features_are_made(settings, tmp_path):
    lost = dataclasses.replace(settings, init_checkpoint=str(tmp_path / "no" / "bert_model.ckpt"))
    with pytest.raises(ValueError, match="No checkpoint at"):
        run_finetuning(lost)
    assert not Path(settings.output_dir).exists()


def test_answers_of_random_weights_are_refused_unless_asked_for(settings, small_model, caplog):
    alone = dataclasses.replace(settings, do_train=False, do_predict=True)
    with pytest.raises(ValueError, match="no --init_checkpoint: these weights are random"):
        run_finetuning(alone)
    assert not list(Path(settings.output_dir).glob("*"))
    # A checkpoint without the head is no better.
    encoder = make_encoder(BertConfig.from_json_file(small_model["bert_config_file"]))
    encoder_file = str(Path(settings.output_dir).with_name("bert_model.ckpt"))
    save_checkpoint(encoder, encoder_file)
    headless = dataclasses.replace(alone, init_checkpoint=encoder_file)
    with pytest.raises(ValueError, match="has no output_weights, output_bias: these weights are"):
        run_finetuning(headless)
    run_finetuning(dataclasses.replace(headless, untrained=True, do_eval=False))
    assert "these weights are random, and so are the model's answers" in caplog.text
    assert Path(settings.output_dir, "predictions.jsonl").exists()


@pytest.mark.parametrize("name", ["bert_model.ckpt.index", "pytorch_model.bin", "a.safetensors"])
def test_a_finished_model_s_folder_is_no_output_folder(settings, small_model, tmp_path, name):
    folder = tmp_path / "released"
    folder.mkdir()
    for file in ("bert_config.json", name):
        (folder / file).write_text("{}")
    inside = dataclasses.replace(settings, output_dir=str(folder))
    with pytest.raises(ValueError, match=rf"folder of a finished model \({name}\).*new --output"):
        run_finetuning(inside)
    assert sorted(path.name for path in folder.iterdir()) == sorted(["bert_config.json", name])
    assert (folder / "bert_config.json").read_text() == "{}"


def test_an_evaluation_leaves_what_one_looks_for_first(trained):
    settings, figures = trained
    folder = Path(settings.output_dir)
    report = json.loads((folder / "eval_report.json").read_text())
    matrix = np.array(report["confusion_matrix"])
    assert matrix.sum() == 40
    assert matrix.trace() / 40 == pytest.approx(figures["eval_accuracy"])
    first = json.loads((folder / "predictions.jsonl").read_text().splitlines()[0])
    assert {"text", "label", "probabilities"} <= set(first)
    # Every event file has something in it, and training its accuracy and settings.
    tags: dict[str, set] = {}
    for path in folder.rglob("events.out.tfevents.*"):
        values = [
            v for e in tf.compat.v1.train.summary_iterator(str(path)) for v in e.summary.value
        ]
        assert values, path
        tags.setdefault(path.parent.name, set()).update(value.tag for value in values)
    assert {"loss", "accuracy", "settings", "_hparams_/session_start_info"} <= tags[folder.name]
    assert {"loss", "accuracy"} <= tags["eval"]


def test_another_file_s_evaluation_leaves_the_first_one_alone(settings, reviews, tmp_path):
    quick = dataclasses.replace(settings, num_train_epochs=1.0)
    run_finetuning(quick)
    folder = Path(settings.output_dir)
    assert sum("loss" in line for line in metrics(settings.output_dir)) == 16
    names = ("metrics.jsonl", "eval_results.txt", "eval_report.json", "eval_predictions.jsonl")
    before = {name: (folder / name).read_bytes() for name in names}
    data = tmp_path / "other"
    data.mkdir()
    lines = Path(reviews, "dev.tsv").read_text().splitlines()
    (data / "dev.tsv").write_text("\n".join(lines[:11]) + "\n")
    options = (f"data_dir={data}",)
    other = dataclasses.replace(quick, do_train=False, task_options=options)
    run_finetuning(other)
    assert {name: (folder / name).read_bytes() for name in names} == before
    (found,) = folder.glob("eval_dev-*")
    assert len((found / "eval_predictions.jsonl").read_text().splitlines()) == 10
    assert read_results(found / "eval_results.txt")["global_step"] == 16
    # The first file again is the first evaluation.
    run_finetuning(dataclasses.replace(quick, do_train=False))
    assert {name: (folder / name).read_bytes() for name in names} == before


def test_a_checkpoint_without_a_pooler_is_trained_with_a_new_one(settings, tmp_path, caplog):
    config = BertConfig.from_json_file(settings.bert_config_file)
    tf.keras.utils.set_random_seed(5)
    weights = {w.path: w.value for w in make_encoder(config).weights if "pooler" not in w.path}
    start = str(tmp_path / "start" / "bert_model.ckpt")
    (tmp_path / "start").mkdir()
    write_tensors(start, {**weights, "bert/encoder/layer_9/output/dense/bias": tf.zeros(3)})
    short = {"num_train_epochs": 0.2, "learning_rate": 1e-9, "do_eval": False}
    settings = dataclasses.replace(settings, init_checkpoint=start, **short)
    with pytest.raises(ValueError, match=r"2 of the model's .* bert/pooler/dense/"):
        run_finetuning(dataclasses.replace(settings, do_train=False, do_eval=True))
    run_finetuning(settings)
    assert f"{start} has no bert/pooler/dense/kernel, bert/pooler/dense/bias" in caplog.text
    assert "1 weights for which the encoder has no place: bert/encoder/layer_9/" in caplog.text
    after = bert_tf.BertEncoder.from_preset(settings.output_dir)
    assert 0 < np.std(after.pooler.dense.kernel.numpy()) < 2 * config.initializer_range
    for weight in after.weights:
        if weight.path in weights:
            np.testing.assert_allclose(weight.value, weights[weight.path], atol=1e-6)
