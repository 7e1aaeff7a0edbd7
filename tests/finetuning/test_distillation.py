"""Distillation in fine-tuning: losses in numpy, whole runs, cached outputs, and what is refused."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from script_process import Script
from small_finetuning import small_finetuning

import bert_tf
from bert_tf.distillation.layers import ObservedLayers
from bert_tf.finetuning.distillation import DistillationObjective
from bert_tf.finetuning.program import run_finetuning
from bert_tf.finetuning.run import FinetuningRun
from bert_tf.settings import FinetuningSettings
from bert_tf.tasks.task import find_task


@pytest.fixture(scope="module")
def student(small_model, tmp_path_factory) -> dict[str, str]:
    """Flags that name the files of a model of one layer, without dropout."""
    config = json.loads(Path(small_model["bert_config_file"]).read_text())
    config |= {"num_hidden_layers": 1, "hidden_dropout_prob": 0, "attention_probs_dropout_prob": 0}
    path = tmp_path_factory.mktemp("student") / "bert_config.json"
    path.write_text(json.dumps(config))
    return {**small_model, "bert_config_file": str(path)}


@pytest.fixture(scope="module")
def teacher(small_model, reviews, tmp_path_factory) -> str:
    """The folder of a model of two layers that has learned SST-2's small stand-in."""
    folder = tmp_path_factory.mktemp("teacher")
    run_finetuning(
        small_finetuning(
            small_model, "glue:sst-2", folder, (f"data_dir={reviews}",), num_train_epochs=6.0
        )
    )
    return str(folder)


def settings_for(student, teacher, reviews, output, **changes) -> FinetuningSettings:
    changes = {"teacher": teacher, "log_steps": 1, "num_train_epochs": 2.0, **changes}
    return small_finetuning(student, "glue:sst-2", output, (f"data_dir={reviews}",), **changes)


def metrics(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "gradient_norm" in line]


def checkpoint(folder: Path, step: int) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(folder / f"model.ckpt-{step}"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def small_task(kind, **options):
    """A task of each kind, its batch of three rows, and the shape of its logits."""
    batch = {
        "input_ids": np.ones((3, 5), np.int32),
        "input_mask": np.array([[1] * 5, [1] * 3 + [0] * 2, [1] * 4 + [0]], np.int32),
        "is_real_example": np.array([1, 1, 0], np.float32),
    }
    names = {"classification": "tsv", "regression": "tsv", "multi_label": "tsv", "tagging": "ner"}
    if kind == "span":
        positions = np.array([1, 2, 0], np.int32)
        options = {"mask_padding": options.get("mask_padding", False)}
        batch |= {"start_positions": positions, "end_positions": positions + 1}
        return find_task("squad", options), batch, (3, 5)
    own = {
        "classification": ({}, ("a", "b", "c"), np.array([0, 2, 1]), (3, 3)),
        "regression": ({"regression": "true"}, (), np.array([0.5, -1, 0], np.float32), (3, 1)),
        "multi_label": (
            *({"multi_label": "true"}, ("a", "b")),
            *(np.array([[0, 1], [1, 1], [0, 0]], np.float32), (3, 2)),
        ),
        "tagging": ({}, ("O", "B-X", "I-X"), np.array([[0, 1, 2, 0, 0]] * 3), (3, 5, 3)),
    }
    given, labels, label_ids, shape = own[kind]
    if names[kind] == "tsv":
        given = {"text_a_column": "t", "label_column": "l", **given}
    else:
        batch["word_starts"] = np.array([[0, 1, 1, 0, 0], [0, 1, 0, 0, 0], [0, 1, 1, 1, 0]])
    return find_task(names[kind], given, labels), {**batch, "label_ids": label_ids}, shape


class FixedTeacher:
    """Answers with the same logits in each step."""

    def __init__(self, logits):
        self.logits = logits

    def outputs(self, _):
        return self.logits


def log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def cross_entropy(teacher, student, temperature):
    teacher, student = (log_softmax(x / temperature) for x in (teacher, student))
    return -(temperature**2) * np.sum(np.exp(teacher) * student, -1)


def binary(teacher, student, temperature):
    p, q = (1 / (1 + np.exp(-x / temperature)) for x in (teacher, student))
    return -(temperature**2) * np.mean(p * np.log(q) + (1 - p) * np.log(1 - q), -1)


def expected_soft_loss(kind, batch, teacher, student, temperature, masks):
    """The mean over what counts, in double precision."""
    if kind == "regression":
        return np.mean((teacher - student)[:2] ** 2)
    if kind == "multi_label":
        return np.mean(binary(teacher, student, temperature)[:2])
    if kind == "span":
        cut = (lambda x: np.where(batch["input_mask"] > 0, x, -1e9)) if masks else (lambda x: x)
        pairs = [(cut(teacher[n]), cut(student[n])) for n in teacher]
        return np.mean([cross_entropy(*pair, temperature)[:2] for pair in pairs])
    losses = cross_entropy(teacher, student, temperature)
    if kind == "tagging":
        return np.mean(losses[:2][batch["word_starts"][:2] > 0])
    return np.mean(losses[:2])


KINDS = ["classification", "regression", "multi_label", "tagging", "span", "masked span"]


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("kind", KINDS)
def test_the_soft_loss_of_each_kind_of_task(kind, temperature):
    masks, kind = kind.startswith("masked"), kind.removeprefix("masked ")
    task, batch, shape = small_task(kind, mask_padding=masks)
    rng = np.random.default_rng(5)
    names = ("start_logits", "end_logits") if kind == "span" else ("logits",)
    theirs, ours = ({n: rng.normal(size=shape) * 2 for n in names} for _ in range(2))
    settings = small_finetuning(
        {"bert_config_file": "c", "vocab_file": "v"},
        *(task.name, "o"),
        teacher="t",
        temperature=temperature,
        soft_loss_weight=0.25,
    )
    logits = {n: tf.constant(x, tf.float32) for n, x in theirs.items()}
    objective = DistillationObjective(task, FixedTeacher(logits), settings)
    tensors = {name: tf.constant(values) for name, values in batch.items()}
    student = {n: tf.constant(x, tf.float32) for n, x in ours.items()}
    outputs = student if kind == "span" else student["logits"]
    sums, weights = objective.sums(tensors, outputs), objective.weights(tensors)
    if kind != "span":
        theirs, ours = theirs["logits"], ours["logits"]
    expected = expected_soft_loss(kind, batch, theirs, ours, temperature, masks)
    np.testing.assert_allclose(sums["soft_loss"] / weights["soft_loss"], 0.25 * expected, rtol=2e-5)
    real = tf.constant(batch["is_real_example"])
    label_losses, label_weights = task.loss(tensors, outputs), task.loss_weights(tensors)
    real = tf.reshape(real, [-1, *[1] * (label_weights.shape.rank - 1)])
    mean = tf.reduce_sum(label_losses * label_weights * real) / tf.reduce_sum(label_weights * real)
    np.testing.assert_allclose(sums["label_loss"] / weights["label_loss"], 0.75 * mean, rtol=1e-5)
    # The same, from outputs that were computed before, of longer batches.
    padding = [[0, 0], [0, 2], [0, 0]]
    cached = {f"teacher_{n}": tf.pad(x, padding[: x.shape.rank]) for n, x in logits.items()}
    if kind in ("tagging", "span"):
        again = DistillationObjective(task, FixedTeacher({}), settings)
        for name, value in again.sums({**tensors, **cached}, outputs).items():
            np.testing.assert_allclose(value, sums[name], rtol=1e-6)


def test_soft_labels_alone_are_turcs_cross_entropy(golden_dir):
    golden = np.load(golden_dir / "family" / "distillation" / "losses.npz")
    task = find_task("tsv", {"text_a_column": "t", "label_column": "l"}, ("a", "b", "c"))
    settings = small_finetuning(
        {"bert_config_file": "c", "vocab_file": "v"},
        *("tsv", "o"),
        teacher="t",
        temperature=1.0,
        unlabelled_file=("u",),
    )
    teacher = FixedTeacher({"logits": tf.constant(golden["soft/teacher_logits"])})
    objective = DistillationObjective(task, teacher, settings)
    student = tf.constant(golden["soft/student_logits"])
    batch = {"is_real_example": tf.ones([8]), "input_mask": tf.ones([8, 4], tf.int32)}
    with tf.GradientTape() as tape:
        tape.watch(student)
        sums, weights = objective.sums(batch, student), objective.weights(batch)
        loss = sums["soft_loss"] / weights["soft_loss"]
    assert set(sums) == {"soft_loss"}
    np.testing.assert_allclose(loss, golden["soft/loss"], atol=1e-5)
    gradient = tape.gradient(loss, student)
    np.testing.assert_allclose(gradient, golden["soft/gradient_student_logits"], atol=1e-6)


def test_losses_of_layers_are_means_over_real_tokens():
    """Of one layer that learns from the last of two, in numpy, on its definition."""
    rng, mask = np.random.default_rng(3), np.array([[1, 1, 1], [1, 0, 0]], np.float32)
    hidden, scores = (
        [rng.normal(size=(2, *shape)).astype(np.float32) for _ in range(3)]
        for shape in ((3, 4), (2, 3, 3))
    )
    tensors, of_scores = ([tf.constant(x) for x in each] for each in (hidden, scores))
    theirs = ObservedLayers(tensors[:2], of_scores[:2])
    ours = ObservedLayers(tensors[2:], of_scores[2:])
    task = find_task("tsv", {"text_a_column": "t", "label_column": "l"}, ("a", "b"))
    settings = small_finetuning(
        {"bert_config_file": "c", "vocab_file": "v"},
        *("tsv", "o"),
        teacher="t",
        hidden_loss_weight=2.0,
        attention_loss_weight=3.0,
    )
    logits = tf.zeros([2, 2])
    teacher = FixedTeacher({"logits": logits})
    teacher.outputs_and_layers = lambda _: ({"logits": logits}, theirs)
    objective = DistillationObjective(task, teacher, settings)
    batch = {"input_mask": tf.cast(mask, tf.int32), "is_real_example": tf.ones([2])}
    batch["label_ids"] = tf.constant([0, 1])
    sums, weights = objective.sums(batch, (logits, ours)), objective.weights(batch)
    of_tokens = np.mean((hidden[1] - hidden[2]) ** 2, axis=-1)[mask > 0]
    np.testing.assert_allclose(
        sums["hidden_loss"] / weights["hidden_loss"], 2 * of_tokens.mean(), rtol=1e-5
    )
    squares = (scores[1] - scores[2]) ** 2
    of_tokens = [*squares[0].mean(axis=(0, 2)), squares[1, :, 0, 0].mean()]
    np.testing.assert_allclose(
        sums["attention_loss"] / weights["attention_loss"], 3 * np.mean(of_tokens), rtol=1e-5
    )


@pytest.fixture(scope="module")
def distilled(student, teacher, reviews, tmp_path_factory):
    folder = tmp_path_factory.mktemp("distilled")
    settings = settings_for(student, teacher, reviews, folder, num_train_epochs=6.0)
    return settings, run_finetuning(settings)


def test_a_student_learns_and_its_folder_says_from_whom(distilled, teacher):
    settings, figures = distilled
    folder = Path(settings.output_dir)
    assert figures["eval_accuracy"] >= 0.9
    lines = metrics(folder)
    assert {"loss", "label_loss", "soft_loss", "accuracy"} <= set(lines[0])
    for line in lines:
        assert line["loss"] == pytest.approx(line["label_loss"] + line["soft_loss"], rel=1e-5)
    card = (folder / "README.md").read_text()
    assert f"it learned the outputs of {teacher}, temperature 2, soft_loss_weight 0.5" in card
    answers = bert_tf.Predictor(str(folder)).predict(["the film is good", "a dull plot"])
    assert [answer.label for answer in answers] == ["1", "0"]


def test_outputs_computed_before_give_the_weights_of_those_of_each_step(
    student, teacher, reviews, tmp_path, caplog
):
    caplog.set_level("INFO")
    before = settings_for(student, teacher, reviews, tmp_path / "before")
    run_finetuning(before)
    assert "Wrote the teacher's outputs" in caplog.text
    run_finetuning(
        dataclasses.replace(before, output_dir=str(tmp_path / "each"), teacher_in_each_step=True)
    )
    assert not (tmp_path / "each" / "train.teacher.npz").exists()
    ours, theirs = (checkpoint(tmp_path / name, 32) for name in ("before", "each"))
    for name, value in ours.items():
        np.testing.assert_allclose(value, theirs[name], atol=2e-5, err_msg=name)


def test_outputs_are_computed_again_only_for_another_teacher(
    small_model, student, teacher, reviews, tmp_path, caplog
):
    caplog.set_level("INFO")
    settings = settings_for(
        student, teacher, reviews, tmp_path, num_train_epochs=0.5, num_restarts=2, eval_steps=0
    )
    run_finetuning(settings)
    assert caplog.text.count("Wrote the teacher's outputs") == 1
    assert caplog.text.count("Reusing the teacher's outputs") == 1
    other = small_finetuning(
        small_model, "glue:sst-2", tmp_path / "other", (f"data_dir={reviews}",), seed=7
    )
    run_finetuning(dataclasses.replace(other, num_train_epochs=0.5))
    features = tmp_path / "features"
    for name, of in (("first", teacher), ("second", str(tmp_path / "other"))):
        features.mkdir(exist_ok=True)
        one = settings_for(student, of, reviews, features / name, num_train_epochs=0.5)
        caplog.clear()
        task = find_task("glue:sst-2", {"data_dir": reviews})
        FinetuningRun(one, task, str(features)).train()
        assert "Wrote the teacher's outputs" in caplog.text


def test_hidden_states_and_attention_of_all_tokens_are_learned(student, teacher, reviews, tmp_path):
    settings = settings_for(
        *(student, teacher, reviews, tmp_path),
        hidden_loss_weight=3.0,
        attention_loss_weight=2.0,
        soft_loss_weight=0.0,
    )
    run_finetuning(dataclasses.replace(settings, num_train_epochs=6.0))
    lines = metrics(tmp_path)
    names = ("hidden_loss", "attention_loss")
    hidden, attention = ([line[name] for line in lines] for name in names)
    for losses in (hidden, attention):
        assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    assert "soft_loss" not in lines[0]
    terms = lines[0]["label_loss"] + hidden[0] + attention[0]
    assert lines[0]["loss"] == pytest.approx(terms, rel=1e-5)


def test_a_student_starts_from_the_teachers_layers_and_head(student, teacher, reviews, tmp_path):
    settings = settings_for(
        *(student, teacher, reviews, tmp_path),
        init_from_teacher=True,
        learning_rate=1e-12,
        num_train_epochs=0.1,
    )
    run_finetuning(settings)
    ours, theirs = checkpoint(tmp_path, 1), checkpoint(Path(teacher), 96)
    for name in ("output_weights", "bert/encoder/layer_0/output/dense/kernel"):
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-7)


@pytest.mark.parametrize("layout", ["test", "train"])
def test_unlabelled_rows_are_learned_by_the_teachers_answers_alone(
    student, teacher, reviews, tmp_path, layout
):
    rows = Path(reviews, "train.tsv").read_text().splitlines()[1:]
    lines = ["index\tsentence", *(f"{i}\t{row.split(chr(9))[0]}" for i, row in enumerate(rows))]
    if layout == "train":  # Labels, all wrong, are ignored.
        wrong = [f"{row.split(chr(9))[0]}\t{1 - int(row.split(chr(9))[1])}" for row in rows]
        lines = ["sentence\tlabel", *wrong]
    (tmp_path / "rows.tsv").write_text("\n".join(lines) + "\n")
    settings = settings_for(
        *(student, teacher, reviews, tmp_path / "out"),
        unlabelled_file=(str(tmp_path / "rows.tsv"),),
        num_train_epochs=6.0,
    )
    figures = run_finetuning(dataclasses.replace(settings, temperature=1.0, do_predict=True))
    assert figures["eval_accuracy"] >= 0.9
    lines = metrics(tmp_path / "out")
    assert not {"label_loss", "accuracy"} & set(lines[0])
    assert lines[0]["loss"] == pytest.approx(lines[0]["soft_loss"])
    assert figures["eval_loss"] > 0


def test_a_resumed_run_reaches_the_same_weights(student, teacher, reviews, tmp_path):
    common = {"save_checkpoints_steps": 8, "hidden_loss_weight": 1.0, "do_eval": False}
    settings = settings_for(student, teacher, reviews, tmp_path, **common)
    run_finetuning(settings)
    whole = checkpoint(tmp_path, 32)
    for path in tmp_path.glob("model.ckpt-32*"):
        path.unlink()
    run_finetuning(settings)
    for name, value in checkpoint(tmp_path, 32).items():
        np.testing.assert_array_equal(value, whole[name], err_msg=name)


def test_two_devices_compute_the_teachers_outputs_and_losses_of_one(
    student, teacher, reviews, tmp_path, scripts_dir
):
    flags = {
        **student,
        "task": "glue:sst-2",
        "data_dir": reviews,
        "teacher": teacher,
        "max_seq_length": 24,
        "train_batch_size": 16,
        "learning_rate": 1e-12,
        "num_train_epochs": 1.0,
        "log_steps": 1,
        "num_virtual_devices": 2,
    }
    script = Script(scripts_dir / "finetune.py", tmp_path, flags)
    result = script.run("--do_train")
    assert result.returncode == 0, result.stderr
    changes = {"learning_rate": 1e-12, "num_train_epochs": 1.0, "do_eval": False}
    run_finetuning(settings_for(student, teacher, reviews, tmp_path / "alone", **changes))
    losses = [[m["soft_loss"] for m in metrics(tmp_path / f)] for f in ("out", "alone")]
    np.testing.assert_allclose(*losses, rtol=0.2)  # Replicas have dropout of their own.
    ours, theirs = (np.load(tmp_path / f / "train.teacher.npz") for f in ("out", "alone"))
    np.testing.assert_allclose(ours["logits"], theirs["logits"], atol=1e-5)


def write_sentences(folder: Path) -> tuple[str, str, tuple[str, ...]]:
    """Sentences in which some words are tagged."""
    tags = {"good": "B-X", "fine": "B-X", "bad": "B-Y", "dull": "B-Y"}
    rng = np.random.default_rng(2)
    words = [rng.choice(["the", "film", "plot", *tags], rng.integers(2, 8)) for _ in range(64)]
    text = "\n\n".join("\n".join(f"{w} {tags.get(w, 'O')}" for w in each) for each in words)
    for name in ("train", "dev", "test"):
        (folder / f"{name}.txt").write_text(text + "\n")
    return "ner", "test.txt", (f"data_dir={folder}", "document_context=false")


def write_questions(folder: Path) -> tuple[str, str, tuple[str, ...]]:
    """Questions whose answer is the third word of a passage."""
    rng = np.random.default_rng(2)
    paragraphs = []
    for number in range(48):
        words = rng.choice(["the", "film", "plot", "good", "dull", "cast"], 9)
        start = len(" ".join(words[:2])) + 1
        answers = [{"text": str(words[2]), "answer_start": start}]
        question = {"id": str(number), "question": "the story ?", "answers": answers}
        paragraphs.append({"context": " ".join(words), "qas": [question]})
    (folder / "dev-v1.1.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    (folder / "train-v1.1.json").write_bytes((folder / "dev-v1.1.json").read_bytes())
    return "squad", "dev-v1.1.json", (f"data_dir={folder}", "max_query_length=4")


@pytest.mark.parametrize("write", [write_sentences, write_questions])
def test_tags_and_spans_are_distilled_with_labels_or_without(small_model, student, tmp_path, write):
    task, unlabelled, options = write(tmp_path)
    own = {"num_train_epochs": 12.0, "learning_rate": 5e-3, "log_steps": 1}
    run_finetuning(small_finetuning(small_model, task, tmp_path / "teacher", options, **own))
    own |= {"teacher": str(tmp_path / "teacher"), "num_train_epochs": 10.0}
    for name, more in (
        ("with", {}),
        ("without", {"unlabelled_file": (str(tmp_path / unlabelled),)}),
    ):
        settings = small_finetuning(student, task, tmp_path / name, options, **own, **more)
        figures = run_finetuning(settings)
        soft = [line["soft_loss"] for line in metrics(tmp_path / name)]
        assert np.mean(soft[-4:]) < np.mean(soft[:4])
        assert ("label_loss" in metrics(tmp_path / name)[0]) == (name == "with")
        assert figures["eval_f1"] > 0


def refuse(match, *arguments, **changes):
    with pytest.raises(ValueError, match=match):
        run_finetuning(settings_for(*arguments, **changes))


def test_teachers_that_do_not_fit_are_refused(small_model, student, teacher, reviews, tmp_path):
    given = (student, teacher, reviews, tmp_path / "out")
    refuse(r"reads at most 32 tokens", *given, max_seq_length=33)
    words = Path(student["vocab_file"]).read_text().splitlines()
    words[7], words[8] = words[8], words[7]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    other = {**student, "vocab_file": str(tmp_path / "vocab.txt")}
    refuse(r"another vocabulary.*row 7 is", other, *given[1:])
    config = json.loads(Path(student["bert_config_file"]).read_text()) | {"hidden_size": 8}
    (tmp_path / "narrow.json").write_text(json.dumps(config))
    narrow = {**student, "bert_config_file": str(tmp_path / "narrow.json")}
    refuse(r"hidden_size is 8 and 16.*no projection", narrow, *given[1:], hidden_loss_weight=1.0)
    refuse(r"student of the teacher's widths", narrow, *given[1:], init_from_teacher=True)
    config |= {"hidden_size": 16, "num_attention_heads": 4}
    (tmp_path / "heads.json").write_text(json.dumps(config))
    heads = {**student, "bert_config_file": str(tmp_path / "heads.json")}
    refuse(r"num_attention_heads is 4 and 2", heads, *given[1:], attention_loss_weight=1.0)
    config["num_hidden_layers"] = 3
    (tmp_path / "deep.json").write_text(json.dumps(config))
    deep = {**student, "bert_config_file": str(tmp_path / "deep.json")}
    refuse(r"as its teacher, 2\. Received: 3 layers", deep, *given[1:], hidden_loss_weight=1.0)


def test_a_teacher_of_another_task_or_labels_is_refused(student, teacher, reviews, tmp_path):
    (tmp_path / "train.tsv").write_text("text\tlabel\nfine\tgood\ndull\tbad\n")
    options = (f"data_dir={tmp_path}", "text_a_column=text", "label_column=label")
    settings = small_finetuning(student, "tsv", tmp_path / "out", options, teacher=teacher)
    with pytest.raises(ValueError, match=r"trained for the task glue:sst-2\. Received: tsv"):
        run_finetuning(dataclasses.replace(settings, do_eval=False))
    description = json.loads(Path(teacher, "task.json").read_text())
    folder = tmp_path / "teacher"
    folder.mkdir()
    for path in Path(teacher).glob("*"):
        if path.is_file() and path.name != "task.json":
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / "task.json").write_text(json.dumps({**description, "task": "", "labels": ["1", "0"]}))
    given = (student, str(folder), reviews, tmp_path / "out")
    refuse(r"answers with classification \(1, 0\); .* \(0, 1\)", *given)
    (folder / "task.json").unlink()
    (folder / "vocab.txt").unlink()
    refuse("has no vocabulary", *given)


def test_a_pretrained_model_is_no_teacher(small_model, student, reviews, tmp_path):
    config = bert_tf.BertConfig.from_json_file(small_model["bert_config_file"])
    folder = str(tmp_path / "encoder")
    tokenizer = bert_tf.FullTokenizer(small_model["vocab_file"])
    bert_tf.BertEncoder(config).save_to_preset(folder, tokenizer)
    refuse("needs the head whose outputs|answers with", student, folder, reviews, tmp_path / "out")


def test_settings_need_a_teacher(student):
    for name, value in (("soft_loss_weight", 0.7), ("unlabelled_file", ("x",))):
        with pytest.raises(ValueError, match=f"--{name} needs --teacher"):
            small_finetuning(student, "glue:sst-2", "out", **{name: value})
