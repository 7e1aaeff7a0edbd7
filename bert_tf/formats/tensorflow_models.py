"""Reads tensorflow/models' BERT checkpoints; that library need not be installed.

    bert_model.ckpt.index, .data-00000-of-00001    tf.train.Checkpoint(model=..., encoder=...)
    bert_config.json, or params.yaml               the configuration: `tensorflow_models_config`
    vocab.txt

Such a checkpoint is object-based: a key is the path of attributes from the saved object to the
variable. So it depends on the model around the encoder and on the encoder's version:

    BertEncoder     encoder/layer_with_weights-4/_attention_layer/_query_dense/kernel
    BertEncoderV2   model/encoder_network/_transformer_layers/0/_attention_layer/_query_dense/kernel

The checkpoint also holds the object graph, with the full name of each variable. Full names end in
the same way in both: `transformer/layer_0/self_attention/query/kernel`. This is how variables are
found here.

The computation is google-research's: `gelu` is the tanh form, LayerNorm's epsilon is 1e-12, also in
the masked-LM head. There is one difference: a head of BertPretrainerV2 or BertClassifier may have
its own pooler, and then the encoder's is never trained. In this case the head's pooler is read.
"""

import dataclasses
import logging
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.formats import names
from bert_tf.formats.google import READ_ERRORS
from bert_tf.formats.source import (
    CONFIG_NAME,
    OBJECT_GRAPH,
    Head,
    PretrainedModel,
    find_prefix,
    is_object_based,
)
from bert_tf.formats.tensorflow_models_config import PARAMS_NAME, read_config
from bert_tf.formats.tokenizer_files import read_tokenizer
from bert_tf.kinds.table import CLASSIFIER, MASKED_LM, NEXT_SENTENCE, SPAN, kind_of_weights
from bert_tf.training.checkpoint import DamagedCheckpoint, find_checkpoint

logger = logging.getLogger(__name__)

_ATTRIBUTE = "/.ATTRIBUTES/VARIABLE_VALUE"
# Finds optimizer variables by their keys: their full names end like those of the weights.
_OPTIMIZER = re.compile(r"(^|/)(optimizer|\.OPTIMIZER_SLOT|_variables|_momentums|_velocities)(/|$)")
# The ends of full names of BERT's weights; the names of enclosing models come before them.
_KNOWN_END = re.compile(
    r"(?:.*/)?("
    r"(?:word_embeddings|position_embedding|type_embeddings)/embeddings"
    r"|embeddings/layer_norm/\w+|transformer/layer_\d+/.+|pooler_transform/\w+"
    r"|cls/predictions/.+|predictions/transform/logits/\w+"
    r"|(?:next_sentence|sentence_prediction)/(?:pooler_dense|logits)/\w+)"
)
_LAYER = re.compile(r"transformer/layer_(\d+)/")
_POOLER = "pooler_transform/"
_MASKED_LM_BIAS = "cls/predictions/output_bias/bias"
# What the full names of other heads begin with. Several heads have the last one.
_NEXT_SENTENCE, _SENTENCE = "next_sentence/", "sentence_prediction/"
_TRANSFORM = "predictions/transform/"


@dataclasses.dataclass(frozen=True)
class _Checkpoint:
    """The variables of a checkpoint."""

    prefix: str
    reader: Any  # TensorFlow's checkpoint reader.
    shapes: Mapping[str, tuple[int, ...]]  # By key.
    keys: Mapping[str, str]  # Known end of a full name -> key.
    others: tuple[str, ...]  # Keys of variables that are not a part of BERT.
    attributes: frozenset[str]  # The attributes of all objects in the graph.

    def shape(self, end: str) -> tuple[int, ...]:
        """Returns a variable's shape; raises a ValueError if the variable is missing."""
        if end not in self.keys:
            raise ValueError(
                f"{self.prefix}: no BERT of tensorflow/models, or an incomplete one: no variable's "
                f"full name ends in {end}. Found: {names.some(sorted(self.keys)) or 'none'}"
            )
        return self.shapes[self.keys[end]]

    def value(self, end: str) -> np.ndarray:
        """Returns a variable's value; raises a ValueError if it is missing or damaged."""
        self.shape(end)
        key = self.keys[end]
        try:
            return np.asarray(self.reader.get_tensor(key + _ATTRIBUTE))
        except READ_ERRORS as error:
            raise DamagedCheckpoint(f"{self.prefix}: {key} cannot be read: {error}") from error


def recognizes(path: str) -> bool:
    """Returns whether `path` is or contains an object-based checkpoint."""
    prefix = find_prefix(str(path))
    return prefix is not None and is_object_based(prefix)


def read(path: str) -> PretrainedModel:
    """Reads an encoder and those heads that compute the same in this package.

    These are the masked-LM head (unless params.yaml says that its activation is not the encoder's),
    the next-sentence head, and the heads of BertClassifier under the default name
    `sentence_prediction`, of BertTokenClassifier and of BertSpanLabeler.

    Without `bert_config.json` and `params.yaml` the configuration is taken from the weights.
    Activation and dropout are then assumed to be BERT's, with a warning.

    Args:
        path: a checkpoint's prefix (`.../bert_model.ckpt`), one of its files, or a folder.

    Raises:
        ValueError: if there is no such checkpoint, or it is damaged, not a BERT, or does not fit
            its config.
    """
    prefix = find_prefix(str(path)) or find_checkpoint(str(path))
    folder = files.split_path(prefix)[0]
    checkpoint = _open(prefix)
    num_layers = len({match[1] for match in map(_LAYER.match, checkpoint.keys) if match})
    config, unlike = read_config(folder) or (_config_of_weights(checkpoint, num_layers), {})
    if num_layers > config.num_hidden_layers:
        raise ValueError(
            f"{prefix}: the checkpoint has {num_layers} layers, the config has "
            f"num_hidden_layers={config.num_hidden_layers}. Does the config belong to it?"
        )
    unlike = {**_unlike_heads(checkpoint), **unlike}
    start, head = _scores_head(checkpoint, unlike) or ("", None)
    ends = _ends(checkpoint, config, start)
    heads = [head] if head is not None else []
    if _MASKED_LM_BIAS in checkpoint.keys and MASKED_LM not in unlike:
        heads.append(MASKED_LM)
    weights = _read_weights(checkpoint, config, heads, ends, start)
    kind = kind_of_weights(weights)
    if start == _TRANSFORM and kind in ("classification", "regression"):
        kind = "tagging"
    tokenizer, other_ways = read_tokenizer(folder, config.vocab_size)
    used = {ends[name] for name in weights}
    return PretrainedModel(
        format="tensorflow_models",
        path=prefix,
        config=config,
        weights=weights,
        head=Head(kind),
        tokenizer=tokenizer,
        dropped={**_dropped(checkpoint, used, unlike, start), **other_ways},
    )


def _open(prefix: str) -> _Checkpoint:
    """Reads the names and shapes of a checkpoint's variables.

    Raises:
        ValueError: if it is damaged or not object-based, or two variables have the same name.
    """
    try:
        reader = tf.train.load_checkpoint(prefix)
        serialized = reader.get_tensor(OBJECT_GRAPH) if reader.has_tensor(OBJECT_GRAPH) else None
        shapes = reader.get_variable_to_shape_map()
    except READ_ERRORS as error:
        raise DamagedCheckpoint(f"{prefix}: the checkpoint cannot be read: {error}") from error
    if serialized is None:
        raise ValueError(
            f"{prefix}: a name-based checkpoint like google-research's, not an object-based one "
            "like those of tensorflow/models."
        )
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(serialized)
    full_names = {
        item.checkpoint_key: item.full_name for node in graph.nodes for item in node.attributes
    }
    keys: dict[str, str] = {}
    others = []
    for key in sorted(set(shapes) - {OBJECT_GRAPH}):
        short = key.removesuffix(_ATTRIBUTE)
        match = None if _OPTIMIZER.search(key) else _KNOWN_END.fullmatch(full_names.get(key, ""))
        if match is None:
            others.append(short)
        elif keys.setdefault(match[1], short) != short:
            raise ValueError(
                f"{prefix}: two variables are {match[1]}: {keys[match[1]]} and {short}. Save only "
                "one encoder in the checkpoint."
            )
    return _Checkpoint(
        prefix,
        reader,
        {key.removesuffix(_ATTRIBUTE): tuple(shape) for key, shape in shapes.items()},
        keys,
        tuple(others),
        frozenset(child.local_name for node in graph.nodes for child in node.children),
    )


def _config_of_weights(checkpoint: _Checkpoint, num_layers: int) -> BertConfig:
    vocab_size, hidden_size = checkpoint.shape("word_embeddings/embeddings")
    block = "transformer/layer_0"
    config = BertConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=checkpoint.shape(f"{block}/self_attention/query/bias")[0],
        intermediate_size=checkpoint.shape(f"{block}/intermediate/bias")[0],
        max_position_embeddings=checkpoint.shape("position_embedding/embeddings")[0],
        type_vocab_size=checkpoint.shape("type_embeddings/embeddings")[0],
    )
    logger.warning(
        "%s: there is neither %s nor %s beside the checkpoint. The configuration is taken from the "
        "weights; hidden_act=%r and a dropout of %g are assumed, as in BERT.",
        *(checkpoint.prefix, CONFIG_NAME, PARAMS_NAME),
        *(config.hidden_act, config.hidden_dropout_prob),
    )
    return config


def _scores_head(checkpoint: _Checkpoint, unlike: Mapping[str, str]) -> tuple[str, str] | None:
    """Returns what a head's full names begin with, and its prefix here: the one that is read."""
    for start, head in ((_NEXT_SENTENCE, NEXT_SENTENCE), (_SENTENCE, CLASSIFIER)):
        if f"{start}logits/bias" in checkpoint.keys and start not in unlike:
            return start, head
    if f"{_TRANSFORM}logits/bias" not in checkpoint.keys:
        return None
    # These heads differ in the attribute that holds them.
    if "span_labeling" in checkpoint.attributes:
        return _TRANSFORM, SPAN
    if "classification" in checkpoint.attributes and _MASKED_LM_BIAS in checkpoint.keys:
        return _TRANSFORM, NEXT_SENTENCE
    return (_TRANSFORM, CLASSIFIER) if "classifier" in checkpoint.attributes else None


def _has_pooler(checkpoint: _Checkpoint, start: str) -> bool:
    return f"{start}pooler_dense/bias" in checkpoint.keys


def _ends(checkpoint: _Checkpoint, config: BertConfig, start: str) -> dict[str, str]:
    """Returns google-research's names -> the ends of the full names.

    `start` is what the full names of the scores' head begin with.
    """
    ends = {}
    for name, weight in names.weight_table(config.num_hidden_layers).items():
        end = weight.tensorflow_models
        if weight.kind == "scores":
            end = f"{start}logits/{'kernel' if name.endswith('weights') else 'bias'}"
        elif end.startswith(_POOLER) and _has_pooler(checkpoint, start):
            end = end.replace(_POOLER, f"{start}pooler_dense/")
        ends[name] = end
    return ends


def _read_weights(
    checkpoint: _Checkpoint,
    config: BertConfig,
    heads: list[str],
    ends: Mapping[str, str],
    start: str,
) -> dict[str, np.ndarray]:
    num_scores = checkpoint.shape(f"{start}logits/bias")[0] if CLASSIFIER in heads else 2
    table = names.weight_table(config.num_hidden_layers)
    return {
        name: names.from_keras(
            f"{checkpoint.prefix}: {checkpoint.keys.get(ends[name])}",
            checkpoint.value(ends[name]),
            table[name],
            shape,
            config.num_attention_heads,
        )
        for name, shape in names.weight_shapes(config, heads, num_scores).items()
    }


def _unlike_heads(checkpoint: _Checkpoint) -> dict[str, str]:
    """Returns the starts of names of heads that differ from BERT's, with the reasons."""
    unlike = {}
    hidden = checkpoint.shape(f"{_POOLER}bias")
    for start in (_NEXT_SENTENCE, _SENTENCE):
        if (
            _has_pooler(checkpoint, start)
            and checkpoint.shape(f"{start}pooler_dense/bias") != hidden
        ):
            unlike[start] = "its pooler has another width than the encoder"
    if f"{_NEXT_SENTENCE}logits/bias" in checkpoint.keys and _NEXT_SENTENCE not in unlike:
        if not _has_pooler(checkpoint, _NEXT_SENTENCE):
            unlike[_NEXT_SENTENCE] = "it has no pooler, so it scores every token"
        elif checkpoint.shape(f"{_NEXT_SENTENCE}logits/bias") != (2,):
            unlike[_NEXT_SENTENCE] = "it does not have two outputs"
    return unlike


def _dropped(
    checkpoint: _Checkpoint, used: set[str], unlike: Mapping[str, str], start: str
) -> dict[str, str]:
    reasons = {}
    for end, key in checkpoint.keys.items():
        if end in used:
            continue
        reasons[key] = "an unsupported or additional head"
        if end.startswith(_POOLER) and _has_pooler(checkpoint, start):
            reasons[key] = f"never trained: {start.rstrip('/')} has its own pooler"
        for other, reason in unlike.items():
            if end.startswith(other):
                reasons[key] = reason
    for key in checkpoint.others:
        reasons[key] = (
            "state of tensorflow/models' optimizer, which differs from BERT's"
            if _OPTIMIZER.search(key)
            else "not a part of BERT's encoder or of a supported head"
        )
    return dict(sorted(reasons.items()))
