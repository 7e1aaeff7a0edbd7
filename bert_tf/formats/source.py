"""Describes a model that is read from or written to any format, and finds the format of files.

    folder or file ── detect_format ──> google.read, huggingface.read, ... ──> PretrainedModel
                                                                                      |
    folder <── google.write, huggingface.write <──────────────────────────────────────┘

In memory all weights have google-research's names. A format is a module of this package with
`recognizes(path) -> bool` and `read(path)`; formats that can be written also have `write(model,
folder)`.
"""

import dataclasses
import importlib
from collections.abc import Mapping

import numpy as np

from bert_tf.config import BertConfig

# The modules of the formats, in the order in which they are tried.
FORMATS = ("google", "huggingface", "keras_hub", "tensorflow_models")


@dataclasses.dataclass(frozen=True)
class Head:
    """Describes a model's head, as far as its files say.

    kind: one of `bert_tf.kinds.table.KINDS`; `masked_lm` for either pre-training head, or both.
    labels: the classes in the order of the outputs, for kinds with labels.
    """

    kind: str = "encoder"
    labels: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class TokenizerFiles:
    """Describes a model's tokenizer; None where its files do not say.

    vocab: the tokens in the order of their ids.
    do_lower_case, strip_accents: see `bert_tf.text.tokenization.FullTokenizer`.
    """

    vocab: tuple[str, ...] | None = None
    do_lower_case: bool | None = None
    strip_accents: bool | None = None


@dataclasses.dataclass(frozen=True)
class PretrainedModel:
    """Holds everything that was read from a model's files.

    format: one of FORMATS.
    path: where it was read, for messages.
    config: its configuration; `hidden_act` says which gelu.
    weights: google-research's names -> float32 arrays in google-research's layout (a dense
        `kernel` is [in, out]); with `adam_m`, `adam_v` and `global_step` if the files have them.
    head: its head.
    tokenizer: its vocabulary and how text is normalized.
    dropped: names in its files that this package has no use for, each with the reason.
    redundant: names in its files of copies of tied weights and of constants, each with what it is;
        nothing is lost without them.
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
    """Returns which of FORMATS the files at `path` have.

    Raises:
        ValueError: if they have none of them.
    """
    for name in FORMATS:
        if _module(name).recognizes(path):
            return name
    raise ValueError(
        f"{path}: no model of a known format. Supported: a google-research checkpoint "
        "(bert_config.json and bert_model.ckpt.index, or a zip of these), a Hugging Face folder "
        "(config.json and model.safetensors or pytorch_model.bin), a keras-hub preset (config.json "
        "and *.weights.h5, or a .keras file), a tensorflow/models checkpoint (.index)."
    )


def read_pretrained(path: str, format: str | None = None) -> PretrainedModel:
    """Reads a model of any known format; see the formats' modules for the files that each needs.

    Raises:
        ValueError: if the format is not known, or the model is damaged or not a BERT.
    """
    return _module(format or detect_format(path)).read(path)


def _module(name: str):
    return importlib.import_module(f"bert_tf.formats.{name}")
