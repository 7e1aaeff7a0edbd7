"""Refuses SavedModels whose graphs could touch files, the network or Python when they run.

A SavedModel is a program: TensorFlow runs its operations with the rights of whoever calls it.
"""

import re
from collections.abc import Iterable, Mapping

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

# Of the operations that TensorFlow calls stateful, these touch nothing but the model's memory.
_HARMLESS = {
    *("Assert", "AssignVariableOp", "Case", "DisableCopyOnRead", "If", "ReadVariableOp"),
    *("StatefulPartitionedCall", "VarHandleOp", "While"),
    # The model is in the graph.
    *("SentencepieceOp", "SentencepieceStringToIdOp", "SentencepieceTokenizeOp"),
    "SentencepieceTokenizeWithOffsetsOp",
}
# Some that do more are not called stateful: ReadFile, MatchingFiles, PyFuncStateless, ...
_ACTING_NAMES = re.compile("File|PyFunc|Dataset|Iterator|Reader|Debug|Remap|Table")


def check_graph(folder: str) -> None:
    """Raises a ValueError unless every operation that the SavedModel can run is harmless.

    The functions by which TensorFlow saves a model read and write files, but loading and calling
    it do not run them: they may be there as long as no other function calls them.
    """
    try:
        content = tf.__internal__.saved_model.parse_saved_model(folder)
    except OSError as error:
        raise ValueError(f"{folder}: the SavedModel is damaged: {error}") from error
    names = set()
    for graph in content.meta_graphs:
        library = {call.signature.name: call.node_def for call in graph.graph_def.library.function}
        saver = graph.saver_def.save_tensor_name.split(":")[0], graph.saver_def.restore_op_name
        if len(content.meta_graphs) > 1 or not graph.HasField("object_graph_def"):
            saver = ()  # Of TensorFlow 1: loading runs the graph's own nodes.
        others, savers = [], []
        for node in graph.graph_def.node:
            (savers if node.name in saver else others).append(node)
        # Functions are called by name, from nodes or as the methods of the model's objects.
        called = _reachable([*graph.object_graph_def.concrete_functions, *_called(others)], library)
        unused = _reachable(_called(savers), library) - called
        runs = [others, *(nodes for name, nodes in library.items() if name not in unused)]
        names.update(node.op for nodes in runs for node in nodes)
    acting = sorted(filter(_acts, names))
    if acting:
        raise ValueError(
            f"{folder}: this SavedModel may do more than compute ({', '.join(acting)}), which no "
            "model of export_saved_model.py does: it could read, write or send files with your "
            "rights. See docs/security.md. If you trust its source, call tf.saved_model.load."
        )


def _acts(operation: str) -> bool:
    definition = op_def_registry.get(operation)
    if definition is None or definition.is_stateful:
        return operation not in _HARMLESS
    return _ACTING_NAMES.search(operation) is not None


def _called(nodes: Iterable) -> set[str]:
    """Returns the names of the operations of some nodes and of the functions that they call."""
    names = {node.op for node in nodes}
    values = [value for node in nodes for value in node.attr.values()]
    for value in values:  # It grows: functions have attributes too.
        for function in (value.func, *value.list.func):
            names.add(function.name)
            values.extend(function.attr.values())
    return names


def _reachable(names: Iterable[str], library: Mapping) -> set[str]:
    """Returns the functions that are called by these or by those that they call."""
    found, todo = set(), set(names)
    while todo:
        found |= todo
        todo = _called(node for name in todo for node in library.get(name, ())) - found
    return found
