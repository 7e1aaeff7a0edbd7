"""Lists the ALBERT models that google-research/albert released, for `find_released_model`.

Their archives are tar files with albert_config.json, model.ckpt-best.*, 30k-clean.model and
30k-clean.vocab. The configuration here is for planning; a model has the one in its archive.

Source: README of google-research/albert; Lan et al. 2020, tables 1 and 2.
"""

import dataclasses

from bert_tf.released.models import ReleasedModel
from bert_tf.released.published import Score

_URL = "https://storage.googleapis.com/albert_models"
_SOURCE = "README of google-research/albert"


@dataclasses.dataclass(frozen=True)
class ReleasedAlbert(ReleasedModel):
    """A released ALBERT: E = 128, one block in all layers."""

    base_url = _URL
    checked_config = None  # What is not stated there, as dropout, is not known.


_TASKS = ("average", "SQuAD 1.1 dev F1/EM", "SQuAD 2.0 dev F1/EM", "MNLI", "SST-2", "RACE")
# Layers, H, heads; the published scores of version 2, and the average of version 1.
_SIZES = {
    "base": ((12, 768, 12), "82.3 90.2/83.2 82.1/79.3 84.6 92.9 66.8", "80.1"),
    "large": ((24, 1024, 16), "85.7 91.8/85.2 84.9/81.8 86.5 94.9 75.2", "82.4"),
    "xlarge": ((24, 2048, 16), "87.9 92.9/86.4 87.9/84.1 87.9 95.4 80.7", "85.5"),
    "xxlarge": ((12, 4096, 64), "90.9 94.6/89.1 89.8/86.9 90.6 96.8 86.8", "91.0"),
}


def _released(size: str, version: int) -> ReleasedAlbert:
    sizes, *scores = _SIZES[size]
    values = scores[0 if version == 2 else 1].split()
    # Version 2 was trained without dropout, as all xxlarge ones.
    dropout = 0.1 if version == 1 and size != "xxlarge" else 0.0
    return ReleasedAlbert(
        f"albert_{size}_v{version}",
        f"albert_{size}_v{version}.tar.gz",
        *(*sizes, 30_000, True),
        scores=tuple(
            Score(task, value, _SOURCE) for task, value in zip(_TASKS, values, strict=False)
        ),
        own_config={
            "model_type": "albert",
            "embedding_size": 128,
            "num_hidden_groups": 1,
            "inner_group_num": 1,
            "hidden_dropout_prob": dropout,
            "attention_probs_dropout_prob": dropout,
        },
    )


ALBERT_MODELS = tuple(_released(size, version) for size in _SIZES for version in (1, 2))
