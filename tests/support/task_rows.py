"""What the runner does between a task's `encode` and its `predict`, for tests of tasks alone."""

import numpy as np

from bert_tf.tasks.task import Windows


def encode_all(task, examples, split, tokenizer, max_seq_length):
    """The windows of all examples, one list."""
    return [row for each in examples for row in task.encode(each, split, tokenizer, max_seq_length)]


def predict_texts(task, examples, logits):
    """The answers of a classification task, whose examples have one window each."""
    return task.predict(examples, Windows([1] * len(examples), logits), None)


def predict_spans(task, examples, outputs, tokenizer, max_seq_length):
    """The answers of a question answering task."""
    rows = [list(task.encode(each, "eval", tokenizer, max_seq_length)) for each in examples]

    def read_features():
        shape = sum(map(len, rows)), max_seq_length
        features = {name: np.zeros(shape, np.int32) for name in ("input_mask", "segment_ids")}
        for number, row in enumerate(row for windows in rows for row in windows):
            features["input_mask"][number, : len(row["input_ids"])] = 1
            features["segment_ids"][number, : len(row["input_ids"])] = row["segment_ids"]
        return features

    return task.predict(
        examples, Windows([len(each) for each in rows], outputs, read_features), tokenizer
    )
