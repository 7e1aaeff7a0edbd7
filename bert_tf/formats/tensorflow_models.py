"""Reads tensorflow/models' BERT checkpoints; that library need not be installed.

    bert_model.ckpt.index, .data-00000-of-00001    tf.train.Checkpoint(model=..., encoder=...)
    bert_config.json, or params.yaml               the configuration
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
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.formats import names
from bert_tf.formats.keras_layout import from_keras
from bert_tf.formats.source import Head, PretrainedModel
from bert_tf.formats.tensorflow_models_config import describe
from bert_tf.formats.tokenizer_files import read_tokenizer
from bert_tf.training.checkpoint import DamagedCheckpoint, find_checkpoint

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_ATTRIBUTE = "/.ATTRIBUTES/VARIABLE_VALUE"
# Finds optimizer variables by their keys: their full names end like those of the weights.
_OPTIMIZER = re.compile(r"(^|/)(optimizer|\.OPTIMIZER_SLOT|_variables|_momentums|_velocities)(/|$)")
_READ_ERRORS = (tf.errors.OpError, RuntimeError, ValueError, IndexError)

# Replacements that turn google-research's name into the end of tensorflow/models' full name.
_ENDS = (
    (r"bert/embeddings/word_embeddings", r"word_embeddings/embeddings"),
    (r"bert/embeddings/position_embeddings", r"position_embedding/embeddings"),
    (r"bert/embeddings/token_type_embeddings", r"type_embeddings/embeddings"),
    (r"bert/embeddings/LayerNorm/", r"embeddings/layer_norm/"),
    (r"bert/encoder/", r"transformer/"),
    (r"/attention/self/", r"/self_attention/"),
    (r"/attention/output/dense/", r"/self_attention/attention_output/"),
    (r"/attention/output/LayerNorm/", r"/self_attention_layer_norm/"),
    (r"/(intermediate|output)/dense/", r"/\1/"),
    (r"/output/LayerNorm/", r"/output_layer_norm/"),
    (r"bert/pooler/dense/", r"pooler_transform/"),
    (r"cls/predictions/output_bias", r"cls/predictions/output_bias/bias"),
)
# The ends of full names of BERT's weights; the names of enclosing models come before them.
_KNOWN_END = re.compile(
    r"(?:.*/)?("
    r"(?:word_embeddings|position_embedding|type_embeddings)/embeddings"
    r"|embeddings/layer_norm/\w+|transformer/layer_\d+/.+|pooler_transform/\w+"
    r"|cls/predictions/.+|predictions/transform/logits/\w+"
    r"|(?:next_sentence|sentence_prediction)/(?:pooler_dense|logits)/\w+)"
)
_LAYER = re.compile(r"transformer/layer_(\d+)/")
_MASKED_LM_BIAS = "cls/predictions/output_bias/bias"
_POOLER = "pooler_transform/"


@dataclasses.dataclass(frozen=True)
class _Checkpoint:
    """Describes a checkpoint's variables.

    prefix: the checkpoint's prefix.
    reader: TensorFlow's checkpoint reader.
    shapes: a variable's key -> its shape.
    keys: the known end of a full name -> the variable's key.
    others: the keys of variables that are not a part of BERT.
    attributes: the attributes of all objects in the graph.
    """

    prefix: str
    reader: Any
    shapes: Mapping[str, tuple[int, ...]]
    keys: Mapping[str, str]
    others: tuple[str, ...]
    attributes: frozenset[str]

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
        try:
            return np.asarray(self.reader.get_tensor(self.keys[end] + _ATTRIBUTE))
        except _READ_ERRORS as error:
            raise DamagedCheckpoint(
                f"{self.prefix}: {self.keys[end]} cannot be read: {error}"
            ) from error


@dataclasses.dataclass(frozen=True)
class _ScoresHead:
    """Describes a next-sentence, classification or span head.

    kind: see `Head`.
    start: what its full names begin with.
    has_pooler: whether it has its own pooler.
    """

    kind: str
    start: str
    has_pooler: bool = False


def recognizes(path: str) -> bool:
    """Returns whether `path` is or contains an object-based checkpoint."""
    try:
        return tf.train.load_checkpoint(find_checkpoint(str(path))).has_tensor(_OBJECT_GRAPH)
    except _READ_ERRORS:
        return False


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
    prefix = find_checkpoint(str(path))
    checkpoint = _open(prefix)
    num_layers = len({match[1] for match in map(_LAYER.match, checkpoint.keys) if match})
    description = describe(prefix, num_layers, checkpoint.shape)
    config = description.config
    if num_layers > config.num_hidden_layers:
        raise ValueError(
            f"{prefix}: the checkpoint has {num_layers} layers, the config has "
            f"num_hidden_layers={config.num_hidden_layers}. Does the config belong to it?"
        )
    unlike = {**_unlike_heads(checkpoint), **description.unlike}
    head = _scores_head(checkpoint, unlike)
    has_masked_lm = _MASKED_LM_BIAS in checkpoint.keys and names.MASKED_LM not in unlike
    shapes, ends = _wanted(checkpoint, config, head, has_masked_lm)
    weights = {}
    for name, shape in shapes.items():
        value = checkpoint.value(ends[name])
        where = f"{prefix}: {checkpoint.keys[ends[name]]}"
        weights[name] = from_keras(where, value, name, shape, config.num_attention_heads)
    tokenizer, other_ways = read_tokenizer(files.split_path(prefix)[0], config.vocab_size)
    kind = "masked_lm" if has_masked_lm else head.kind if head else "encoder"
    return PretrainedModel(
        format="tensorflow_models",
        path=prefix,
        config=config,
        weights=weights,
        head=Head(kind),
        tokenizer=tokenizer,
        dropped={**_dropped(checkpoint, set(ends.values()), unlike, head), **other_ways},
    )


def _wanted(
    checkpoint: _Checkpoint, config: BertConfig, head: _ScoresHead | None, has_masked_lm: bool
) -> tuple[names.Shapes, dict[str, str]]:
    """Returns google-research's name -> its shape, and -> the end of the full name."""
    shapes = names.encoder_shapes(config)
    if has_masked_lm:
        shapes |= names.head_shapes(config, names.MASKED_LM)
    ends = {name: _end(name, head) for name in shapes}
    if head:
        prefixes = {"masked_lm": names.NEXT_SENTENCE, "span": names.SPAN}
        logits = (f"{head.start}logits/kernel", f"{head.start}logits/bias")
        (num_scores,) = checkpoint.shape(logits[1])
        scores = names.head_shapes(config, prefixes.get(head.kind, names.CLASSIFIER), num_scores)
        shapes |= scores
        ends |= dict(zip(scores, logits, strict=True))
    return shapes, ends


def _open(prefix: str) -> _Checkpoint:
    """Reads the names and shapes of a checkpoint's variables.

    Raises:
        ValueError: if it is damaged or not object-based, or two variables have the same name.
    """
    try:
        reader = tf.train.load_checkpoint(prefix)
        serialized = reader.get_tensor(_OBJECT_GRAPH) if reader.has_tensor(_OBJECT_GRAPH) else None
        shapes = reader.get_variable_to_shape_map()
    except _READ_ERRORS as error:
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
    for key in sorted(set(shapes) - {_OBJECT_GRAPH}):
        short = key.removesuffix(_ATTRIBUTE)
        match = None if _OPTIMIZER.search(key) else _KNOWN_END.fullmatch(full_names.get(key, ""))
        if match is None:
            others.append(short)
        elif match[1] in keys:
            raise ValueError(
                f"{prefix}: two variables are {match[1]}: {keys[match[1]]} and {short}. Save only "
                "one encoder in the checkpoint."
            )
        else:
            keys[match[1]] = short
    return _Checkpoint(
        prefix,
        reader,
        {key.removesuffix(_ATTRIBUTE): tuple(shape) for key, shape in shapes.items()},
        keys,
        tuple(others),
        frozenset(child.local_name for node in graph.nodes for child in node.children),
    )


def _end(name: str, head: _ScoresHead | None) -> str:
    """Returns the end of the full name of the weight that google-research calls `name`."""
    for pattern, replacement in _ENDS:
        name = re.sub(pattern, replacement, name)
    if head and head.has_pooler and name.startswith(_POOLER):
        return name.replace(_POOLER, f"{head.start}pooler_dense/")
    return name


def _scores_head(checkpoint: _Checkpoint, unlike: Mapping[str, str]) -> _ScoresHead | None:
    """Returns the next-sentence, classification or span head that can be read, or None."""
    named = {"next_sentence/": "masked_lm", "sentence_prediction/": "classification"}
    for start, kind in named.items():
        if f"{start}logits/bias" in checkpoint.keys and start not in unlike:
            if checkpoint.shape(f"{start}logits/bias") == (1,):
                kind = "regression"
            return _ScoresHead(kind, start, f"{start}pooler_dense/bias" in checkpoint.keys)
    # Several heads have this name; they differ in the attribute that holds them.
    start = "predictions/transform/"
    if f"{start}logits/bias" not in checkpoint.keys:
        return None
    if "span_labeling" in checkpoint.attributes:
        return _ScoresHead("span", start)
    if "classification" in checkpoint.attributes and _MASKED_LM_BIAS in checkpoint.keys:
        return _ScoresHead("masked_lm", start)
    return _ScoresHead("tagging", start) if "classifier" in checkpoint.attributes else None


def _unlike_heads(checkpoint: _Checkpoint) -> dict[str, str]:
    """Returns the starts of names of heads that differ from BERT's, with the reasons."""
    unlike = {}
    hidden = checkpoint.shape(f"{_POOLER}bias")
    for start in ("next_sentence/", "sentence_prediction/"):
        pooler = f"{start}pooler_dense/bias"
        if pooler in checkpoint.keys and checkpoint.shape(pooler) != hidden:
            unlike[start] = "its pooler has another width than the encoder"
    start = "next_sentence/"
    if f"{start}logits/bias" in checkpoint.keys and start not in unlike:
        if f"{start}pooler_dense/bias" not in checkpoint.keys:
            unlike[start] = "it has no pooler, so it scores every token"
        elif checkpoint.shape(f"{start}logits/bias") != (2,):
            unlike[start] = "it does not have two outputs"
    return unlike


def _dropped(
    checkpoint: _Checkpoint, used: set[str], unlike: Mapping[str, str], head: _ScoresHead | None
) -> dict[str, str]:
    reasons = {}
    for end, key in checkpoint.keys.items():
        if end in used:
            continue
        reasons[key] = "an unsupported or additional head"
        if end.startswith(_POOLER) and head and head.has_pooler:
            reasons[key] = f"never trained: {head.start.rstrip('/')} has its own pooler"
        for start, reason in unlike.items():
            if end.startswith(start):
                reasons[key] = reason
    for key in checkpoint.others:
        reasons[key] = (
            "state of tensorflow/models' optimizer, which differs from BERT's"
            if _OPTIMIZER.search(key)
            else "not a part of BERT's encoder or of a supported head"
        )
    return dict(sorted(reasons.items()))
