"""--freeze: which weights of BERT keep their pre-trained values."""

import re
from collections.abc import Sequence


def frozen_names(parts: Sequence[str], num_layers: int) -> str:
    """A regular expression of the weights that --freeze keeps; "" for none.

    Args:
        parts: `embeddings`, `pooler`, `encoder` (all of BERT), `layers:2`, `layers:0-5`.
        num_layers: how many layers the model has.

    Raises:
        ValueError: for anything else.
    """
    patterns = []
    whole = {"embeddings": "^bert/embeddings/", "pooler": "^bert/pooler/", "encoder": "^bert/"}
    for part in parts:
        match = re.fullmatch(r"layers:(\d+)(?:-(\d+))?", part)
        if part in whole:
            patterns.append(whole[part])
            continue
        first = int(match[1]) if match else 0
        last = int(match[2] or match[1]) if match else -1
        if not first <= last < num_layers:
            raise ValueError(
                f"--freeze takes embeddings, pooler, encoder (all of BERT), and layers:FIRST-LAST "
                f"with numbers from 0 to {num_layers - 1}, with commas between them. Received: "
                f"{part!r}"
            )
        layers = "|".join(str(layer) for layer in range(first, last + 1))
        patterns.append(f"^bert/encoder/layer_({layers})/")
    return "|".join(patterns)
