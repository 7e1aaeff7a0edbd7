"""Which layers of a teacher a student starts from and learns from, and what all layers computed.

For a student of m layers of a teacher of n, where layers are counted from 0:

    starts from    the first layer from the first, the last from the last, the others evenly in
                   between; an only layer from the first       12 -> 6: layers 0, 2, 4, 7, 9, 11
    learns from    layer i learns the output of layer
                   ceil((i + 1) * n / m) - 1                   12 -> 6: layers 1, 3, 5, 7, 9, 11

Source: for the first DistilBERT's `extract.py`, in huggingface/transformers,
research_projects/distillation; for the second the uniform rule of TinyBERT, Jiao et al. 2020.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from bert_tf.model.attention_maps import attention_scores
from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.heads import HeadModel


def layers_to_start_from(num_student: int, num_teacher: int) -> tuple[int, ...]:
    """Returns the number of the teacher's layer whose weights each layer of the student gets.

    Raises a ValueError if the student has more layers than the teacher.
    """
    _check(num_student, num_teacher)
    last, gaps = num_teacher - 1, max(num_student - 1, 1)
    return tuple((2 * layer * last + gaps) // (2 * gaps) for layer in range(num_student))


def layers_to_learn_from(num_student: int, num_teacher: int) -> tuple[int, ...]:
    """Returns the number of the teacher's layer whose output each layer of the student learns.

    Raises a ValueError if the student has more layers than the teacher.
    """
    _check(num_student, num_teacher)
    return tuple(-(-layer * num_teacher // num_student) - 1 for layer in range(1, num_student + 1))


def _check(num_student: int, num_teacher: int) -> None:
    if not 1 <= num_student <= num_teacher:
        raise ValueError(
            f"A student has at most as many layers as its teacher, {num_teacher}. Received: "
            f"{num_student} layers"
        )


@dataclasses.dataclass(frozen=True)
class ObservedLayers:
    """What the layers of an encoder computed: one tensor per layer in each list."""

    hidden: list[tf.Tensor]  # Their outputs, [B, L, H].
    scores: list[tf.Tensor]  # Of their attention, before the softmax, float32 [B, N, L, L].


@contextlib.contextmanager
def observed_layers(encoder: TransformerEncoder) -> Iterator[list[ObservedLayers]]:
    """Within this context, each run of the encoder adds what its layers computed to the list.

    All positions are computed, also where a head needs few, and the scores once more.
    """
    seen: list[ObservedLayers] = []
    compute = encoder._outputs

    def compute_all(inputs, training: bool, select=None) -> dict:
        outputs = compute(inputs, training)
        scores = attention_scores(encoder, outputs)
        seen.append(ObservedLayers(list(outputs["all_encoder_layers"]), scores))
        if select is None:
            return outputs
        return {**outputs, "sequence_output": select(outputs["sequence_output"])}

    encoder._outputs = compute_all
    try:
        yield seen
    finally:
        del encoder._outputs


class LayerwiseModel:
    """A model that returns its outputs and what all its layers computed.

    In everything else it is the model that it is made from.
    """

    def __init__(self, model: HeadModel):
        self._model = model

    def __getattr__(self, name: str):
        return getattr(self._model, name)

    def __call__(self, inputs, training: bool = False) -> tuple[Any, ObservedLayers]:
        with observed_layers(self._model.encoder) as seen:
            outputs = self._model(inputs, training=training)
        (layers,) = seen
        return outputs, layers
