"""Estimates the memory, in bytes, that a replica needs for a training step.

    weights       float32, plus a half-precision copy with mixed precision
    slots         Adam's or LAMB's two moments of each weight, float32
    sums          with gradient accumulation: the accumulated gradients, float32
    gradients     float32, plus the optimizer's temporary arrays
    activations   kept by the forward pass for the backward pass, plus the gradients of one block
    logits        at the masked positions, with their probabilities and gradients
    runtime       TensorFlow itself: graphs, kernels, libraries

A step that XLA compiles frees activations while it computes gradients, so only the larger of the
two counts. Without XLA both are in memory, along with several arrays as large as all gradients:
clipping waits for all gradients, and then the updates of all weights start at once.

Axes: B micro-batch size, L sequence length, H hidden size, N heads, F feed-forward width, V
vocabulary, M masked positions.
"""

import dataclasses

from bert_tf.config import BertConfig
from bert_tf.planning.costs import count_pretraining_parameters

FLOAT32, HALF = 4, 2
NUM_SLOTS = 2
# Measured beyond all other parts: see benchmarks/results/plan_pretraining.md.
RUNTIME = 2e8
# Gradients, clipped gradients, and terms of the moments. This value agrees with the original
# README's table of batch sizes, and with measurements (docs/planning.md).
COPIES_OF_GRADIENTS = 3.5
# Logits, their softmax and their gradient.
_COPIES_OF_LOGITS = 3
# The backward pass of gelu in its tanh form keeps the input, half of it, the tanh, and the output.
_VALUES_OF_GELU = 4


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes per replica, by part; with `overlaps`, gradients reuse the activations' memory."""

    weights: float
    slots: float
    sums: float
    gradients: float
    activations: float
    logits: float
    runtime: float = RUNTIME
    overlaps: bool = False

    @property
    def total(self) -> float:
        """Peak memory of the step."""
        parts = (self.gradients, self.activations + self.logits)
        passing = max(parts) if self.overlaps else sum(parts)
        return self.weights + self.slots + self.sums + passing + self.runtime


@dataclasses.dataclass(frozen=True)
class MemoryModel:
    """Computes the memory of a training step for any batch size.

    config: the model's shape.
    max_seq_length: L.
    max_predictions: M.
    is_half: whether the model computes in bfloat16 or float16.
    recomputes: whether the backward pass recomputes the activations of each block from its input.
    is_compiled: whether XLA compiles the step.
    """

    config: BertConfig
    max_seq_length: int
    max_predictions: int
    is_half: bool = False
    recomputes: bool = False
    is_compiled: bool = False

    def block_bytes(self) -> float:
        """Returns the bytes that one block keeps of one example for the backward pass.

        Per token, with c bytes per number in matrix products:

            c H times 4       query, key, value, and the attention output
            c H times 2       half precision only: copies of what enters attention and feed-forward
            4 H times 4       the residual sums and their LayerNorm outputs, float32
            1 H times 2       two dropout masks
            c F times 4       the inputs, intermediate values and output of gelu

        Per pair of tokens and head: the softmax in float32, the dropout mask, the dropout output,
        and in half precision a copy of the softmax.
        """
        config, bytes_each = self.config, HALF if self.is_half else FLOAT32
        copies = 2 if self.is_half else 0
        token = config.hidden_size * ((4 + copies) * bytes_each + 4 * FLOAT32 + 2)
        token += config.intermediate_size * _VALUES_OF_GELU * bytes_each
        pair = FLOAT32 + 1 + bytes_each + (bytes_each if self.is_half else 0)
        length = self.max_seq_length
        return length * token + config.num_attention_heads * length * length * pair

    def example_bytes(self) -> tuple[float, float]:
        """Returns the bytes of activations and of logits per example."""
        config, block = self.config, self.block_bytes()
        stream = self.max_seq_length * config.hidden_size * FLOAT32
        embeddings = 3 * stream  # The sum, LayerNorm's output, dropout's output with its mask.
        if self.recomputes:
            # One block at a time is in memory twice: its activations, and their gradients.
            activations = embeddings + config.num_hidden_layers * stream + 2 * block
        else:
            activations = embeddings + (config.num_hidden_layers + 1) * block
        logits = _COPIES_OF_LOGITS * FLOAT32 * self.max_predictions * config.vocab_size
        return activations, float(logits)

    def of_batch(self, num_examples: int, accumulates: bool = False) -> Memory:
        """Returns the memory of a step with `num_examples` examples per micro-batch.

        Args:
            num_examples: B.
            accumulates: whether gradients are accumulated over several micro-batches.
        """
        parameters = count_pretraining_parameters(self.config)
        activations, logits = self.example_bytes()
        return Memory(
            weights=float(parameters * (FLOAT32 + (HALF if self.is_half else 0))),
            slots=float(parameters * NUM_SLOTS * FLOAT32),
            sums=float(parameters * FLOAT32 if accumulates else 0),
            gradients=float(
                parameters * FLOAT32 * (1 if self.is_compiled else COPIES_OF_GRADIENTS)
            ),
            activations=num_examples * activations,
            logits=num_examples * logits,
            overlaps=self.is_compiled,
        )

    def largest_batch(self, num_bytes: float, accumulates: bool = False) -> int:
        """Returns the largest B that fits into `num_bytes`; 0 if not even one example does."""
        idle = self.of_batch(0, accumulates)
        if idle.total > num_bytes:
            return 0
        left = num_bytes - idle.total + (idle.gradients if idle.overlaps else 0.0)
        return int(left / sum(self.example_bytes()))
