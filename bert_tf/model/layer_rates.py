"""Finds the weights that --freeze keeps, and the learning rates of --layer_wise_decay.

Rates fall from the last layer to the embeddings. With decay d, and n layers counted from 0:

    embeddings and their projection    d^(n + 2)
    layer i                            d^(n + 1 - i)
    pooler, head                       1

So the last layer has d^2; no weight has d^1, as in the original.

Source: google-research/electra, model/optimization.py, `_get_layer_lrs`.
"""

import re
from collections.abc import Iterable, Sequence

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


def layer_rate_scales(
    names: Iterable[str], encoder: TransformerEncoder, decay: float
) -> dict[str, float]:
    """Returns the factor of the learning rate of each weight, by its name.

    Raises a ValueError if layers share weights, as ALBERT's do.
    """
    num_layers = encoder.num_layers
    prefixes = {encoder.layer_prefix(number): number for number in range(num_layers)}
    if len(prefixes) < num_layers:
        raise ValueError(
            f"--layer_wise_decay gives each layer a learning rate of its own, but the {num_layers} "
            f"layers of this {encoder.config.model_type} share {len(prefixes)} blocks."
        )
    return {name: decay ** _power(name, encoder, prefixes) for name in names}


def _power(name: str, encoder: TransformerEncoder, prefixes: dict[str, int]) -> int:
    if not name.startswith(encoder.prefix) or name.startswith(encoder.pooler_prefix):
        return 0
    number = next((n for prefix, n in prefixes.items() if name.startswith(prefix)), -1)
    return len(prefixes) + 1 - number  # The embeddings are as a layer before the first.
