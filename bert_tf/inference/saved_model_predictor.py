"""Answers texts with a SavedModel, called as a server calls it: strings in."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  Its operations are in the graph.

from bert_tf import files
from bert_tf.config import read_json
from bert_tf.inference.versions import DESCRIPTION
from bert_tf.kinds.mask_filler import FilledSentence
from bert_tf.kinds.table import PAIR, find_kind


class SavedModelPredictor:
    """Answers texts with a SavedModel of `export_saved_model.py`, by `ModelPredictor`'s methods.

    Args:
        folder: where its `saved_model.pb` is.
        batch_size: texts that go through it together.

    Raises:
        ValueError: if it was made by something else.
    """

    def __init__(self, folder: str, batch_size: int = 32):
        path = files.join_path(folder, DESCRIPTION)
        if not files.exists(path):
            raise ValueError(
                f"{folder}: no {DESCRIPTION}: the SavedModel was not written by "
                "export_saved_model.py. Call its signatures yourself, with tf.saved_model.load."
            )
        description = read_json(path)
        self.folder = folder
        self.kind: str = description["kind"]
        self.inputs = tuple(description["inputs"])
        self.labels = tuple(description["labels"])
        self.max_seq_length: int = description["max_seq_length"]
        self.has_pooler = "bert/pooler" in description["heads"]
        self._heads = tuple(description["heads"])
        self._batch_size = batch_size
        self._top_k = description["top_k"]
        self._loaded = tf.saved_model.load(folder)

    def has_head(self, prefix: str) -> bool:
        """Returns whether the model has the head whose weights' names begin so."""
        return prefix.rstrip("/") in self._heads

    def predict(self, examples: Sequence[tuple]) -> list[Any]:
        """Returns an answer to each example, a tuple with a text for each of `inputs`."""
        return self._answers("serving_default", self.inputs, examples)

    def fill(self, sentences: Sequence[str], top_k: int) -> list[FilledSentence]:
        """See `ModelPredictor.fill`.

        Raises:
            ValueError: if more candidates are wanted than it was exported with.
        """
        if not 1 <= top_k <= self._top_k:
            raise ValueError(
                f"{self.folder}: exported with --top_k={self._top_k}, and gives no more. "
                f"Received: {top_k}"
            )
        filled = self.predict([(text,) for text in sentences])
        return [
            dataclasses.replace(each, candidates=tuple(c[:top_k] for c in each.candidates))
            for each in filled
        ]

    def next_sentence(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """See `ModelPredictor.next_sentence`."""
        return self._answers("next_sentence", PAIR, pairs)

    def embed(self, texts: Sequence[str], pool: str) -> list[np.ndarray]:
        """See `ModelPredictor.embed`.

        Raises:
            ValueError: if it is no encoder's SavedModel.
        """
        if pool not in self._loaded.signatures:
            raise ValueError(
                f"{self.folder}: the SavedModel, one for {self.kind}, gives no such vectors. "
                "Export the model with --kind=encoder."
            )
        return self._answers(pool, self.inputs, [(text,) for text in texts])

    def _answers(
        self, signature: str, names: Sequence[str], examples: Sequence[tuple]
    ) -> list[Any]:
        for number, texts in enumerate(examples):
            if len(texts) != len(names):
                raise ValueError(
                    f"Example {number}: the SavedModel takes {', '.join(names)}. "
                    f"Received: {texts!r:.200}"
                )
        call, answer_of = self._loaded.signatures[signature], find_kind(self.kind).module.answer_of
        answers: list[Any] = [None] * len(examples)
        for places in _batches(examples, self._batch_size):
            columns = zip(*(examples[place] for place in places), strict=True)
            inputs = {
                name: tf.constant(_encoded(column))
                for name, column in zip(names, columns, strict=True)
            }
            outputs = {name: value.numpy() for name, value in call(**inputs).items()}
            for number, place in enumerate(places):
                row = {name: value[number] for name, value in outputs.items()}
                answers[place] = answer_of(examples[place], row)
        return answers


def _batches(examples: Sequence[tuple], batch_size: int) -> Iterator[list[int]]:
    """Yields the places of examples that go together: of like length, with as many texts."""
    counts = [tuple(1 if isinstance(t, str) else len(t) for t in texts) for texts in examples]
    lengths = [sum(len(t) if isinstance(t, str) else len("".join(t)) for t in texts)
               for texts in examples]  # fmt: skip
    batch: list[int] = []
    for place in sorted(range(len(examples)), key=lambda p: (counts[p], -lengths[p])):
        if batch and (len(batch) == batch_size or counts[place] != counts[batch[0]]):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _encoded(texts: Any) -> Any:
    """Encodes texts, and lists of them, as UTF-8."""
    if isinstance(texts, str):
        return texts.encode("utf-8", "ignore")
    return [_encoded(text) for text in texts]
