"""What is read from a model that was made elsewhere: everything under google-research's names.

    folder or file ── detect_format ──> google.read, huggingface.read, ... ──> PretrainedModel
                                                                                      |
    folder <── google.write, huggingface.write <──────────────────────────────────────┘

A format is a module of this package with `recognizes(path) -> bool` and `read(path)`; those that
are also written have `write(model, folder)`.
"""

import dataclasses
import importlib
from collections.abc import Mapping

import numpy as np

from bert_tf.config import BertConfig

# In the order in which they are tried. A name is that of the format's module.
FORMATS = ("google", "huggingface", "keras_hub", "tensorflow_models")

# What stands on the encoder; "" for the encoder alone.
HEAD_KINDS = ("", "pretraining", "classification", "regression", "tagging", "span")


@dataclasses.dataclass(frozen=True)
class Head:
    """What stands on a model's encoder, as far as its files tell.

    Args:
        kind: one of HEAD_KINDS; `pretraining` for masked words, next sentences, or both.
        labels: the classes in the order of the outputs, for `classification` and `tagging`.
    """

    kind: str = ""
    labels: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class TokenizerFiles:
    """What is known of a model's tokenizer; None where its files do not say.

    vocab: the tokens in the order of their ids.
    do_lower_case, strip_accents: see `bert_tf.text.tokenization.FullTokenizer`.
    """

    vocab: tuple[str, ...] | None = None
    do_lower_case: bool | None = None
    strip_accents: bool | None = None


@dataclasses.dataclass(frozen=True)
class PretrainedModel:
    """A model, read whole.

    format: one of FORMATS.
    path: where it was read, for messages.
    config: its shape. `hidden_act` says which gelu.
    weights: google-research's names -> float32 arrays in google-research's layout (a dense
        `kernel` is [in, out]); with `adam_m`, `adam_v` and `global_step`, where they are there.
    head: what stands on the encoder.
    tokenizer: its vocabulary and how text is normalized.
    dropped: names in its files that nothing here takes, each with the reason.
    redundant: names in its files that follow from the rest (copies of tied weights, buffers of
        constants), each with what it is; nothing is lost without them.
    """

    format: str
    path: str
    config: BertConfig
    weights: Mapping[str, np.ndarray]
    head: Head = Head()
    tokenizer: TokenizerFiles = TokenizerFiles()
    dropped: Mapping[str, str] = dataclasses.field(default_factory=dict)
    redundant: Mapping[str, str] = dataclasses.field(default_factory=dict)


def detect_format(path: str) -> str:
    """The one of FORMATS that the files at `path` have.

    Raises:
        ValueError: if they have none, with what is looked for.
    """
    for name in FORMATS:
        if _module(name).recognizes(path):
            return name
    raise ValueError(
        f"{path}: no model of a known format. Looked for: a google-research checkpoint "
        "(bert_config.json and bert_model.ckpt.index, or a zip of these), a Hugging Face folder "
        "(config.json and model.safetensors or pytorch_model.bin), a keras-hub preset (config.json "
        "and *.weights.h5, or a .keras file), a tensorflow/models checkpoint (.index)."
    )


def read_pretrained(path: str, format: str | None = None) -> PretrainedModel:
    """Reads a model of any known format, see the formats' modules for what each needs.

    Raises:
        ValueError: if it is of no known format, damaged, or no BERT.
    """
    return _module(format or detect_format(path)).read(path)


def _module(name: str):
    return importlib.import_module(f"bert_tf.formats.{name}")
