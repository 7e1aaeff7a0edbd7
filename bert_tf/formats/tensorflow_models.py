"""tensorflow/models' BERT checkpoints, read from their files; that library need not be installed.

    bert_model.ckpt.index, .data-00000-of-00001    tf.train.Checkpoint(model=..., encoder=...)
    bert_config.json, or params.yaml               the shape of the model
    vocab.txt

Such a checkpoint is object-based: a key is the way from the saved object to the variable, and so
differs with the model around the encoder and with the encoder's generation:

    BertEncoder     encoder/layer_with_weights-4/_attention_layer/_query_dense/kernel
    BertEncoderV2   model/encoder_network/_transformer_layers/0/_attention_layer/_query_dense/kernel

But it holds the graph of these objects too, and there each variable has its full name, of which
the end is the same in both: `transformer/layer_0/self_attention/query/kernel`. That is what is
looked for here.

Its functions are google-research's: `gelu` is the tanh form, LayerNorm epsilons are 1e-12, also in
the masked-word head. One thing differs: a head of BertPretrainerV2 or BertClassifier may have a
pooler of its own, while the encoder's is never trained. Then the head's is the pooler.
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
# Parts of the keys of optimizers' variables, whose full names end like those of the weights.
_OPTIMIZER = re.compile(r"(^|/)(optimizer|\.OPTIMIZER_SLOT|_variables|_momentums|_velocities)(/|$)")
_READ_ERRORS = (tf.errors.OpError, RuntimeError, ValueError, IndexError)

# google-research's name -> the end of the full name in tensorflow/models; the rest stays.
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
# What a full name of BERT may end in; before it stand the names of the models around.
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
    """A checkpoint's variables.

    keys: the known end of a full name -> the variable's key.
    others: the keys of the variables of which no part of BERT has the name.
    attributes: the names by which objects of the graph hold one another.
    """

    prefix: str
    reader: Any
    shapes: Mapping[str, tuple[int, ...]]
    keys: Mapping[str, str]
    others: tuple[str, ...]
    attributes: frozenset[str]

    def shape(self, end: str) -> tuple[int, ...]:
        """The shape of a variable; a ValueError if it is missing."""
        if end not in self.keys:
            raise ValueError(
                f"{self.prefix}: no BERT of tensorflow/models, or not all of one: no variable's "
                f"full name ends in {end}. There are: {names.some(sorted(self.keys)) or 'none'}"
            )
        return self.shapes[self.keys[end]]

    def value(self, end: str) -> np.ndarray:
        """A variable's value; a ValueError if it is missing or damaged."""
        self.shape(end)
        try:
            return np.asarray(self.reader.get_tensor(self.keys[end] + _ATTRIBUTE))
        except _READ_ERRORS as error:
            raise DamagedCheckpoint(
                f"{self.prefix}: {self.keys[end]} cannot be read: {error}"
            ) from error


@dataclasses.dataclass(frozen=True)
class _ScoresHead:
    """A head that ends in scores: what it is, and what its full names begin with.

    has_pooler: whether it has a pooler of its own.
    """

    kind: str
    start: str
    has_pooler: bool = False


def recognizes(path: str) -> bool:
    """Whether there is an object-based checkpoint: at a prefix, one of its files, in a folder."""
    try:
        return tf.train.load_checkpoint(find_checkpoint(str(path))).has_tensor(_OBJECT_GRAPH)
    except _READ_ERRORS:
        return False


def read(path: str) -> PretrainedModel:
    """Reads an encoder, and of what stands on it what is the same here.

    That is the masked-word head (its activation is held to be the encoder's, if no params.yaml
    says otherwise), the head of next sentences, and those of BertClassifier under its default name
    `sentence_prediction`, BertTokenClassifier and BertSpanLabeler.

    Without `bert_config.json` and `params.yaml` the shape is that of the weights, and what cannot
    be seen there (activation, dropout) is BERT's own, with a warning.

    Args:
        path: a checkpoint's prefix (`.../bert_model.ckpt`), one of its files, or a folder.

    Raises:
        ValueError: if there is no such checkpoint, it is damaged, no BERT, or another than its
            config says; with the file and the variable.
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
    kind = "pretraining" if has_masked_lm else head.kind if head else ""
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
    """google-research's name -> its shape there, and -> the end of the full name here."""
    shapes = names.encoder_shapes(config)
    if has_masked_lm:
        shapes |= names.head_shapes(config, names.MASKED_LM)
    ends = {name: _end(name, head) for name in shapes}
    if head:
        prefixes = {"pretraining": names.NEXT_SENTENCE, "span": names.SPAN}
        logits = (f"{head.start}logits/kernel", f"{head.start}logits/bias")
        (num_scores,) = checkpoint.shape(logits[1])
        scores = names.head_shapes(config, prefixes.get(head.kind, names.CLASSIFIER), num_scores)
        shapes |= scores
        ends |= dict(zip(scores, logits, strict=True))
    return shapes, ends


def _open(prefix: str) -> _Checkpoint:
    """Reads which variables there are, and of what name.

    Raises:
        ValueError: if it is damaged or not object-based, or has two of one name.
    """
    try:
        reader = tf.train.load_checkpoint(prefix)
        serialized = reader.get_tensor(_OBJECT_GRAPH) if reader.has_tensor(_OBJECT_GRAPH) else None
        shapes = reader.get_variable_to_shape_map()
    except _READ_ERRORS as error:
        raise DamagedCheckpoint(f"{prefix}: the checkpoint cannot be read: {error}") from error
    if serialized is None:
        raise ValueError(
            f"{prefix}: a checkpoint by name, as google-research's are, not one of "
            "tensorflow/models, whose checkpoints hold a graph of objects."
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
                f"{prefix}: two variables are {match[1]}: {keys[match[1]]} and {short}. Save the "
                "one encoder that is wanted in a checkpoint of its own."
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
    """The end of the full name of the weight that google-research names `name`."""
    for pattern, replacement in _ENDS:
        name = re.sub(pattern, replacement, name)
    if head and head.has_pooler and name.startswith(_POOLER):
        return name.replace(_POOLER, f"{head.start}pooler_dense/")
    return name


def _scores_head(checkpoint: _Checkpoint, unlike: Mapping[str, str]) -> _ScoresHead | None:
    """The head of next sentences, classes or spans that can be had; None if there is none."""
    named = {"next_sentence/": "pretraining", "sentence_prediction/": "classification"}
    for start, kind in named.items():
        if f"{start}logits/bias" in checkpoint.keys and start not in unlike:
            if checkpoint.shape(f"{start}logits/bias") == (1,):
                kind = "regression"
            return _ScoresHead(kind, start, f"{start}pooler_dense/bias" in checkpoint.keys)
    # This name several heads have in common: the attribute that holds it tells them apart.
    start = "predictions/transform/"
    if f"{start}logits/bias" not in checkpoint.keys:
        return None
    if "span_labeling" in checkpoint.attributes:
        return _ScoresHead("span", start)
    if "classification" in checkpoint.attributes and _MASKED_LM_BIAS in checkpoint.keys:
        return _ScoresHead("pretraining", start)
    return _ScoresHead("tagging", start) if "classifier" in checkpoint.attributes else None


def _unlike_heads(checkpoint: _Checkpoint) -> dict[str, str]:
    """The beginnings of the names of heads that are no such heads here, with the reason."""
    unlike = {}
    hidden = checkpoint.shape(f"{_POOLER}bias")
    for start in ("next_sentence/", "sentence_prediction/"):
        pooler = f"{start}pooler_dense/bias"
        if pooler in checkpoint.keys and checkpoint.shape(pooler) != hidden:
            unlike[start] = "its pooler is not as wide as the encoder"
    start = "next_sentence/"
    if f"{start}logits/bias" in checkpoint.keys and start not in unlike:
        if f"{start}pooler_dense/bias" not in checkpoint.keys:
            unlike[start] = "it has no pooler, and so scores every token"
        elif checkpoint.shape(f"{start}logits/bias") != (2,):
            unlike[start] = "it has not the two scores of BERT's"
    return unlike


def _dropped(
    checkpoint: _Checkpoint, used: set[str], unlike: Mapping[str, str], head: _ScoresHead | None
) -> dict[str, str]:
    reasons = {}
    for end, key in checkpoint.keys.items():
        if end in used:
            continue
        reasons[key] = "a head that is not known here, or stands beside another"
        if end.startswith(_POOLER) and head and head.has_pooler:
            reasons[key] = f"never trained: {head.start.rstrip('/')} has a pooler of its own"
        for start, reason in unlike.items():
            if end.startswith(start):
                reasons[key] = reason
    for key in checkpoint.others:
        is_optimizer = _OPTIMIZER.search(key) is not None
        reasons[key] = (
            "state of tensorflow/models' optimizer, which is another than the one here"
            if is_optimizer
            else "no part of BERT's encoder or of a head that is known here"
        )
    return dict(sorted(reasons.items()))
