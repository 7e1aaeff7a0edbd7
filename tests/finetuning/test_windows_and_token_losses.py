"""A task with several windows per example and a loss per token, through the whole program.

Words are tagged with whether they tell an opinion. An example is longer than a sequence: its
windows overlap, and each word counts in the first window that has it.
"""

import dataclasses
import random

import numpy as np
import pytest
import tensorflow as tf
from small_finetuning import small_finetuning

from bert_tf.data.schema import Feature
from bert_tf.finetuning.objective import TaskObjective, window_losses
from bert_tf.finetuning.run import FinetuningRun
from bert_tf.tasks.task import Windows

SIZE, STRIDE = 6, 3  # Words per window, and between the starts of two.
OPINIONS = ["good", "fine", "great", "lovely", "bad", "poor", "awful", "dull"]
OTHERS = ["the", "film", "is", "was", "a", "very", "plot", "and", "cast", "story"]


@dataclasses.dataclass(frozen=True)
class Options:
    data_dir: str = ""


class WordTask:
    """Tags words; an example is a list of words."""

    name, kind, inputs, options, labels = "words", "tagging", ("text",), Options(), ("no", "yes")
    default_seq_length, metric = SIZE + 2, "accuracy"
    padding_matters = False

    def __init__(self, path):
        self.path = path

    def splits(self, purpose):
        return (purpose,)

    def sources(self, split):
        return [str(self.path / f"{split}.txt")]

    def read(self, split):
        with open(self.sources(split)[0]) as file:
            return [line.split() for line in file]

    def features(self, split, max_seq_length):
        names = ("input_ids", "input_mask", "segment_ids", "label_ids")
        features = {name: Feature((max_seq_length,)) for name in names}
        return {**features, "token_weights": Feature((max_seq_length,), "float32")}

    def encode(self, example, split, tokenizer, max_seq_length):
        for start in range(0, len(example), STRIDE):
            words = example[start : start + SIZE]
            ids = tokenizer.convert_tokens_to_ids(["[CLS]", *words, "[SEP]"])
            seen = SIZE - STRIDE if start else 0
            weights = [float(i >= seen) for i in range(len(words))]
            yield {
                "input_ids": ids,
                "segment_ids": [0] * len(ids),
                "label_ids": [0, *(int(word in OPINIONS) for word in words)],
                "token_weights": [0.0, *weights],
            }
            if start + SIZE >= len(example):
                return

    def head(self, encoder):
        from bert_tf.model.task_heads import TokenClassificationModel

        return TokenClassificationModel(encoder, 2)

    def loss(self, batch, outputs):
        logits = tf.cast(outputs, tf.float32)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(batch["label_ids"], logits)

    def loss_weights(self, batch):
        return batch["token_weights"]

    def predict(self, examples, windows, tokenizer):
        weights = windows.read_features()["token_weights"]
        answers = []
        for rows in windows.rows_by_example():
            counts = weights[rows] > 0
            tags = np.argmax(windows.outputs[rows], axis=-1)[:, : counts.shape[1]]
            answers.append(tags[counts[:, : tags.shape[1]]].tolist())
        return answers

    def score(self, examples, answers):
        hits = [
            (word in OPINIONS) == bool(tag)
            for words, tags in zip(examples, answers, strict=True)
            for word, tag in zip(words, tags, strict=True)
        ]
        return {"accuracy": float(np.mean(hits))}

    def is_collapsed(self, examples, answers):
        return False

    def write(self, split, examples, answers, folder):
        return []


@pytest.fixture
def task(tmp_path):
    rng = random.Random(1)
    for split, size in (("train", 96), ("eval", 21)):
        lines = []
        for _ in range(size):
            words = rng.choices([*OTHERS, *OPINIONS], k=rng.randint(1, 15))
            lines.append(" ".join(words))
        (tmp_path / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return WordTask(tmp_path)


@pytest.fixture
def run(small_model, task, tmp_path):
    settings = small_finetuning(
        small_model,
        "words",
        tmp_path / "out",
        max_seq_length=0,  # The task's own.
        train_batch_size=8,
        eval_batch_size=5,
        learning_rate=5e-3,
    )
    return FinetuningRun(settings, task)


def numpy_losses(features, logits):
    """[F, L]: the cross entropies, computed apart."""
    logits = np.float64(logits)
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    labels = features["label_ids"][:, : logits.shape[1]]
    return -np.take_along_axis(log_probs, labels[..., None], axis=-1)[..., 0]


def test_the_loss_is_the_weighted_mean_over_the_tokens_of_real_rows(task):
    rng = np.random.default_rng(0)
    batch = {
        "label_ids": rng.integers(0, 2, (4, 8)).astype(np.int32),
        "token_weights": rng.random((4, 8)).astype(np.float32),
        "is_real_example": np.array([1, 1, 0, 1], np.float32),
    }
    logits = rng.normal(size=(4, 8, 2)).astype(np.float32)
    losses = numpy_losses(batch, logits)
    weights = batch["token_weights"] * batch["is_real_example"][:, None]
    batch = {name: tf.constant(value) for name, value in batch.items()}
    objective = TaskObjective(task)
    (total,) = objective.sums(batch, logits).values()
    (weight,) = objective.weights(batch).values()
    mean = (losses * weights).sum() / weights.sum()
    assert float(total / weight) == pytest.approx(mean, rel=1e-6)
    by_window = window_losses(task, batch, logits)
    np.testing.assert_allclose(by_window["loss"], (losses * weights).sum(1), rtol=1e-5)
    np.testing.assert_allclose(by_window["loss_weight"], weights.sum(1), rtol=1e-6)


def test_every_row_of_a_batch_says_which_example_it_is_a_window_of(run, task):
    feature_file, records = run.data.records("eval")
    examples = task.read("eval")
    words = [max(1, -(-(len(e) - SIZE) // STRIDE) + 1) for e in examples]
    assert list(feature_file.windows_per_example) == words
    expected = np.repeat(np.arange(len(examples)), words)
    for batch in records.ordered_batches(5):
        numbers = batch["feature_numbers"].numpy()
        is_real = numbers >= 0
        np.testing.assert_array_equal(
            batch["example_index"].numpy()[is_real], expected[numbers[is_real]]
        )


def test_it_learns_and_its_answers_and_loss_are_those_of_all_windows_together(run, task):
    run.train()
    results = run.evaluator.evaluate_and_write()
    assert results["eval_accuracy"] > 0.95
    features = run.data.records("eval")[1].arrays()
    logits = run.model(run.model.select_features(features), training=False)
    losses = numpy_losses(features, logits)
    weights = features["token_weights"]
    expected = (losses * weights).sum() / weights.sum()
    assert results["eval_loss"] == pytest.approx(expected, abs=1e-5)
    found = run.evaluator.answers("eval")
    assert [len(tags) for tags in found.answers] == [len(words) for words in task.read("eval")]


def test_windows_give_each_example_its_rows_and_refuse_other_outputs():
    windows = Windows([2, 0, 1], np.zeros((3, 4)))
    assert windows.rows_by_example() == [slice(0, 2), slice(2, 2), slice(2, 3)]
    with pytest.raises(ValueError, match="outputs of 2 windows, but the examples have 3"):
        Windows([2, 0, 1], np.zeros((2, 4)))
