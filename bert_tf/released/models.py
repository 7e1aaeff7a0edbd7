"""Lists every model that google-research/bert released; finds these and those of successors.

    model = find_released_model("bert_base_uncased")
    model.url             # .../2018_10_18/uncased_L-12_H-768_A-12.zip
    model.config          # its BertConfig
    model.num_parameters  # 109,482,240

All of them are under the Apache License 2.0. `bert_tf.released.download` downloads them.
"""

import difflib
import itertools
import os

from bert_tf.released.published import SCORES, SHA256
from bert_tf.released.released_model import BASE_URL, ReleasedModel
from bert_tf.released.successors import SUCCESSORS

MIRROR_VARIABLE = "BERT_TF_MIRROR"


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
    return [*RELEASED_MODELS, *SUCCESSORS]


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
_SMALL_SHAPES = itertools.product(range(2, 13, 2), (128, 256, 512, 768))
_SMALL = [f"uncased_L-{layers}_H-{width}_A-{width // 64}" for layers, width in _SMALL_SHAPES]
_SMALL_MODELS = [(f"bert_{folder}", "2020_02_20", folder, *_UNCASED) for folder in _SMALL]
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
