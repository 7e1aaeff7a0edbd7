"""What a replica's memory must hold in a training step, in bytes.

    weights       float32, and a copy in half precision where matrix products are in it
    slots         Adam's or LAMB's two averages of each weight, float32
    sums          with accumulation: the gradients of the parts that are done, float32
    gradients     float32, and what the optimizer makes of them
    activations   what the forward pass leaves for the backward pass, and one block's gradients
    logits        of the masked positions, with their probabilities and gradients
    runtime       TensorFlow's own: graphs, kernels, libraries

A step that XLA compiles lets go of activations as it makes gradients, so only the larger of the two
counts. A graph that is not compiled needs both, and several arrays as large as all gradients: each
weight's update is begun at once when clipping, which waits for all gradients, is over.

Axes: B examples at a time, L sequence length, H hidden size, N heads, F feed-forward width, V
vocabulary, M masked positions.
"""

import dataclasses

from bert_tf.config import BertConfig
from bert_tf.planning.costs import count_pretraining_parameters

FLOAT32, HALF = 4, 2
NUM_SLOTS = 2
# What a step took here beyond all else: see benchmarks/results/plan_pretraining.md.
RUNTIME = 2e8
# Gradients, clipped ones, and what goes into the averages: with it the plan agrees with the
# original README's table of what fits, and with what was measured here (docs/planning.md).
COPIES_OF_GRADIENTS = 3.5
# Logits, their softmax and their gradient.
_COPIES_OF_LOGITS = 3
# For the backward pass of gelu in its tanh form: what goes in, the tanh, half of what goes in, and
# what comes out.
_VALUES_OF_GELU = 4


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes of a replica; with `overlaps` gradients take the place of activations."""

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
        """The most that is there at a time."""
        parts = (self.gradients, self.activations + self.logits)
        passing = max(parts) if self.overlaps else sum(parts)
        return self.weights + self.slots + self.sums + passing + self.runtime


@dataclasses.dataclass(frozen=True)
class MemoryModel:
    """The memory of a step of one model and length, for any number of examples.

    config: the model's shape.
    max_seq_length: L.
    max_predictions: M.
    is_half: whether matrix products are in bfloat16 or float16.
    recomputes: whether blocks keep their input only, and are computed again in the backward pass.
    is_compiled: whether XLA compiles the step.
    """

    config: BertConfig
    max_seq_length: int
    max_predictions: int
    is_half: bool = False
    recomputes: bool = False
    is_compiled: bool = False

    def block_bytes(self) -> float:
        """What one block keeps of one example for the backward pass.

        A token, with matrix products of c bytes a number:

            c H times 4       query, key, value, and what attention makes of them
            c H times 2       in half precision: what goes into either half, as a copy
            4 H times 4       the residual sums and what LayerNorm makes of them, float32
            1 H times 2       two dropout masks
            c F times 4       what gelu needs, and its result

        A pair of tokens in a head: the softmax in float32, its mask, what dropout leaves of it, and
        in half precision a copy before that.
        """
        config, bytes_each = self.config, HALF if self.is_half else FLOAT32
        copies = 2 if self.is_half else 0
        token = config.hidden_size * ((4 + copies) * bytes_each + 4 * FLOAT32 + 2)
        token += config.intermediate_size * _VALUES_OF_GELU * bytes_each
        pair = FLOAT32 + 1 + bytes_each + (bytes_each if self.is_half else 0)
        length = self.max_seq_length
        return length * token + config.num_attention_heads * length * length * pair

    def example_bytes(self) -> tuple[float, float]:
        """Activations and logits of one example."""
        config, block = self.config, self.block_bytes()
        stream = self.max_seq_length * config.hidden_size * FLOAT32
        embeddings = 3 * stream  # The sum, LayerNorm's result, and with its mask dropout's.
        if self.recomputes:
            # One block at a time is there twice: computed again, and its gradients.
            activations = embeddings + config.num_hidden_layers * stream + 2 * block
        else:
            activations = embeddings + (config.num_hidden_layers + 1) * block
        logits = _COPIES_OF_LOGITS * FLOAT32 * self.max_predictions * config.vocab_size
        return activations, float(logits)

    def of_batch(self, num_examples: int, accumulates: bool = False) -> Memory:
        """The memory for a replica that computes so many examples at a time.

        Args:
            num_examples: B.
            accumulates: whether the batch is computed in several parts.
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
        """How many examples at a time fit into so many bytes; 0 if none does."""
        idle = self.of_batch(0, accumulates)
        if idle.total > num_bytes:
            return 0
        left = num_bytes - idle.total + (idle.gradients if idle.overlaps else 0.0)
        return int(left / sum(self.example_bytes()))
