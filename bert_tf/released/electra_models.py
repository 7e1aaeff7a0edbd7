"""Lists the ELECTRA models that google-research/electra released, for `find_released_model`.

Their zips hold a folder with the checkpoint, of generator and discriminator, and vocab.txt. They
have no configuration, so that the one here is put beside the checkpoint.

Source: README and configure_pretraining.py of google-research/electra; Clark et al. 2020, table 6.
"""

import dataclasses

from bert_tf.released.models import ReleasedModel
from bert_tf.released.published import Score

_URL = "https://storage.googleapis.com/electra-data"
_SOURCE = "README of google-research/electra (development sets, medians)"


@dataclasses.dataclass(frozen=True)
class ReleasedElectra(ReleasedModel):
    """A released ELECTRA: discriminator and generator."""

    base_url = _URL
    has_config = False

    @property
    def max_zip_bytes(self) -> int:
        """More bytes than its zip can have: float32 weights of both models, with moments."""
        return 24 * self.num_parameters + (1 << 24)


_TASKS = (
    *("CoLA Matthews", "SST-2", "MRPC", "STS-B Spearman", "QQP", "MNLI", "QNLI", "RTE"),
    *("SQuAD 1.1 EM", "SQuAD 2.0 EM", "CoNLL-2000 chunking F1"),
)
# Layers, H, heads; E, the generator's width as a fraction of H; the published scores.
_SIZES = {
    "small": ((12, 256, 4), (128, 1.0), "57.0 91.2 88.0 87.5 89.0 81.3 88.4 66.7 75.8 70.1 96.5"),
    "base": ((12, 768, 12), (768, 1 / 3), "67.7 95.1 89.5 91.2 91.5 88.8 93.2 82.7 86.8 80.5 97.1"),
    "large": (
        (24, 1024, 16),
        (1024, 0.25),
        "69.1 96.9 90.8 92.6 92.4 90.9 95.0 88.0 89.7 88.1 97.2",
    ),
}


def _released(size: str) -> ReleasedElectra:
    sizes, (embedding_size, generator_width), scores = _SIZES[size]
    pairs = zip(_TASKS, scores.split(), strict=True)
    return ReleasedElectra(
        f"electra_{size}",
        f"electra_{size}.zip",
        *(*sizes, 30_522, True),
        scores=tuple(Score(task, value, _SOURCE) for task, value in pairs),
        own_config={
            "model_type": "electra",
            "embedding_size": embedding_size,
            "generator_hidden_size": generator_width,
            "generator_layers": 1.0,
        },
    )


ELECTRA_MODELS = tuple(map(_released, _SIZES))
