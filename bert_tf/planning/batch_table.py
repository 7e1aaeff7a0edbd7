"""The largest batches of a training step, by model, length, precision and memory, as a table.

The original's README has such a table for its own code and 12 GB; docs/out_of_memory.md has ours.
"""

from collections.abc import Sequence

from bert_tf.config import BertConfig
from bert_tf.planning.memory import MemoryModel

LENGTHS = (64, 128, 256, 384, 512)
GIGABYTES = (8, 12, 16, 24, 40, 80)
MODELS = ("bert_base_uncased", "bert_large_uncased")
# Name of the column -> fields of `MemoryModel`: what one would try in turn.
WAYS = {
    "float32": {},
    "half precision": {"is_half": True},
    "half, recomputed": {"is_half": True, "recomputes": True},
}


def largest_batch(
    config: BertConfig, max_seq_length: int, gigabytes: float, margin: float = 0.1, **how: bool
) -> int:
    """Returns the most examples of a fine-tuning step that fit into a device's memory; may be 0.

    Args:
        gigabytes: the device's memory, in 1e9 bytes.
        margin: fraction of it that stays free.
        how: fields of `MemoryModel`.
    """
    # The heads of fine-tuning are small beside the encoder.
    model = MemoryModel(config, max_seq_length, max_predictions=0, **how)
    return model.largest_batch((1.0 - margin) * gigabytes * 1e9)


def batch_table(models: Sequence[tuple[str, BertConfig]], margin: float = 0.1) -> list[str]:
    """Returns the lines of a Markdown table of `largest_batch`es, for named configurations."""
    lines = [
        f"| model | tokens | precision | {' | '.join(f'{size} GB' for size in GIGABYTES)} |",
        "|---" * (3 + len(GIGABYTES)) + "|",
    ]
    for name, config in models:
        for length in (each for each in LENGTHS if each <= config.longest_sequence):
            for way, how in WAYS.items():
                sizes = [largest_batch(config, length, size, margin, **how) for size in GIGABYTES]
                lines.append(f"| {name} | {length} | {way} | {' | '.join(map(str, sizes))} |")
    return lines
