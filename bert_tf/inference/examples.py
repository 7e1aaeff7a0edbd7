"""Reads the examples that a model is asked about, in any form whose meaning is certain.

"a text"                                    one example
["a text", "another"], an array, a Series   several; also tuples, for models of several texts
{"question": "Who?", "context": "He."}      one, by the names of the model's inputs
[{"text": "a text"}, {"text": "another"}]   several
{"text": ["a text", "another"]}, a table    several, by columns
[["two", "words"], ["three", "more", "."]]  several, of models of words
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from bert_tf.text.tokenizer import plain

Names = Sequence[str]


def read_examples(
    given: Any, inputs: Names, list_inputs: Names = (), remedy: str = ""
) -> list[tuple]:
    """Returns the examples in order, each a tuple with a text for each input.

    Args:
        inputs: the names of the model's texts.
        list_inputs: those of them that are lists of texts.
        remedy: ends the message of an error about the number of texts.

    Raises a ValueError that names the first example without the texts that the model takes.
    """
    given = _plain(given)
    if is_one_example(given, inputs, list_inputs):
        given = [given]
    elif isinstance(given, Mapping):
        given = _rows(given, inputs)
    elif isinstance(given, (bytes, Set)) or not isinstance(given, Iterable):
        raise ValueError(
            f"The model takes a list of examples, each with {', '.join(inputs)}. "
            f"Received: {type(given).__name__} {given!r:.200}"
        )
    examples = []
    for number, example in enumerate(map(_plain, given)):
        texts = _texts_of(example, inputs, list_inputs)
        are_lists = [name in list_inputs for name in inputs]
        if len(texts) != len(inputs) or not all(map(_is_text, texts, are_lists)):
            names = [f"{name} (a list)" if name in list_inputs else name for name in inputs]
            hint = remedy if texts and len(texts) != len(inputs) else ""
            raise ValueError(
                f"Example {number}: the model takes {', '.join(names)}, as text (str), or as a "
                f"tuple or dict of texts.{hint} "
                f"Received: {type(example).__name__} {example!r:.200}"
            )
        examples.append(texts)
    return examples


def is_one_example(given: Any, inputs: Names, list_inputs: Names = ()) -> bool:
    """Returns whether this is one example rather than several: a text, or a dict of texts."""
    given = _plain(given)
    if not isinstance(given, Mapping):
        return isinstance(given, str)
    texts = [given[name] for name in inputs if name in given and name not in list_inputs]
    return not texts or not all(isinstance(_plain(text), (list, tuple)) for text in texts)


def _texts_of(example: Any, inputs: Names, list_inputs: Names) -> tuple:
    """Returns the texts of an example, not yet checked; none for one of another form."""
    if inputs == tuple(list_inputs) and _is_text(example, is_list=True):
        return (list(example),)
    if isinstance(example, str):
        return (example,)
    if isinstance(example, Mapping):
        example = [example[name] for name in inputs] if set(example) == set(inputs) else []
    return tuple(map(_plain, example)) if isinstance(example, (list, tuple)) else ()


def _is_text(text: Any, is_list: bool) -> bool:
    if not is_list:
        return isinstance(text, str)
    return isinstance(text, (list, tuple)) and bool(text) and all(isinstance(t, str) for t in text)


def _rows(columns: Mapping, inputs: Names) -> list[dict]:
    """Returns a row for each place in the columns of a table."""
    lists = {name: _plain(column) for name, column in columns.items()}
    lengths = {n: len(c) if isinstance(c, (list, tuple)) else 0 for n, c in lists.items()}
    if set(lists) != set(inputs) or len(set(lengths.values())) > 1:
        received = ", ".join(f"{name} ({length})" for name, length in lengths.items())
        raise ValueError(
            f"The model takes the columns {', '.join(inputs)}, all of one length. "
            f"Received: {received}"
        )
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def _plain(value: Any) -> Any:
    """Returns arrays and tensors as lists or strings, and the tables of pandas as dicts."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return {name: list(value[name]) for name in value.columns}
    return plain(value)
