"""Reads what a TF-Hub module says of its model besides the weights.

    saved_model.pb                  the graphs
    variables/variables.index       the weights: of TensorFlow 1's modules, `google` reads them; of
                                    TensorFlow 2's, `tensorflow_models`
    assets/vocab.txt

A module has no configuration. The weights show it but for the number of heads and the activation,
which a graph of google-research's code shows in TensorFlow 1's modules.
"""

from collections.abc import Iterator, Mapping

from google.protobuf.message import DecodeError
from tensorflow.core.framework import node_def_pb2
from tensorflow.core.protobuf import saved_model_pb2

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.formats import names
from bert_tf.formats.source import find_beside, folders_of

_GRAPH_NAME = "saved_model.pb"
# In google-research's graph: scores are multiplied by 1 / sqrt(width of a head).
_SCALE = "bert/encoder/layer_0/attention/self/Mul/y"
_ACTIVATION = "bert/encoder/layer_0/intermediate/"
CASE = "do_lower_case"  # A constant of TensorFlow 1's modules, a variable of TensorFlow 2's.


def module_of(prefix: str) -> str | None:
    """Returns the path of the graph of the module that has this checkpoint, or None."""
    folders = folders_of(prefix)
    return find_beside(folders[1], _GRAPH_NAME) if len(folders) > 2 else None


def read_config(graph: str, shapes: Mapping[str, tuple[int, ...]]) -> BertConfig:
    """Returns the configuration of one of TensorFlow 1's modules.

    Args:
        graph: the path of its graph.
        shapes: of its weights, by google-research's names.
    """
    scale, operations = None, set()
    for node in _nodes(graph):
        if node.name.endswith(_SCALE):
            scale = node.attr["value"].tensor.float_val[0]
        if _ACTIVATION in node.name:
            operations.add(node.op)
    if not scale:
        raise ValueError(
            f"{graph}: it is not a graph of google-research's code: there is no {_SCALE}, which "
            "tells the number of attention heads. Put the model's bert_config.json beside it."
        )
    vocab_size, hidden_size = shapes[names.WORD_EMBEDDINGS]
    layers = {name.split("/")[2] for name in shapes if name.startswith("bert/encoder/layer_")}
    return BertConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_hidden_layers=len(layers),
        num_attention_heads=round(hidden_size * scale**2),
        intermediate_size=shapes["bert/encoder/layer_0/intermediate/dense/bias"][0],
        hidden_act="gelu_erf" if "Erf" in operations else "gelu",  # The first releases' is exact.
        max_position_embeddings=shapes["bert/embeddings/position_embeddings"][0],
        type_vocab_size=shapes["bert/embeddings/token_type_embeddings"][0],
    )


def read_case(graph: str) -> bool | None:
    """Returns whether a module lower-cases text, as far as its graph says."""
    splits_words = False
    for node in _nodes(graph):
        if node.name == CASE and node.op == "Const":
            return node.attr["value"].tensor.bool_val[0]
        if node.op == "CaseFoldUTF8":
            return True
        splits_words |= node.op.startswith("Wordpiece")
    return False if splits_words else None


def _nodes(graph: str) -> Iterator[node_def_pb2.NodeDef]:
    try:
        model = saved_model_pb2.SavedModel.FromString(files.read_bytes(graph))
    except DecodeError as error:
        raise ValueError(f"{graph}: no SavedModel, or it is damaged: {error}") from error
    for meta in model.meta_graphs:
        yield from meta.graph_def.node
        for function in meta.graph_def.library.function:
            yield from function.node_def
