"""Answers texts with a model that is loaded in Python."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from bert_tf.kinds import encoder
from bert_tf.kinds.loaded_model import LoadedModel
from bert_tf.kinds.mask_filler import FilledSentence
from bert_tf.kinds.table import find_kind


class ModelPredictor:
    """Answers texts with a loaded model.

    Args:
        loaded: the model.
        batch_size: rows of ids that go through it together.
        options: the kind's export options, such as `pooling`; by default its defaults.

    It may be used from several threads at once.
    """

    def __init__(self, loaded: LoadedModel, batch_size: int = 32, **options: Any):
        self.loaded = loaded
        self.kind, self.inputs, self.labels = loaded.kind, loaded.inputs, loaded.labels
        self.max_seq_length = loaded.max_seq_length
        self.has_pooler = loaded.has_pooler
        self.has_head = loaded.has_head
        self._batch_size = batch_size
        self._inference = find_kind(loaded.kind).module.Inference(loaded, batch_size, **options)
        self.predict = self._inference.predict
        self.is_answerable = self._inference.is_answerable

    @functools.cached_property
    def _encoder(self) -> encoder.Inference:
        return encoder.Inference(self.loaded, self._batch_size)

    def fill(self, sentences: Sequence[str], top_k: int) -> list[FilledSentence]:
        """Returns the most probable word pieces for every [MASK] of every sentence."""
        return self._inference.fill(sentences, top_k)

    def next_sentence(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Returns the probability that the second text follows the first, for each pair."""
        return self._inference.next_sentence(pairs)

    def embed(self, texts: Sequence[str], pool: str) -> list[np.ndarray]:
        """Returns the vectors of each text: float32 [H], or [tokens, H] with `tokens`."""
        return self._encoder.embed(texts, pool)
