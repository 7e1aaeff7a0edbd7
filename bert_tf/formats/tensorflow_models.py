"""Reads tensorflow/models' BERT checkpoints, and the TF-Hub modules of TensorFlow 2 made of them.

They are object-based: a key is the path of attributes to the variable, which varies with the model
around the encoder and with versions. Variables are therefore found by the ends of their full names
in the object graph, such as `transformer/layer_0/self_attention/query/kernel`.

The computation is google-research's, except that a head of BertPretrainerV2 or BertClassifier may
have its own pooler. It is read then, as the encoder's is untrained.
"""

import dataclasses
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.files.checkpoints import find_prefix
from bert_tf.formats import names
from bert_tf.formats.google import READ_ERRORS
from bert_tf.formats.hub_module import CASE, module_of, read_case
from bert_tf.formats.source import (
    CONFIG_NAME,
    OBJECT_GRAPH,
    Head,
    PretrainedModel,
    TokenizerFiles,
    folders_of,
    is_object_based,
)
from bert_tf.formats.tensorflow_models_config import PARAMS_NAME, read_config
from bert_tf.formats.tokenizer_files import find_vocabulary, read_tokenizer
from bert_tf.kinds.table import CLASSIFIER, MASKED_LM, NEXT_SENTENCE, SPAN, kind_of_weights
from bert_tf.training.checkpoint import DamagedCheckpoint, damage_in, find_checkpoint

logger = logging.getLogger(__name__)

_ATTRIBUTE = "/.ATTRIBUTES/VARIABLE_VALUE"
# Matches the keys of optimizer variables, whose full names end like the weights'.
_OPTIMIZER = re.compile(r"(^|/)(optimizer|\.OPTIMIZER_SLOT|_variables|_momentums|_velocities)(/|$)")
# Matches full names; the group is the known end, without the names of enclosing models.
_KNOWN_END = re.compile(
    r"(?:.*/)?("
    r"(?:word_embeddings|position_embedding|type_embeddings)/embeddings"
    r"|embeddings/layer_norm/\w+|transformer/layer_\d+/.+|pooler_transform/\w+"
    r"|cls/predictions/.+|predictions/transform/logits/\w+"
    r"|(?:next_sentence|sentence_prediction)/(?:pooler_dense|logits)/\w+)"
)
# google-research's names -> these ends; those of scores follow the start of a head's names.
_NAMES: names.Rules = (
    (r"^cls/predictions/output_bias$", "cls/predictions/output_bias/bias"),
    (r"^(cls/(seq_relationship|squad)/)?output_weights$", "logits/kernel"),
    (r"^(cls/(seq_relationship|squad)/)?output_bias$", "logits/bias"),
    (r"^bert/embeddings/(word|token_type|position)_embeddings$", r"\1_embeddings/embeddings"),
    (r"^token_type_embeddings/", "type_embeddings/"),
    (r"^position_embeddings/", "position_embedding/"),
    (r"^bert/embeddings/LayerNorm/", "embeddings/layer_norm/"),
    (r"^bert/pooler/dense/", "pooler_transform/"),
    (r"^bert/encoder/", "transformer/"),
    (r"/attention/self/", "/self_attention/"),
    (r"/attention/output/dense/", "/self_attention/attention_output/"),
    (r"/attention/output/LayerNorm/", "/self_attention_layer_norm/"),
    (r"^(transformer/.*)/output/LayerNorm/", r"\1/output_layer_norm/"),
    (r"^(transformer/.*/(intermediate|output))/dense/", r"\1/"),
)
_LAYER = re.compile(r"transformer/layer_(\d+)/")
_POOLER = "pooler_transform/"
_MASKED_LM_BIAS = "cls/predictions/output_bias/bias"
# Starts of the full names of other heads; several heads share the last one.
_NEXT_SENTENCE, _SENTENCE = "next_sentence/", "sentence_prediction/"
_TRANSFORM = "predictions/transform/"


@dataclasses.dataclass(frozen=True)
class _Checkpoint:
    prefix: str
    reader: Any  # TensorFlow's checkpoint reader.
    keys: Mapping[str, str]  # Known end -> key.
    shapes: Mapping[str, tuple[int, ...]]  # By known end.
    others: list[str]  # Keys of variables outside BERT.
    attributes: set[str]  # Of all objects in the graph.

    @property
    def module(self) -> str | None:
        """The path of the graph of the TF-Hub module that has these weights, if any."""
        return module_of(self.prefix)

    def shape(self, end: str) -> tuple[int, ...]:
        """Returns a variable's shape; raises a ValueError if it is missing."""
        if end not in self.keys:
            raise ValueError(
                f"{self.prefix}: no BERT of tensorflow/models, or an incomplete one: no variable's "
                f"full name ends in {end}. Found: {files.some(sorted(self.keys)) or 'none'}"
            )
        return self.shapes[end]

    def has_pooler(self, start: str) -> bool:
        return f"{start}pooler_dense/bias" in self.keys


def recognizes(path: str) -> bool:
    """Returns whether `path` is or contains an object-based checkpoint."""
    prefix = find_prefix(str(path))
    return prefix is not None and is_object_based(prefix)


def read(path: str) -> PretrainedModel:
    """Reads an encoder and the heads that compute the same in this package.

    These are the masked-LM head (if params.yaml does not say that its activation differs), the
    next-sentence head, and those of BertClassifier (under its default name), BertTokenClassifier
    and BertSpanLabeler. Without `bert_config.json` and `params.yaml` the config is taken from the
    weights, with BERT's activation and dropout and a warning.
    """
    prefix = find_checkpoint(str(path))
    folder = files.split_path(prefix)[0]
    checkpoint = _open(prefix)
    if not checkpoint.keys and checkpoint.module and read_case(checkpoint.module) is not None:
        raise ValueError(
            f"{checkpoint.module}: a TF-Hub module that only splits text. Give the encoder's; the "
            "vocabulary of both is in assets/."
        )
    num_layers = len({match[1] for match in map(_LAYER.match, checkpoint.keys) if match})
    config, unlike = read_config(folder) or (_config_of_weights(checkpoint, num_layers), {})
    if num_layers > config.num_hidden_layers:
        raise ValueError(
            f"{prefix}: the checkpoint has {num_layers} layers, the config has "
            f"num_hidden_layers={config.num_hidden_layers}. Does the config belong to it?"
        )
    unlike = {**_unlike_heads(checkpoint), **unlike}
    scores = _scores_head(checkpoint, unlike)
    start, heads = (scores[0], [scores[1]]) if scores else ("", [])
    if _MASKED_LM_BIAS in checkpoint.keys and MASKED_LM not in unlike:
        heads.append(MASKED_LM)
    weights, used = _read_weights(checkpoint, config, heads, start)
    kind = kind_of_weights(weights)
    if start == _TRANSFORM and kind in ("classification", "regression"):
        kind = "tagging"
    tokenizer, other_ways = _read_tokenizer(checkpoint)
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
    """Reads the variables' names and shapes."""
    try:
        reader = tf.train.load_checkpoint(prefix)
        serialized = reader.get_tensor(OBJECT_GRAPH) if reader.has_tensor(OBJECT_GRAPH) else None
        shapes = reader.get_variable_to_shape_map()
    except READ_ERRORS as error:
        raise damage_in(prefix, error) from error
    if serialized is None:
        raise ValueError(
            f"{prefix}: a name-based checkpoint like google-research's, not an object-based one."
        )
    nodes = trackable_object_graph_pb2.TrackableObjectGraph.FromString(serialized).nodes
    full_names = {a.checkpoint_key: a.full_name for node in nodes for a in node.attributes}
    attributes = {child.local_name for node in nodes for child in node.children}
    checkpoint = _Checkpoint(prefix, reader, {}, {}, [], attributes)
    for variable in sorted(set(shapes) - {OBJECT_GRAPH}):
        key = variable.removesuffix(_ATTRIBUTE)
        match = _KNOWN_END.fullmatch(full_names.get(variable, ""))
        if match is None or _OPTIMIZER.search(variable):
            checkpoint.others.append(key)
        elif checkpoint.keys.setdefault(match[1], key) != key:
            raise ValueError(
                f"{prefix}: two variables are {match[1]}: {checkpoint.keys[match[1]]} and {key}. "
                "Save only one encoder in the checkpoint."
            )
        else:
            checkpoint.shapes[match[1]] = tuple(shapes[variable])
    return checkpoint


def _read_tokenizer(checkpoint: _Checkpoint) -> tuple[TokenizerFiles, dict[str, str]]:
    """Returns the tokenizer beside a checkpoint, or that of its TF-Hub module."""
    places = folders_of(checkpoint.prefix)
    tokenizer, other_ways = read_tokenizer(next(filter(find_vocabulary, places), places[0]))
    if tokenizer.do_lower_case is None and checkpoint.module and CASE in checkpoint.others:
        case = bool(checkpoint.reader.get_tensor(CASE + _ATTRIBUTE))
        tokenizer = dataclasses.replace(tokenizer, do_lower_case=case)
    return tokenizer, other_ways


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
    """Returns the start of the full names of the head to read, and its prefix here."""
    for start, head in ((_NEXT_SENTENCE, NEXT_SENTENCE), (_SENTENCE, CLASSIFIER)):
        if f"{start}logits/bias" in checkpoint.keys and start not in unlike:
            return start, head
    if f"{_TRANSFORM}logits/bias" not in checkpoint.keys:
        return None
    # The attribute that holds them tells these heads apart.
    if "span_labeling" in checkpoint.attributes:
        return _TRANSFORM, SPAN
    if "classification" in checkpoint.attributes and _MASKED_LM_BIAS in checkpoint.keys:
        return _TRANSFORM, NEXT_SENTENCE
    return (_TRANSFORM, CLASSIFIER) if "classifier" in checkpoint.attributes else None


def _read_weights(
    checkpoint: _Checkpoint, config: BertConfig, heads: Sequence[str], start: str
) -> tuple[dict[str, np.ndarray], set[str]]:
    """Returns the weights, and the known ends of their full names."""
    num_scores = checkpoint.shape(f"{start}logits/bias")[0] if CLASSIFIER in heads else 2
    weights, used = {}, set()
    for name, shape in names.weight_shapes(config, heads, num_scores).items():
        end = names.renamed(name, _NAMES)
        if end.startswith("logits/"):
            end = start + end
        elif end.startswith(_POOLER) and checkpoint.has_pooler(start):
            end = end.replace(_POOLER, f"{start}pooler_dense/")
        checkpoint.shape(end)
        key = checkpoint.keys[end]
        where = f"{checkpoint.prefix}: {key}"
        try:
            value = np.asarray(checkpoint.reader.get_tensor(key + _ATTRIBUTE))
        except READ_ERRORS as error:
            raise DamagedCheckpoint(f"{where} cannot be read: {error}") from error
        weights[name] = names.from_keras(where, value, name, shape, config.num_attention_heads)
        used.add(end)
    return weights, used


def _unlike_heads(checkpoint: _Checkpoint) -> dict[str, str]:
    """Returns the starts of the names of heads unlike BERT's, with the reasons."""
    unlike = {}
    hidden = checkpoint.shape(f"{_POOLER}bias")
    if f"{_NEXT_SENTENCE}logits/bias" in checkpoint.keys:
        if not checkpoint.has_pooler(_NEXT_SENTENCE):
            unlike[_NEXT_SENTENCE] = "it has no pooler, so it scores every token"
        elif checkpoint.shape(f"{_NEXT_SENTENCE}logits/bias") != (2,):
            unlike[_NEXT_SENTENCE] = "it does not have two outputs"
    for start in (_NEXT_SENTENCE, _SENTENCE):
        if checkpoint.shapes.get(f"{start}pooler_dense/bias", hidden) != hidden:
            unlike[start] = "its pooler has another width than the encoder"
    return unlike


def _dropped(
    checkpoint: _Checkpoint, used: set[str], unlike: Mapping[str, str], start: str
) -> dict[str, str]:
    """Returns the keys of unread variables, with the reasons."""
    reasons = {}
    for end, key in checkpoint.keys.items():
        if end in used:
            continue
        reasons[key] = "an unsupported or additional head"
        if end.startswith(_POOLER) and checkpoint.has_pooler(start):
            reasons[key] = f"never trained: {start.rstrip('/')} has its own pooler"
        for other, reason in unlike.items():
            if end.startswith(other):
                reasons[key] = reason
    others = set(checkpoint.others) - ({CASE} if checkpoint.module else set())
    for key in others:
        reasons[key] = "not a part of BERT's encoder or of a supported head"
        if _OPTIMIZER.search(key):
            reasons[key] = "state of tensorflow/models' optimizer, which differs from BERT's"
    return dict(sorted(reasons.items()))
