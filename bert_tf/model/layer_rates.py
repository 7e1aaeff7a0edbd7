"""Gives the layers of an encoder learning rates that fall from the last layer to the embeddings.

With decay d, and n layers counted from 0:

    embeddings and their projection    d^(n + 2)
    layer i                            d^(n + 1 - i)
    pooler, head                       1

So the last layer has d^2; no weight has d^1, as in the original.

Source: google-research/electra, model/optimization.py, `_get_layer_lrs`.
"""

from collections.abc import Iterable

from bert_tf.model.encoder import TransformerEncoder


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
