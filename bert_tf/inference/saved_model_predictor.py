"""Asks a SavedModel in words, as TensorFlow Serving would: strings in, answers out."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  Its operations are in the graph.

from bert_tf import files
from bert_tf.config import read_json
from bert_tf.inference.answers import Answer, AnswerSpan, ClassAnswer, TaggedWord
from bert_tf.inference.mask_filler import MASK, Candidate, FilledSentence
from bert_tf.inference.versions import DESCRIPTION


class SavedModelPredictor:
    """A SavedModel that `export_saved_model.py` wrote; the verbs of `ModelPredictor`.

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
        self._heads = tuple(description["heads"])
        self._batch_size = batch_size
        self._top_k = description["top_k"]
        self._longest = description["max_seq_length"]
        self._loaded = tf.saved_model.load(folder)

    def has(self, start: str) -> bool:
        """Whether the model has the weights whose names begin so."""
        return start in self._heads

    def classify(self, examples: Sequence[tuple[str, ...]]) -> list[ClassAnswer]:
        """See `ModelPredictor.classify`."""
        return [
            ClassAnswer(
                _text(row["label"]),
                float(row["probability"]),
                dict(zip(map(_text, row["labels"]), row["probabilities"].tolist(), strict=True)),
            )
            for row in self._ask("serving_default", self.inputs, examples)
        ]

    def rate(self, examples: Sequence[tuple[str, ...]]) -> list[float]:
        """See `ModelPredictor.rate`."""
        return [float(row["value"]) for row in self._ask("serving_default", self.inputs, examples)]

    def tag(self, texts: Sequence[str]) -> list[tuple[TaggedWord, ...]]:
        """See `ModelPredictor.tag`."""
        rows = self._ask("serving_default", self.inputs, [(text,) for text in texts])
        names = ("words", "labels", "probabilities", "starts", "ends")
        return [
            tuple(
                TaggedWord(_text(word), _text(label), float(probability), int(start), int(end))
                for word, label, probability, start, end in zip(
                    *(row[name] for name in names), strict=True
                )
                if start >= 0
            )
            for row in rows
        ]

    def answer(self, questions: Sequence[tuple[str, str]]) -> list[Answer]:
        """See `ModelPredictor.answer`."""
        return [_answer(row) for row in self._ask("serving_default", self.inputs, questions)]

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
        for text in sentences:
            if MASK not in text:
                raise ValueError(f"There is no {MASK} to fill. Received: {text!r}")
        rows = self._ask("serving_default", self.inputs, [(text,) for text in sentences])
        for text, row in zip(sentences, rows, strict=True):
            if np.sum(row["positions"] >= 0) < text.count(MASK):
                raise ValueError(
                    f"The model reads {self._longest} tokens at most, and a {MASK} is behind them. "
                    f"Received: {text!r:.200}"
                )
        return [_filled(text, row, top_k) for text, row in zip(sentences, rows, strict=True)]

    def next_sentence(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """See `ModelPredictor.next_sentence`."""
        rows = self._ask("next_sentence", ("text_a", "text_b"), pairs)
        return [float(row["probability"]) for row in rows]

    def embed(self, texts: Sequence[str], pool: str) -> list[np.ndarray]:
        """See `ModelPredictor.embed`.

        Raises:
            ValueError: if the SavedModel is none of an encoder.
        """
        if pool not in self._loaded.signatures:
            raise ValueError(
                f"{self.folder}: the SavedModel, one for {self.kind}, gives no such vectors. "
                "Export the model with --kind=encoder."
            )
        rows = self._ask(pool, self.inputs, [(text,) for text in texts])
        if pool != "tokens":
            return [row["embedding"] for row in rows]
        return [row["embedding"][: row["num_tokens"]] for row in rows]

    def _ask(
        self, signature: str, names: Sequence[str], examples: Sequence[tuple[str, ...]]
    ) -> list[dict[str, np.ndarray]]:
        """The outputs of each example, in their order; like lengths go together."""
        for number, texts in enumerate(examples):
            if len(texts) != len(names):
                raise ValueError(
                    f"Example {number}: the SavedModel takes {', '.join(names)}. "
                    f"Received: {texts!r:.200}"
                )
        call = self._loaded.signatures[signature]
        order = sorted(range(len(examples)), key=lambda place: -sum(map(len, examples[place])))
        results: list[dict[str, np.ndarray]] = [{}] * len(examples)
        for start in range(0, len(examples), self._batch_size):
            places = order[start : start + self._batch_size]
            columns = zip(*(examples[place] for place in places), strict=True)
            inputs = {
                name: tf.constant([text.encode("utf-8", "ignore") for text in column])
                for name, column in zip(names, columns, strict=True)
            }
            outputs = {name: value.numpy() for name, value in call(**inputs).items()}
            for number, place in enumerate(places):
                results[place] = {name: value[number] for name, value in outputs.items()}
        return results


def _text(value: bytes) -> str:
    return value.decode("utf-8")


def _answer(row: Mapping[str, np.ndarray]) -> Answer:
    names = ("nbest_answers", "nbest_probabilities", "nbest_starts", "nbest_ends")
    entries = zip(*(row[name] for name in names), strict=True)
    nbest = tuple(
        AnswerSpan(_text(text), float(probability), int(start), int(end))
        for text, probability, start, end in entries
        if probability > 0
    )
    return Answer(
        _text(row["answer"]),
        float(row["probability"]),
        int(row["start"]),
        int(row["end"]),
        nbest,
        float(row["null_odds"]) if "null_odds" in row else None,
    )


def _filled(text: str, row: Mapping[str, np.ndarray], top_k: int) -> FilledSentence:
    is_mask = row["positions"] >= 0
    candidates = tuple(
        tuple(
            Candidate(_text(token), float(probability))
            for token, probability in zip(tokens[:top_k], probabilities[:top_k], strict=True)
        )
        for tokens, probabilities in zip(
            row["candidates"][is_mask], row["probabilities"][is_mask], strict=True
        )
    )
    tokens = tuple(_text(token) for token in row["tokens"] if token)
    return FilledSentence(text, tokens, candidates)
