"""Finds the weights of an encoder that --freeze keeps at their pre-trained values."""

import re
from collections.abc import Sequence

from bert_tf.model.encoder import TransformerEncoder


def frozen_prefixes(parts: Sequence[str], encoder: TransformerEncoder) -> tuple[str, ...]:
    """Returns the name prefixes of the weights that --freeze keeps.

    `parts` are `embeddings`, `pooler`, `encoder` (all of it), `layers:2`, `layers:0-5`; anything
    else raises a ValueError.
    """
    whole = {
        "embeddings": encoder.embeddings_prefix,
        "pooler": encoder.pooler_prefix,
        "encoder": encoder.prefix,
    }
    prefixes = []
    for part in parts:
        match = re.fullmatch(r"layers:(\d+)(?:-(\d+))?", part)
        if part in whole:
            prefixes.append(whole[part])
            continue
        first = int(match[1]) if match else 0
        last = int(match[2] or match[1]) if match else -1
        if not first <= last < encoder.num_layers:
            raise ValueError(
                "--freeze takes embeddings, pooler, encoder (all), and layers:FIRST-LAST with "
                f"numbers from 0 to {encoder.num_layers - 1}. Received: {part!r}"
            )
        prefixes += [encoder.layer_prefix(layer) for layer in range(first, last + 1)]
    return tuple(prefixes)
