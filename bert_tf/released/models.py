"""Lists every model that google-research/bert released.

    model = find_released_model("bert_base_uncased")
    model.url             # .../2018_10_18/uncased_L-12_H-768_A-12.zip
    model.config          # its BertConfig
    model.num_parameters  # 109,482,240

All of them are under the Apache License 2.0. `bert_tf.released.download` downloads them.
"""

import dataclasses
import difflib
import os
from collections.abc import Iterable, Mapping, Sequence

from bert_tf.config import BertConfig
from bert_tf.released.published import SCORES, SHA256, ZIP_BYTES, Score

BASE_URL = "https://storage.googleapis.com/bert_models"
MIRROR_VARIABLE = "BERT_TF_MIRROR"


@dataclasses.dataclass(frozen=True)
class ReleasedModel:
    """Describes a released model: its address, its shape and what was published about it.

    name: its name in this package.
    path: the path of its zip below the address of the release or of a mirror.
    num_hidden_layers, hidden_size, num_attention_heads, vocab_size: its shape. Every released
        model has an intermediate size of 4 H, 512 positions and 2 segment ids.
    do_lower_case: whether its text was lower-cased and stripped of accents.
    aliases: other names.
    licence: the licence of the weights.
    scores: its published scores.
    zip_bytes: the size of its zip, if published.
    sha256: SHA-256 sums of files in its zip, if published.
    """

    name: str
    path: str
    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    vocab_size: int
    do_lower_case: bool
    aliases: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    scores: tuple[Score, ...] = ()
    zip_bytes: int | None = None
    sha256: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)

    @property
    def folder(self) -> str:
        """The name of its folder in the release: `uncased_L-12_H-768_A-12`."""
        return self.path.rpartition("/")[2].removesuffix(".zip")

    @property
    def url(self) -> str:
        """The address of its zip."""
        return f"{BASE_URL}/{self.path}"

    @property
    def config(self) -> BertConfig:
        """Its configuration, as in its bert_config.json."""
        return BertConfig(
            vocab_size=self.vocab_size,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            intermediate_size=4 * self.hidden_size,
            type_vocab_size=2,
        )

    @property
    def num_parameters(self) -> int:
        """How many parameters its encoder has: see `count_parameters`."""
        return count_parameters(self.config)


def count_parameters(config: BertConfig) -> int:
    """Returns how many parameters an encoder has, with its pooler and without heads.

    With width H, feed-forward width F, vocabulary V, P positions, T segments and L layers:

        embeddings  (V + P + T) H, and 2 H of LayerNorm
        a layer     4 (H H + H) attention, 2 H F + F + H feed-forward, 4 H of LayerNorm
        pooler      H H + H
    """
    width, inner = config.hidden_size, config.intermediate_size
    rows = config.vocab_size + config.max_position_embeddings + config.type_vocab_size
    embeddings = (rows + 2) * width
    layer = 4 * (width * width + width) + 2 * width * inner + inner + width + 4 * width
    return embeddings + config.num_hidden_layers * layer + width * width + width


def find_released_model(name: str, zoo: Sequence[ReleasedModel] | None = None) -> ReleasedModel:
    """Returns the model with a name, an alias, or a released folder's name.

    Case and the difference between `-` and `_` are ignored. The folder `uncased_L-12_H-768_A-12`
    was released twice: its name means the original BERT-Base.

    Args:
        name: such as `bert_base_uncased`, `bert_tiny_uncased`, `cased_L-12_H-768_A-12`.
        zoo: the models to search; RELEASED_MODELS if None.

    Raises:
        ValueError: if there is none, with similar names.
    """
    models = _by_name(RELEASED_MODELS if zoo is None else zoo)
    by_plain_name = {_plain(known): known for known in reversed(models)}
    key = _plain(name)
    if key in by_plain_name:
        return models[by_plain_name[key]]
    close = difflib.get_close_matches(key, by_plain_name, n=4, cutoff=0.5)
    names = [by_plain_name[other] for other in close]
    raise ValueError(
        f"There is no released model {name!r}. "
        + (f"Similar names: {', '.join(names)}. " if names else "")
        + "For all names, run: run_scripts/download_checkpoint.py --list"
    )


def mirror_url(model: ReleasedModel, mirror: str | None = None) -> str:
    """Returns a model's address on `mirror`, on $BERT_TF_MIRROR, or in the release.

    Raises:
        ValueError: if the mirror is not a web address.
    """
    base = mirror or os.environ.get(MIRROR_VARIABLE) or BASE_URL
    if not base.startswith(("http://", "https://")):
        raise ValueError(
            f"A mirror must be a web address with the same paths below it as {BASE_URL}. "
            f"Received: {base!r}. Give a local zip or folder as --model."
        )
    return f"{base.rstrip('/')}/{model.path}"


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _by_name(models: Iterable[ReleasedModel]) -> dict[str, ReleasedModel]:
    found: dict[str, ReleasedModel] = {}
    for model in models:
        for name in (model.name, *model.aliases, model.folder):
            found.setdefault(name, model)
    return found


def _released(
    name: str,
    path: str,
    layers: int,
    width: int,
    heads: int,
    vocab_size: int,
    do_lower_case: bool,
    alias: str | None = None,
) -> ReleasedModel:
    """Returns a model with what was published about it."""
    return ReleasedModel(
        *(name, path, layers, width, heads, vocab_size, do_lower_case),
        aliases=(alias,) if alias else (),
        scores=SCORES.get(name, ()),
        zip_bytes=ZIP_BYTES.get(name),
        sha256=SHA256.get(name, {}),
    )


_BASE, _LARGE = (12, 768, 12), (24, 1024, 16)
_UNCASED, _CASED = (30_522, True), (28_996, False)

# The names that the authors gave to some of the 24 small models.
_SMALL_NAMES = {(2, 128): "tiny", (4, 256): "mini", (4, 512): "small", (8, 512): "medium"}


def _small_model(layers: int, width: int) -> ReleasedModel:
    shape = f"uncased_L-{layers}_H-{width}_A-{width // 64}"
    called = _SMALL_NAMES.get((layers, width))
    alias = called and f"bert_{called}_uncased"
    path = f"2020_02_20/{shape}.zip"
    return _released(f"bert_{shape}", path, layers, width, width // 64, *_UNCASED, alias)


RELEASED_MODELS = (
    _released("bert_base_uncased", "2018_10_18/uncased_L-12_H-768_A-12.zip", *_BASE, *_UNCASED),
    _released("bert_large_uncased", "2018_10_18/uncased_L-24_H-1024_A-16.zip", *_LARGE, *_UNCASED),
    _released("bert_base_cased", "2018_10_18/cased_L-12_H-768_A-12.zip", *_BASE, *_CASED),
    _released("bert_large_cased", "2018_10_18/cased_L-24_H-1024_A-16.zip", *_LARGE, *_CASED),
    _released(
        *("bert_large_uncased_wwm", "2019_05_30/wwm_uncased_L-24_H-1024_A-16.zip"),
        *(*_LARGE, *_UNCASED),
    ),
    _released(
        *("bert_large_cased_wwm", "2019_05_30/wwm_cased_L-24_H-1024_A-16.zip"),
        *(*_LARGE, *_CASED),
    ),
    _released(
        *("bert_base_multilingual_cased", "2018_11_23/multi_cased_L-12_H-768_A-12.zip"),
        *(*_BASE, 119_547, False),
    ),
    _released(
        *("bert_base_multilingual_uncased", "2018_11_03/multilingual_L-12_H-768_A-12.zip"),
        *(*_BASE, 105_879, True),
    ),
    _released(
        *("bert_base_chinese", "2018_11_03/chinese_L-12_H-768_A-12.zip"),
        *(*_BASE, 21_128, True),
    ),
    *(_small_model(layers, width) for layers in range(2, 13, 2) for width in (128, 256, 512, 768)),
)
