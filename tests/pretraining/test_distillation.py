"""Distillation in pre-training: golden losses and gradients, whole runs, and what is refused."""

import dataclasses
import json
import re

import numpy as np
import pytest
import tensorflow as tf
from small_pretraining import (
    CONFIG,
    LENGTH,
    checkpoint,
    make_batch,
    make_examples,
    train,
    write_files,
    write_teacher,
)

import bert_tf
from bert_tf.distillation.teacher import check_vocabularies, find_teacher
from bert_tf.formats.tokenizer_files import read_vocabulary
from bert_tf.model.encoders import make_encoder
from bert_tf.model.token_lm import TokenLMModel
from bert_tf.pretraining.objectives import make_objective
from bert_tf.pretraining.objectives.distillation import DistillationObjective
from bert_tf.pretraining.objectives.masked_lm import MASKED_LM, MaskedLMModel
from bert_tf.settings import PretrainingSettings
from bert_tf.training.checkpoint import load_checkpoint

FACTORS = {"soft_loss": 5.0, "masked_lm_loss": 2.0, "cosine_loss": 1.0, "logit_mse_loss": 0.0}
TERMS = {"soft_loss": "ce", "masked_lm_loss": "mlm", "cosine_loss": "cos", "logit_mse_loss": "mse"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_files(tmp_path_factory.mktemp("records"))


@pytest.fixture(scope="module")
def golden(golden_dir):
    return dict(np.load(golden_dir / "family" / "distillation" / "losses.npz"))


def golden_batch(golden):
    """The golden labels of each token as positions, ids and weights."""
    labels = golden["mlm_labels"]
    most = (labels >= 0).sum(1).max()
    columns = [np.flatnonzero(row >= 0) for row in labels]
    pad = [(0, most - len(each)) for each in columns]
    positions = np.stack([np.pad(each, p) for each, p in zip(columns, pad, strict=True)])
    weights = np.stack([np.arange(most) < len(each) for each in columns]).astype(np.float32)
    return {
        "input_ids": tf.zeros_like(golden["attention_mask"]),
        "input_mask": tf.constant(golden["attention_mask"]),
        "masked_lm_positions": tf.constant(positions, tf.int32),
        "masked_lm_ids": tf.constant(np.take_along_axis(labels, positions, 1) * (weights > 0)),
        "masked_lm_weights": tf.constant(weights),
    }


@pytest.mark.parametrize("on", ["all", "masked"])
@pytest.mark.parametrize("temperature", [1, 2, 4])
def test_losses_and_gradients_are_distilberts(golden, temperature, on):
    batch, key = golden_batch(golden), f"T{temperature}_{on}"

    def outputs(logits, hidden):
        masked = tf.gather(logits, batch["masked_lm_positions"], batch_dims=1)
        of_all = logits if on == "all" else masked
        return {"logits": of_all, "masked_lm_logits": masked, "sequence_output": hidden}

    teacher = (tf.constant(golden[f"teacher_{what}"]) for what in ("logits", "hidden"))
    of_teacher = outputs(*teacher)
    objective = DistillationObjective(
        make_model=None,
        predictions=(MASKED_LM,),
        run_teacher=lambda _: of_teacher,
        temperature=temperature,
        on_all_tokens=on == "all",
        factors={**FACTORS, "logit_mse_loss": 1e-3},
    )
    student = [tf.constant(golden[f"student_{what}"]) for what in ("logits", "hidden")]
    with tf.GradientTape() as tape:
        tape.watch(student)
        sums, weights = objective.sums(batch, outputs(*student)), objective.weights(batch)
        terms = {n: sums[n] / (weights[n] + objective.epsilons[n]) for n in sums}
        total = tf.add_n([term for name, term in terms.items() if name != "logit_mse_loss"])
    gradients = tape.gradient(total, student)
    for name, theirs in TERMS.items():
        plain = terms[name] / objective.factors[name]
        np.testing.assert_allclose(plain, golden[f"{key}/{theirs}"], rtol=2e-6, err_msg=name)
    np.testing.assert_allclose(total, golden[f"{key}/total"], rtol=1e-6)
    for what, gradient in zip(("logits", "hidden"), gradients, strict=True):
        np.testing.assert_allclose(gradient, golden[f"{key}/gradient_student_{what}"], atol=1e-6)


@pytest.mark.parametrize("predicts_all", [True, False])
def test_logits_are_those_of_a_masked_lm_model(predicts_all):
    config = bert_tf.BertConfig(**CONFIG)
    model = TokenLMModel(make_encoder(config), predicts_all)
    batch = make_batch(make_examples(3, seed=1)[0])
    outputs = model(model.select_features(batch))
    reference = MaskedLMModel(model.encoder)
    for ours, theirs in zip(model.masked_lm.weights, reference.masked_lm.weights, strict=True):
        theirs.assign(ours)
    expected = reference(reference.select_features(batch))
    np.testing.assert_allclose(outputs["masked_lm_logits"], expected, atol=1e-5)
    positions = 12 if predicts_all else 3
    assert outputs["logits"].shape == (3, positions, CONFIG["vocab_size"])
    every = {**batch, "masked_lm_positions": tf.tile(tf.range(12)[None], [3, 1])}
    if predicts_all:
        expected = reference(reference.select_features(every))
        np.testing.assert_allclose(outputs["logits"], expected, atol=1e-5)


def load(folder, num_layers):
    config = bert_tf.BertConfig(**{**CONFIG, "num_hidden_layers": num_layers})
    model = TokenLMModel(make_encoder(config))
    load_checkpoint(model, str(folder))
    return model


def test_an_evaluation_has_the_terms_without_their_weights(files, tmp_path):
    """Against the losses of both models' outputs, in numpy and double precision."""
    results = train(
        *(files, tmp_path / "out", "distillation"),
        max_eval_steps=0,
        temperature=3.0,
        soft_loss_weight=0.5,
        cosine_weight=2.0,
        eval_batch_size=40,
    )
    batch = make_batch(make_examples(40, seed=7)[0])
    student, teacher = (
        {n: v.numpy().astype(np.float64) for n, v in model(model.select_features(batch)).items()}
        for model in (load(tmp_path / "out", 2), load(files / "teacher", 3))
    )
    real = batch["input_mask"].numpy() > 0

    def log_softmax(x):
        return x - np.log(np.exp(x).sum(-1, keepdims=True))

    ours, theirs = (log_softmax(each["logits"][real] / 3) for each in (student, teacher))
    soft = 9 * np.mean(np.sum(np.exp(theirs) * (theirs - ours), -1))
    a, b = (each["sequence_output"][real] for each in (student, teacher))
    cosine = np.mean(
        1 - np.sum(a * b, -1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    )
    assert results["soft_loss"] == pytest.approx(soft, rel=1e-5)
    assert results["cosine_loss"] == pytest.approx(cosine, rel=1e-5)
    loss = 0.5 * soft + 2 * results["masked_lm_loss"] + 2 * cosine
    assert results["loss"] == pytest.approx(loss, rel=1e-5)


def test_a_student_starts_from_the_teachers_first_and_last_layer(files, tmp_path):
    train(
        *(files, tmp_path, "distillation"),
        num_train_steps=2,
        learning_rate=0.0,
        init_from_teacher=True,
    )
    weights, teacher = checkpoint(tmp_path, 2), load(files / "teacher", 3)
    query = "bert/encoder/layer_{}/attention/self/query/kernel"
    theirs = {weight.path: weight.numpy() for weight in teacher.weights}
    for ours, its in ((0, 0), (1, 2)):
        np.testing.assert_array_equal(weights[query.format(ours)], theirs[query.format(its)])
    for name in ("cls/predictions/output_bias", "bert/embeddings/word_embeddings"):
        np.testing.assert_array_equal(weights[name], theirs[name])
    card = (tmp_path / "README.md").read_text()
    assert f"from layers of {files}/teacher for 2 steps" in card
    assert "temperature 2, soft_loss_weight 5, masked_lm_weight 2, cosine_weight 1" in card
    assert bert_tf.BertEncoder.from_preset(str(tmp_path)).num_layers == 2


def test_a_student_learns_its_teachers_answers_on_all_or_masked_tokens(files, tmp_path):
    for on in ("all", "masked"):
        folder = tmp_path / on
        common = {"soft_loss_on": on, "num_train_steps": 60, "config": "no_dropout"}
        train(files, folder, "distillation", **common, masked_lm_weight=0.0)
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        soft = [line["soft_loss"] for line in lines if "soft_loss" in line]
        assert np.mean(soft[-5:]) < 0.7 * np.mean(soft[:5])
        assert not any("masked_lm_loss" in line for line in lines if "gradient_norm" in line)


def test_another_teacher_is_refused_in_the_same_folder(files, tmp_path):
    folder = tmp_path / "teacher"
    write_teacher(folder)
    short = {"num_train_steps": 2, "teacher": str(folder)}
    train(files, tmp_path / "out", "distillation", **short)
    changed = load(folder, 3)
    changed.weights[0].assign_add(tf.ones_like(changed.weights[0]))
    bert_tf.save_checkpoint(changed, str(folder / "bert_model.ckpt"))
    with pytest.raises(ValueError, match="teacher_weights: "):
        train(files, tmp_path / "out", "distillation", **{**short, "num_train_steps": 4})


def refused(files, tmp_path, match, **changes):
    folder = tmp_path / re.sub(r"\W", "", str(changes))
    write_teacher(folder, **changes)
    with pytest.raises(ValueError, match=match):
        train(files, tmp_path / "out", "distillation", teacher=str(folder))


def test_teachers_that_do_not_fit_are_refused(files, tmp_path):
    refused(files, tmp_path, r"vocabulary of 41 pieces, the student one of 40", vocab_size=41)
    refused(files, tmp_path, r"its hidden_size is 16, but 8 .*--cosine_weight=0", hidden_size=16)
    refused(files, tmp_path, r"is a left-to-right model", is_causal=True)
    refused(
        files,
        tmp_path,
        r"reads at most 11 tokens\. .*: sequences of 12",
        max_position_embeddings=11,
    )
    write_teacher(tmp_path / "encoder")
    encoder = make_encoder(bert_tf.BertConfig(**{**CONFIG, "num_hidden_layers": 3}))
    bert_tf.save_checkpoint(encoder, str(tmp_path / "encoder" / "bert_model.ckpt"))
    with pytest.raises(ValueError, match=r"has no cls/predictions/.*needs the head whose outputs"):
        train(files, tmp_path / "out", "distillation", teacher=str(tmp_path / "encoder"))
    with pytest.raises(ValueError, match=r"There is no file or folder 'missing'"):
        train(files, tmp_path / "out", "distillation", teacher="missing")


def test_another_vocabulary_is_refused_with_its_first_row(files, tmp_path):
    write_teacher(tmp_path / "teacher")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(35))]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    (tmp_path / "teacher" / "vocab.txt").write_text("\n".join([*words[:9], "other", *words[10:]]))
    with pytest.raises(ValueError, match=r"row 9 is 'w4' in .*vocab.txt, 'other' in .*teacher"):
        train(
            *(files, tmp_path / "out", "distillation"),
            vocab_file=str(tmp_path / "vocab.txt"),
            teacher=str(tmp_path / "teacher"),
        )


@pytest.mark.parametrize("name", ["albert/spm.model", "roberta/vocab.json"])
def test_vocabularies_of_pieces_and_of_bytes_are_compared(files, golden_dir, name):
    vocab_file = golden_dir / "family" / name
    teacher = find_teacher(str(files / "teacher"), LENGTH)
    found = dataclasses.replace(teacher.files, vocab_file=str(vocab_file))
    teacher = dataclasses.replace(teacher, files=found)
    check_vocabularies(teacher, str(vocab_file), 0)
    words = golden_dir / "family" / "electra" / "vocab.txt"
    first = read_vocabulary(str(vocab_file))[0]
    with pytest.raises(ValueError, match=rf"row 0 is '\[PAD\]' in .*vocab.txt, '{first}' in"):
        check_vocabularies(teacher, str(words), 0)


def test_a_student_without_segments_learns_from_records_of_pairs(files, tmp_path):
    config = {**CONFIG, "model_type": "distilbert", "type_vocab_size": 0, "hidden_act": "gelu_erf"}
    (tmp_path / "student.json").write_text(json.dumps(config))
    common = {"records": "../records", "config": "../student", "num_train_steps": 2}
    (tmp_path / "records.tfrecord").write_bytes((files / "pairs.tfrecord").read_bytes())
    (tmp_path / "files").mkdir()
    teacher = {"teacher": str(files / "teacher"), "init_from_teacher": True}
    results = train(tmp_path / "files", tmp_path / "out", "distillation", **common, **teacher)
    assert np.isfinite(list(results.values())).all()
    assert "bert/embeddings/token_type_embeddings" not in checkpoint(tmp_path / "out", 2)


def test_settings_of_a_distillation_need_a_teacher_and_its_objective():
    common = {"bert_config_file": "c", "output_dir": "o", "input_file": ("r",), "do_train": True}
    with pytest.raises(ValueError, match="--temperature needs --teacher"):
        PretrainingSettings(**common, temperature=3.0)
    with pytest.raises(ValueError, match="--objective=distillation needs a --teacher"):
        PretrainingSettings(**common, objective="distillation")
    with pytest.raises(ValueError, match="Received: --objective=left_to_right"):
        PretrainingSettings(**common, objective="left_to_right", teacher="t")
    with pytest.raises(ValueError, match="--init_checkpoint=x"):
        PretrainingSettings(**common, teacher="t", init_from_teacher=True, init_checkpoint="x")
    assert PretrainingSettings(**common, teacher="t").objective == "distillation"
    assert make_objective(PretrainingSettings(**common)).needs_next_sentence
