"""Lists every model that google-research/bert released, and finds those of its successors.

    model = find_released_model("bert_base_uncased")
    model.url             # .../2018_10_18/uncased_L-12_H-768_A-12.zip
    model.config          # its BertConfig
    model.num_parameters  # 109,482,240

All of them are under the Apache License 2.0. `bert_tf.released.download` downloads them.
"""

import dataclasses
import difflib
import importlib
import os
from collections.abc import Mapping
from typing import Any

from bert_tf.config import BertConfig
from bert_tf.released.published import SCORES, SHA256, Score

BASE_URL = "https://storage.googleapis.com/bert_models"
MIRROR_VARIABLE = "BERT_TF_MIRROR"
_SUCCESSORS = ("albert", "electra", "hub")


@dataclasses.dataclass(frozen=True)
class ReleasedModel:
    """A released model; all have an intermediate size of 4 H, 512 positions and 2 segment ids."""

    name: str
    path: str  # Of its zip, relative to BASE_URL or a mirror.
    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    vocab_size: int
    do_lower_case: bool  # Whether text was lower-cased and stripped of accents.
    aliases: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    scores: tuple[Score, ...] = ()
    # File in the zip -> its published sum, if any.
    sha256: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
    # What its configuration has beside these sizes, and where it differs from BERT's.
    own_config: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    base_url = BASE_URL
    has_config = True  # Whether its archive has its configuration.
    is_on_hub = False  # Whether `path` is a repository of the Hugging Face Hub.

    @property
    def folder(self) -> str:
        """The name of its folder in the release: `uncased_L-12_H-768_A-12`."""
        return self.path.rpartition("/")[2].removesuffix(".zip").removesuffix(".tar.gz")

    @property
    def url(self) -> str:
        """The address of its archive."""
        return f"{self.base_url}/{self.path}"

    @property
    def checked_config(self) -> BertConfig | None:
        """The configuration that its archive must have; None if that is not known."""
        return self.config

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
        """More bytes than its zip can have: float32 weights with both heads, and other files."""
        return 6 * self.num_parameters + (1 << 24)


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
    pooler = 0 if config.model_type in ("electra", "distilbert") else width * width + width
    num_blocks = config.num_hidden_groups * config.inner_group_num or config.num_hidden_layers
    return embeddings + num_blocks * layer + pooler


def find_released_model(name: str) -> ReleasedModel:
    """Returns the model with a name, alias or folder's name; ignores case, `-` equals `_`.

    `uncased_L-12_H-768_A-12`, released twice, means the original BERT-Base. Raises a ValueError
    with similar names if there is none.
    """
    found: dict[str, tuple[str, ReleasedModel]] = {}
    for model in all_released_models():
        for known in (model.name, *model.aliases, model.folder):
            found.setdefault(_plain(known), (known, model))
    if _plain(name) in found:
        return found[_plain(name)][1]
    close = difflib.get_close_matches(_plain(name), found, n=4, cutoff=0.5)
    similar = f"Similar names: {', '.join(found[other][0] for other in close)}. " if close else ""
    raise ValueError(
        f"There is no released model {name!r}. {similar}For all names, run: "
        "run_scripts/download_checkpoint.py --list"
    )


def all_released_models() -> list[ReleasedModel]:
    """Returns all models that are known by name: BERTs, then their successors."""
    models = list(RELEASED_MODELS)
    for name in _SUCCESSORS:
        module = importlib.import_module(f"bert_tf.released.{name}_models")  # It imports this one.
        models += getattr(module, f"{name.upper()}_MODELS")
    return models


def mirror_url(model: ReleasedModel, mirror: str | None = None) -> str:
    """Returns a model's URL at `mirror`, $BERT_TF_MIRROR, or BASE_URL."""
    base = mirror or os.environ.get(MIRROR_VARIABLE) or model.base_url
    if not base.startswith(("http://", "https://")):
        raise ValueError(
            f"A mirror must be a web address with the same paths below it as {BASE_URL}. "
            f"Received: {base!r}. Give a local zip or folder as --model."
        )
    return f"{base.rstrip('/')}/{model.path}"


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


_UNCASED, _CASED = (30_522, True), (28_996, False)
# Name, release, the zip's name, vocabulary size, whether text is lower-cased.
_LARGER_MODELS = (
    ("bert_base_uncased", "2018_10_18", "uncased_L-12_H-768_A-12", *_UNCASED),
    ("bert_large_uncased", "2018_10_18", "uncased_L-24_H-1024_A-16", *_UNCASED),
    ("bert_base_cased", "2018_10_18", "cased_L-12_H-768_A-12", *_CASED),
    ("bert_large_cased", "2018_10_18", "cased_L-24_H-1024_A-16", *_CASED),
    ("bert_large_uncased_wwm", "2019_05_30", "wwm_uncased_L-24_H-1024_A-16", *_UNCASED),
    ("bert_large_cased_wwm", "2019_05_30", "wwm_cased_L-24_H-1024_A-16", *_CASED),
    ("bert_base_multilingual_cased", "2018_11_23", "multi_cased_L-12_H-768_A-12", 119_547, False),
    ("bert_base_multilingual_uncased", "2018_11_03", "multilingual_L-12_H-768_A-12", 105_879, True),
    ("bert_base_chinese", "2018_11_03", "chinese_L-12_H-768_A-12", 21_128, True),
)
_SMALL_MODELS = tuple(
    (f"bert_{shape}", "2020_02_20", shape, *_UNCASED)
    for shape in (
        f"uncased_L-{layers}_H-{width}_A-{width // 64}"
        for layers in range(2, 13, 2)
        for width in (128, 256, 512, 768)
    )
)
# The authors' names of some small models.
_ALIASES = {
    "bert_uncased_L-2_H-128_A-2": ("bert_tiny_uncased",),
    "bert_uncased_L-4_H-256_A-4": ("bert_mini_uncased",),
    "bert_uncased_L-4_H-512_A-8": ("bert_small_uncased",),
    "bert_uncased_L-8_H-512_A-8": ("bert_medium_uncased",),
}


def _released(
    name: str, release: str, folder: str, vocab_size: int, do_lower_case: bool
) -> ReleasedModel:
    layers, width, heads = (int(part.partition("-")[2]) for part in folder.split("_")[-3:])
    return ReleasedModel(
        *(name, f"{release}/{folder}.zip", layers, width, heads, vocab_size, do_lower_case),
        aliases=_ALIASES.get(name, ()),
        scores=SCORES.get(name, ()),
        sha256=SHA256.get(name, {}),
    )


RELEASED_MODELS = tuple(_released(*row) for row in (*_LARGER_MODELS, *_SMALL_MODELS))
