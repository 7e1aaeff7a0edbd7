"""A released model: its name, address, shape, and what was published about it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bert_tf.config import BertConfig

BASE_URL = "https://storage.googleapis.com/bert_models"


@dataclasses.dataclass(frozen=True)
class Score:
    """A published score."""

    task: str  # The data set, its split and the metrics, such as `SQuAD 1.1 dev EM/F1`.
    value: str  # As published, with a / between metrics.
    source: str


def scores(source: str, tasks: tuple[str, ...], values: str) -> tuple[Score, ...]:
    """Returns a score for each task; `values` has as many, with spaces between them."""
    return tuple(
        Score(task, value, source) for task, value in zip(tasks, values.split(), strict=True)
    )


@dataclasses.dataclass(frozen=True)
class ReleasedModel:
    """A released model; all have an intermediate size of 4 H, 512 positions and 2 segment ids."""

    name: str
    path: str  # Of its archive, relative to `base_url` or a mirror.
    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    vocab_size: int
    do_lower_case: bool  # Whether text was lower-cased and stripped of accents.
    aliases: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    scores: tuple[Score, ...] = ()
    # File in the archive -> its published sum, if any.
    sha256: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
    # What its configuration has beside these sizes, and where it differs from BERT's.
    own_config: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    base_url: str = BASE_URL
    has_config: bool = True  # Whether its archive has its configuration.
    is_config_known: bool = True  # Whether `config` is that one, and not only its sizes.
    is_on_hub: bool = False  # Whether `path` is a repository of the Hugging Face Hub.
    bytes_per_parameter: int = 6  # At most; for float32 weights with both heads.

    @property
    def folder(self) -> str:
        """The name of its folder in the release: `uncased_L-12_H-768_A-12`."""
        return self.path.rpartition("/")[2].removesuffix(".zip").removesuffix(".tar.gz")

    @property
    def url(self) -> str:
        """The address of its archive."""
        return f"{self.base_url}/{self.path}"

    @property
    def config(self) -> BertConfig:
        """Its configuration, as in its bert_config.json."""
        return BertConfig(
            vocab_size=self.vocab_size,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            intermediate_size=4 * self.hidden_size,
            **{"type_vocab_size": 2, **self.own_config},
        )

    @property
    def num_parameters(self) -> int:
        """The encoder's number of parameters; see `count_parameters`."""
        return count_parameters(self.config)

    @property
    def max_zip_bytes(self) -> int:
        """More bytes than its archive can have: weights and other files."""
        return self.bytes_per_parameter * self.num_parameters + (1 << 24)


def count_parameters(config: BertConfig) -> int:
    """Returns an encoder's number of parameters, with any pooler and without heads."""
    width, inner = config.hidden_size, config.intermediate_size
    norm, narrow = 2 * width, config.embedding_size or width
    rows = config.vocab_size + config.max_position_embeddings + config.type_vocab_size
    embeddings = rows * narrow + 2 * narrow
    if narrow != width:
        embeddings += narrow * width + width  # The projection.
    attention = 4 * (width * width + width)
    feed_forward = 2 * width * inner + inner + width
    layer = attention + feed_forward + 2 * norm
    has_pooler = config.gelu_pooler or config.model_type not in ("electra", "distilbert")
    pooler = width * width + width if has_pooler else 0
    num_blocks = config.num_hidden_groups * config.inner_group_num or config.num_hidden_layers
    return embeddings + num_blocks * layer + pooler
