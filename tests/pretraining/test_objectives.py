"""The pre-training objectives against numpy, and as whole runs."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from script_process import Script
from small_pretraining import (
    CONFIG,
    LENGTH,
    PREDICTIONS,
    SETTINGS,
    checkpoint,
    make_batch,
    make_examples,
    train,
    write_files,
)

import bert_tf
from bert_tf.model.encoders import make_encoder
from bert_tf.pretraining.objectives import find_objective
from bert_tf.pretraining.objectives.left_to_right import prepare
from bert_tf.settings import PretrainingSettings
from bert_tf.settings.pretraining import OBJECTIVES
from bert_tf.training.checkpoint import named_variables

METRICS = {
    "masked_lm+next_sentence": {"masked_lm", "next_sentence"},
    "masked_lm": {"masked_lm"},
    "masked_lm+span_boundary": {"masked_lm", "span_boundary"},
    "left_to_right": {"next_token"},
}
# The others have tests of their own; all but replaced tokens are here in those of whole runs.
ALONE = tuple(METRICS)
PAIRS = ("masked_lm+next_sentence", "masked_lm+sentence_order")
OF_BERT = [name for name in OBJECTIVES if name != "replaced_tokens"]
WITHOUT_PAIRS = [name for name in OF_BERT if name not in PAIRS]


def make_model(objective, seed=3):
    tf.keras.utils.set_random_seed(seed)
    config = bert_tf.BertConfig(**CONFIG, is_causal=objective.is_causal)
    model = objective.make_model(make_encoder(config))
    rng = np.random.default_rng(seed)
    for variable in named_variables(model).values():  # Biases that are not 0, LayerNorms not 1.
        variable.assign_add(rng.normal(scale=0.1, size=variable.shape))
    return model


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def reference_layers(weights):
    """Dense layer, LayerNorm and both with a gelu in numpy, in double precision, by name."""
    w = {name: np.asarray(value, np.float64) for name, value in weights.items()}

    def dense(x, name):
        return x @ w[f"{name}/kernel"] + w[f"{name}/bias"]

    def normalize(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return scaled * w[f"{name}/LayerNorm/gamma"] + w[f"{name}/LayerNorm/beta"]

    def gelu(x):
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    def transform(x, name):
        return normalize(gelu(dense(x, f"{name}/dense")), name)

    return w, dense, normalize, gelu, transform


def reference_hidden(weights, batch, is_causal):
    """BERT's last layer in numpy: float64 [B, L, H], and the masked LM's logits."""
    w, dense, normalize, gelu, transform = reference_layers(weights)
    ids, mask, segments = (np.asarray(batch[n]) for n in ("input_ids", "input_mask", "segment_ids"))
    embeddings = "bert/embeddings"
    hidden = (
        w[f"{embeddings}/word_embeddings"][ids]
        + w[f"{embeddings}/token_type_embeddings"][segments]
        + w[f"{embeddings}/position_embeddings"][: ids.shape[1]]
    )
    hidden = normalize(hidden, embeddings)
    is_seen = np.broadcast_to(mask[:, None, :] > 0, (len(ids), ids.shape[1], ids.shape[1]))
    if is_causal:
        is_seen = is_seen & np.tril(np.ones(is_seen.shape[1:], bool))
    for number in range(CONFIG["num_hidden_layers"]):
        layer = f"bert/encoder/layer_{number}"
        heads = []
        for head in range(2):
            part = slice(4 * head, 4 * head + 4)
            query, key, value = (
                dense(hidden, f"{layer}/attention/self/{name}")[..., part]
                for name in ("query", "key", "value")
            )
            scores = query @ key.transpose(0, 2, 1) / 2.0  # The root of 4.
            scores = np.where(is_seen, scores, scores - 10_000.0)
            heads.append(np.exp(log_softmax(scores)) @ value)
        attended = dense(np.concatenate(heads, -1), f"{layer}/attention/output/dense")
        hidden = normalize(hidden + attended, f"{layer}/attention/output")
        inner = gelu(dense(hidden, f"{layer}/intermediate/dense"))
        hidden = normalize(hidden + dense(inner, f"{layer}/output/dense"), f"{layer}/output")
    transformed = transform(hidden, "cls/predictions/transform")
    logits = transformed @ w[f"{embeddings}/word_embeddings"].T + w["cls/predictions/output_bias"]
    return hidden, logits


def reference_span_boundary(weights, row, hidden):
    """Yields (log-probabilities, label) of each token of a row's spans, from their neighbours."""
    w, *_, transform = reference_layers(weights)
    head, words = "cls/pair_target_predictions", w["bert/embeddings/word_embeddings"]
    labels = {
        place: label
        for place, label, weight in zip(
            *(row[f"masked_lm_{part}"] for part in ("positions", "ids", "weights")), strict=True
        )
        if weight
    }
    special = {0, 3, row["input_mask"].sum() - 1}  # The second segment begins at 4.
    for start in labels.keys() - {place + 1 for place in labels}:
        end = next(place for place in range(start, LENGTH + 1) if place not in labels)
        if special & {start - 1, end} or end == row["input_mask"].sum():
            continue
        for number in range(end - start):
            place = w[f"{head}/position_embeddings"][number]
            vector = np.concatenate([hidden[start - 1], hidden[end], place])
            vector = transform(transform(vector, f"{head}/join"), f"{head}/transform")
            logits = words @ vector + w[f"{head}/output_bias"]
            yield log_softmax(logits), labels[start + number]


def reference_metrics(name, weights, examples, originals):
    """name -> (loss, accuracy, labels), computed example by example and token by token."""
    rows = [dict(example) for example in examples]
    if name == "left_to_right":
        rows = [{**row, "input_ids": ids} for row, ids in zip(rows, originals, strict=True)]
    batch = {k: np.stack([row[k] for row in rows]) for k in rows[0]}
    hidden, logits = reference_hidden(weights, batch, name == "left_to_right")
    log_probs = log_softmax(logits)
    labels = {"masked_lm": [], "next_token": [], "next_sentence": [], "span_boundary": []}
    for number, row in enumerate(rows):
        for position, label, weight in zip(
            *(row[f"masked_lm_{part}"] for part in ("positions", "ids", "weights")), strict=True
        ):
            if weight:
                labels["masked_lm"].append((log_probs[number, position], label))
        for position in range(int(row["input_mask"].sum()) - 1):
            label = originals[number][position + 1]
            labels["next_token"].append((log_probs[number, position], label))
        if "span_boundary" in METRICS[name]:
            labels["span_boundary"] += reference_span_boundary(weights, row, hidden[number])
        if "next_sentence" in METRICS[name]:
            pooled = np.tanh(
                hidden[number, 0] @ np.asarray(weights["bert/pooler/dense/kernel"], np.float64)
                + weights["bert/pooler/dense/bias"]
            )
            scores = pooled @ np.asarray(weights["cls/seq_relationship/output_weights"]).T
            scores = scores + weights["cls/seq_relationship/output_bias"]
            labels["next_sentence"].append((log_softmax(scores), row["next_sentence_labels"][0]))
    return {
        part: (
            np.mean([-log_probs[label] for log_probs, label in labels[part]]),
            np.mean([np.argmax(log_probs) == label for log_probs, label in labels[part]]),
            len(labels[part]),
        )
        for part in METRICS[name]
    }


@pytest.mark.parametrize("name", ALONE)
def test_losses_and_accuracies_agree_with_numpy(name):
    objective = find_objective(name)
    model = make_model(objective)
    examples, originals = make_examples(9, seed=1)
    batch = make_batch(examples)
    if objective.prepare:
        batch = objective.prepare(batch)
    outputs = model(model.select_features(batch))

    weights, sums = objective.weights(batch), objective.sums(batch, outputs)
    totals = objective.metrics(batch, outputs, all_reduce=lambda sums: sums)
    metrics = {key: float(value / weight) for key, (value, weight) in totals.items()}

    values = {n: v.numpy() for n, v in named_variables(model).items()}
    expected = reference_metrics(name, values, examples, originals)
    for part, (loss, accuracy, count) in expected.items():
        assert count > 2
        key = f"{part}_loss"
        assert float(sums[key] / weights[key]) == pytest.approx(loss, rel=1e-5)
        assert metrics[key] == pytest.approx(loss, rel=1e-5)
        assert metrics[f"{part}_accuracy"] == pytest.approx(accuracy)
    divided = {"span_boundary": lambda count: count / (count + 1)}  # As its authors do.
    total = sum(loss * divided.get(p, lambda _: 1)(n) for p, (loss, _, n) in expected.items())
    assert metrics["loss"] == pytest.approx(total, rel=1e-5)
    names = {"loss", *(f"{p}_{m}" for p in expected for m in ("loss", "accuracy"))}
    positives = {f"{p.name}_positives" for p in objective.predictions if p.is_binary}
    assert set(metrics) == names | positives
    for share in positives:
        assert metrics[share] == pytest.approx(np.mean(batch["next_sentence_labels"]))


def test_a_later_token_changes_no_earlier_position():
    model = make_model(find_objective("left_to_right"))
    examples, originals = make_examples(4, seed=2)
    batch = prepare(make_batch(examples))
    before = model(model.select_features(batch)).numpy()
    for position in range(1, LENGTH - 1):
        changed = originals.copy()
        changed[:, position] = 5 + (changed[:, position] + 1) % 35
        inputs = model.select_features(batch | {"input_ids": tf.constant(changed, tf.int32)})
        after = model(inputs).numpy()
        np.testing.assert_array_equal(after[:, :position], before[:, :position])
        assert np.abs(after[:, position:] - before[:, position:]).max() > 1e-3


def test_a_causal_encoder_pools_the_last_token_that_is_not_padding():
    encoder = make_model(find_objective("left_to_right")).encoder
    examples, _ = make_examples(6, seed=4)
    batch = make_batch(examples)
    outputs = encoder({n: batch[n] for n in ("input_ids", "input_mask", "segment_ids")})
    sizes = batch["input_mask"].numpy().sum(1)
    last = outputs["sequence_output"].numpy()[np.arange(6), sizes - 1]
    kernel, bias = encoder.pooler.dense.kernel.numpy(), encoder.pooler.dense.bias.numpy()
    np.testing.assert_allclose(outputs["pooled_output"], np.tanh(last @ kernel + bias), atol=1e-5)
    alone = encoder({"input_ids": batch["input_ids"][:1, : sizes[0]]})
    assert alone["pooled_output"].shape == (1, CONFIG["hidden_size"])


def test_masked_tokens_are_restored_and_nothing_else_is_changed():
    examples, originals = make_examples(20, seed=5)
    batch = make_batch(examples)
    restored = prepare(batch)
    np.testing.assert_array_equal(restored["input_ids"], originals)
    assert not {"masked_lm_ids", "masked_lm_weights"} & set(restored)
    assert prepare({"input_ids": batch["input_ids"]})["input_ids"] is batch["input_ids"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_files(tmp_path_factory.mktemp("records"))


@pytest.fixture(scope="module")
def trained(files, tmp_path_factory):
    """Returns the folder and the results of a whole run by an objective, which is made once."""
    runs = {}

    def run(name, config="config"):
        if (name, config) not in runs:
            folder = tmp_path_factory.mktemp("trained")
            results = train(files, folder, name, "segments", config, max_eval_steps=3)
            runs[name, config] = (folder, results)
        return runs[name, config]

    return run


def losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def usual_first(names):
    """Parameters of a test: masked_lm, which others have a part of, is slow."""
    return [pytest.param(n, marks=pytest.mark.slow) if n == "masked_lm" else n for n in names]


@pytest.mark.parametrize("name", usual_first(WITHOUT_PAIRS))
def test_a_run_resumes_to_the_same_weights(files, trained, tmp_path, name):
    whole, results = trained(name)
    again = tmp_path / "again"
    shutil.copytree(whole, again)
    for path in again.glob("model.ckpt-8*"):
        path.unlink()
    resumed = train(files, again, name, records="segments", max_eval_steps=3)
    assert resumed == pytest.approx(results)
    written = list(whole.glob("model.ckpt-8*"))
    assert len(written) == 2
    for path in written:
        assert path.read_bytes() == (again / path.name).read_bytes()
    lines = (whole / "eval_results.txt").read_text().splitlines()
    of_parts = [
        f"{part}_{metric}" for part in METRICS.get(name, ()) for metric in ("accuracy", "loss")
    ]
    if name == "distillation":
        of_parts = ["masked_lm_accuracy", "masked_lm_loss", "cosine_loss", "soft_loss"]
    assert [line.split(" = ")[0] for line in lines] == sorted(["global_step", "loss", *of_parts])


@pytest.mark.parametrize("name", OF_BERT)
def test_a_checkpoint_has_the_heads_of_its_objective_and_moments_of_what_it_trains(
    files, trained, tmp_path, name
):
    if name in PAIRS:
        folder = tmp_path
        train(files, folder, name, do_eval=False)
    else:
        folder, _ = trained(name)
    names = set(checkpoint(folder, 8))
    has_pairs = name in PAIRS
    assert "cls/predictions/output_bias" in names
    assert ("cls/seq_relationship/output_weights" in names) == has_pairs
    has_spans = name == "masked_lm+span_boundary"
    assert ("cls/pair_target_predictions/join/dense/kernel/adam_m" in names) == has_spans
    assert "bert/pooler/dense/kernel" in names
    assert ("bert/pooler/dense/kernel/adam_m" in names) == has_pairs
    config = bert_tf.BertConfig.from_json_file(str(folder / "bert_config.json"))
    assert config.is_causal == (name == "left_to_right")


def test_phases_train_a_left_to_right_model(files, tmp_path):
    phases = ",".join(f"seq{LENGTH}pred{PREDICTIONS}:4:{files}/{n}*" for n in ("pairs", "segm"))
    results = train(
        files,
        tmp_path,
        "left_to_right",
        input_file=(),
        phases=phases,
        num_train_steps=PretrainingSettings.num_train_steps,
        max_predictions_per_seq=PretrainingSettings.max_predictions_per_seq,
        max_seq_length=PretrainingSettings.max_seq_length,
    )
    assert results["global_step"] == 8
    for number in (1, 2):
        folder = tmp_path / f"phase_{number}_seq{LENGTH}"
        assert "next_token_loss" in (folder / "eval_results.txt").read_text()
        assert checkpoint(folder, 4 * number)


@pytest.mark.parametrize("name", usual_first(WITHOUT_PAIRS))
def test_two_devices_with_a_batch_in_parts_give_the_losses_of_one(
    files, trained, tmp_path, scripts_dir, name
):
    alone, _ = trained(name, "no_dropout")
    flags = {
        "bert_config_file": files / "no_dropout.json",
        "input_file": files / "segments.tfrecord",
        "objective": name,
        **SETTINGS,
        "max_eval_steps": 3,
        "num_virtual_devices": 2,
        "gradient_accumulation_steps": 2,
        "teacher": files / "teacher" if name == "distillation" else None,
    }
    script = Script(scripts_dir / "run_pretraining.py", tmp_path, flags)
    result = script.run("--do_train", "--do_eval")
    assert result.returncode == 0, result.stderr
    np.testing.assert_allclose(losses(tmp_path / "out"), losses(alone), rtol=2e-5)
    one, two = (
        dict(line.split(" = ") for line in (folder / "eval_results.txt").open())
        for folder in (alone, tmp_path / "out")
    )
    assert {k: float(v) for k, v in two.items()} == pytest.approx(
        {k: float(v) for k, v in one.items()}, rel=1e-4
    )


def test_another_objective_is_refused_in_the_same_folder(files, tmp_path):
    train(files, tmp_path, "masked_lm", num_train_steps=4)
    with pytest.raises(ValueError, match=r"objective: .*masked_lm.* -> .*masked_lm.next_sentence"):
        train(files, tmp_path, "masked_lm+next_sentence", num_train_steps=4)


def test_records_without_labels_are_refused_by_the_originals_objective(files, tmp_path):
    with pytest.raises(ValueError, match=r"no feature next_sentence_labels.*--objective=masked_lm"):
        train(files, tmp_path, "masked_lm+next_sentence", records="segments")


def test_an_unknown_objective_is_refused(files, tmp_path):
    with pytest.raises(ValueError, match=r"--objective must be one of 'masked_lm.next_sentence'"):
        train(files, tmp_path, "permuted")


@pytest.mark.parametrize("name", WITHOUT_PAIRS)
def test_a_run_without_next_sentences_is_used_and_fine_tuned(trained, tmp_path, name):
    run, tuned = str(tmp_path / name), str(tmp_path / "tuned")
    shutil.copytree(trained(name)[0], run)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghij"]
    (tmp_path / name / "vocab.txt").write_text("\n".join(words))

    predictor = bert_tf.Predictor(run, do_lower_case=True)
    assert predictor.embed("a b").shape == (8,)
    if name != "left_to_right":
        assert len(predictor.fill_mask("a [MASK] b").candidates[0]) == 5
    else:
        with pytest.raises(ValueError, match="no masked-LM head"):
            predictor.fill_mask("a [MASK] b")
        with pytest.raises(ValueError, match="predicts the next token"):
            bert_tf.Predictor(run, kind="masked_lm", do_lower_case=True)

    tokenizer = bert_tf.FullTokenizer(f"{run}/vocab.txt")
    model = bert_tf.ClassificationModel.from_preset(run, num_labels=2)
    batch = {"input_ids": np.array([[2, 5, 6, 3], [2, 7, 8, 3]])}
    model.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(batch, np.array([0, 1]), verbose=0)
    model.save_to_preset(tuned, tokenizer)
    assert model.config.is_causal == (name == "left_to_right")
    (answer,) = bert_tf.Predictor(tuned).predict(["a b"])
    logits = model({"input_ids": np.array([[2, 5, 6, 3]])})[0]
    assert answer.probability == pytest.approx(float(tf.reduce_max(tf.nn.softmax(logits))), 1e-5)
