"""Estimates the memory, in bytes, that a replica needs for a training step.

A step that XLA compiles frees activations while it computes gradients, so only the larger of the
two counts. Without XLA both are in memory, along with several arrays as large as all gradients:
clipping waits for all gradients, and then the updates of all weights start at once.
"""

import dataclasses

from bert_tf.config import BertConfig
from bert_tf.planning.costs import count_pretraining_parameters, electra_parts, num_blocks

_FLOAT32, _HALF = 4, 2
_RUNTIME = 2e8  # Beyond all other parts, as in benchmarks/results/plan_pretraining.md.
# Gradients, clipped gradients, and terms of the moments. Agrees with the original README's table
# of batch sizes and with measurements (docs/planning.md).
_COPIES_OF_GRADIENTS = 3.5
_COPIES_OF_LOGITS = 3  # Logits, their softmax and their gradient.
# The backward pass of gelu in its tanh form keeps the input, half of it, the tanh, and the output.
_VALUES_OF_GELU = 4


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes per replica, by part."""

    weights: float  # float32, and a copy in half precision with mixed precision.
    slots: float  # Adam's or LAMB's two moments of each weight, float32.
    sums: float  # Accumulated gradients, with gradient accumulation.
    gradients: float  # With the optimizer's temporary arrays.
    activations: float  # Kept for the backward pass, plus the gradients of one block.
    logits: float  # At the masked positions, with their probabilities and gradients.
    runtime: float = _RUNTIME  # TensorFlow itself: graphs, kernels, libraries.
    overlaps: bool = False  # Whether gradients reuse the activations' memory.

    @property
    def total(self) -> float:
        """Peak memory of the step."""
        parts = (self.gradients, self.activations + self.logits)
        passing = max(parts) if self.overlaps else sum(parts)
        return self.weights + self.slots + self.sums + passing + self.runtime


@dataclasses.dataclass(frozen=True)
class MemoryModel:
    """Computes the memory of a training step for any batch size."""

    config: BertConfig
    max_seq_length: int
    max_predictions: int
    is_half: bool = False  # Whether the model computes in bfloat16 or float16.
    recomputes: bool = False  # Whether each block's activations are recomputed from its input.
    is_compiled: bool = False  # Whether XLA compiles the step.

    def block_bytes(self) -> float:
        """Returns the bytes that one block keeps of one example for the backward pass."""
        config, length = self.config, self.max_seq_length
        size, half_size = (_HALF, _HALF) if self.is_half else (_FLOAT32, 0)
        # Query, key, value, attention output; in half precision, copies of the inputs of attention
        # and feed-forward; residual sums and LayerNorm outputs in float32; two dropout masks.
        token = config.hidden_size * (4 * size + 2 * half_size + 4 * _FLOAT32 + 2)
        token += config.intermediate_size * _VALUES_OF_GELU * size
        # Per pair of tokens in a head: softmax in float32, dropout mask and output; in half
        # precision, a copy of the softmax.
        pair = _FLOAT32 + 1 + size + half_size
        return length * token + config.num_attention_heads * length * length * pair

    def example_bytes(self) -> tuple[float, float]:
        """Returns the bytes of activations and of logits per example."""
        if self.config.model_type == "electra":  # The discriminator has no logits of words.
            parts = [dataclasses.replace(self, config=c) for c in electra_parts(self.config)]
            (generator, logits), (discriminator, _) = (part.example_bytes() for part in parts)
            return generator + discriminator, logits
        config, block = self.config, self.block_bytes()
        stream = self.max_seq_length * config.hidden_size * _FLOAT32
        narrow = config.embedding_size or config.hidden_size
        # Embeddings: the sum, LayerNorm's output, dropout's output.
        activations = 3 * stream * narrow / config.hidden_size
        if self.recomputes:
            # One block's activations, with their gradients.
            activations += num_blocks(config) * stream + 2 * block
        else:
            activations += (num_blocks(config) + 1) * block
        logits = _COPIES_OF_LOGITS * _FLOAT32 * self.max_predictions * config.vocab_size
        return activations, float(logits)

    def of_batch(self, num_examples: int, accumulates: bool = False) -> Memory:
        """Returns the memory for a micro-batch, which is one of several if `accumulates`."""
        parameters = count_pretraining_parameters(self.config)
        activations, logits = self.example_bytes()
        copies = 1 if self.is_compiled else _COPIES_OF_GRADIENTS
        return Memory(
            weights=float(parameters * (_FLOAT32 + (_HALF if self.is_half else 0))),
            slots=float(parameters * 2 * _FLOAT32),
            sums=float(parameters * _FLOAT32 if accumulates else 0),
            gradients=float(parameters * _FLOAT32 * copies),
            activations=num_examples * activations,
            logits=num_examples * logits,
            overlaps=self.is_compiled,
        )

    def largest_batch(self, num_bytes: float, accumulates: bool = False) -> int:
        """Returns the largest micro-batch that fits into `num_bytes`; may be 0."""
        idle = self.of_batch(0, accumulates)
        if idle.total > num_bytes:
            return 0
        left = num_bytes - idle.total + (idle.gradients if idle.overlaps else 0.0)
        return int(left / sum(self.example_bytes()))
