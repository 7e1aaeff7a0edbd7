"""What a task is, in eight verbs, and how it is found by its name.

    files --read--> examples --encode--> features, as `features` describes them --> model: `head`
                        |                                                           |    └--> `loss`
                        └--------> `predict` <------------ outputs <----------------┘
                                       └--> answers --> `score`, `write`

A task is a module of this package with

    Options     a frozen dataclass: what can be set, each field with its help
    VARIANTS    the names after the colon (`glue:mnli`), or () where there is only one
    make        (variant or None, Options, labels or None) -> Task

so `--task=squad` works because `squad.py` exists. Nothing of this imports TensorFlow before `head`
or `loss` is called: examples are read and encoded in many processes, which start quickly so.
"""

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from bert_tf.data.schema import Feature
from bert_tf.text.tokenization import FullTokenizer

if TYPE_CHECKING:
    import keras
    import numpy as np
    import tensorflow as tf

# What examples are read for. A task may have several splits for one of them (MNLI's two).
PURPOSES = ("train", "eval", "predict")


class Task(Protocol):
    """A task; an example is whatever `read` gives, and an answer whatever `predict` gives.

    name: as it was asked for, `glue:mnli`.
    kind: what its models do, which says how they are used and served: `classification`,
        `regression`, `tagging` or `span`.
    inputs: what the texts of an example are called where a model is used: `text`; `text_a`,
        `text_b`; `question`, `context`.
    options: the values it was made with.
    labels: the classes in the order of the model's outputs; () where it has none. They are kept
        beside the weights, and handed to `make` when the model is used again.
    default_seq_length: tokens of a sequence, where nobody says.
    metric: the figure of `score` that tells the better of two models: the higher one.
    output_names: the model's outputs that `predict` needs, arrays of shape [B, ...].
    padding_matters: whether the loss or the answers depend on how much padding follows a sequence;
        then every batch has the full length.
    unused_weights: the start of names of weights that no loss depends on (`bert/pooler`): they are
        not trained, so nothing may draw them towards zero either. A tuple.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    options: Any
    labels: tuple[str, ...]
    default_seq_length: int
    metric: str
    output_names: tuple[str, ...]
    padding_matters: bool
    unused_weights: tuple[str, ...]

    def splits(self, purpose: str) -> tuple[str, ...]:
        """The splits for one of PURPOSES, of which there are files; the first one is the main one.

        Raises:
            ValueError: if there is none, with the files that would do.
        """

    def sources(self, split: str) -> list[str]:
        """The files that a split is read from."""

    def read(self, split: str) -> Sequence[Any]:
        """All examples of a split, in the order in which answers are wanted.

        Raises:
            ValueError: for what cannot be understood, with file and line.
        """

    def features(self, split: str, max_seq_length: int) -> dict[str, Feature]:
        """What the model is fed, by name: the records' features.

        Raises:
            ValueError: if the task cannot do with so few tokens.
        """

    def encode(
        self, examples: Sequence[Any], split: str, tokenizer: FullTokenizer, max_seq_length: int
    ) -> Iterator[dict[str, Sequence[int] | Sequence[float]]]:
        """Examples -> features, as lists; an example may give several (its windows), or none.

        `input_ids` and `segment_ids` end with the last token: padding and `input_mask` are added
        when they are written, and so is `unique_ids`, which numbers the features. Labels are there
        for splits that have them.
        """

    def head(self, config) -> "keras.Model":
        """The model: BERT of this BertConfig, and what stands on it."""

    def loss(
        self, batch: Mapping[str, "tf.Tensor"], outputs: Mapping[str, "tf.Tensor"]
    ) -> "tf.Tensor":
        """float32 [B]: the loss of each example."""

    def predict(
        self,
        examples: Sequence[Any],
        outputs: Mapping[str, "np.ndarray"],
        tokenizer: FullTokenizer,
        max_seq_length: int,
    ) -> list[Any]:
        """The outputs for all features of the examples, in their order -> an answer each."""

    def score(self, examples: Sequence[Any], answers: Sequence[Any]) -> dict[str, float]:
        """The official figures, by name. Empty where the examples have no labels."""

    def is_collapsed(self, examples: Sequence[Any], answers: Sequence[Any]) -> bool:
        """Whether the model says the same whatever it is asked, as a failed training leaves it."""

    def write(
        self, split: str, examples: Sequence[Any], answers: Sequence[Any], folder: str
    ) -> list[str]:
        """Writes the predictions' files. Returns: their paths."""


def find_task(
    name: str,
    options: Mapping[str, str] | None = None,
    labels: Sequence[str] | None = None,
) -> Task:
    """Makes the task of a name.

    Args:
        name: `squad`, or with a variant `glue:mnli`; upper case does not matter.
        options: values of the task's options, as texts.
        labels: the classes that a model was trained for, where it is to be used again.

    Raises:
        ValueError: for an unknown task, variant or option, with those that there are.
    """
    module_name, _, variant = name.lower().partition(":")
    if module_name not in _task_modules():
        raise ValueError(f"There is no task {name!r}. There are: {', '.join(task_names())}.")
    module = importlib.import_module(f"bert_tf.tasks.{module_name}")
    if (variant not in module.VARIANTS) if module.VARIANTS else variant:
        raise ValueError(f"There is no task {name!r}. There are: {', '.join(task_names())}.")
    chosen = parse_options(module.Options, options or {})
    return module.make(variant or None, chosen, tuple(labels) if labels else None)


def task_names() -> list[str]:
    """The names of all tasks, each variant for itself."""
    names = []
    for module_name in _task_modules():
        variants = importlib.import_module(f"bert_tf.tasks.{module_name}").VARIANTS
        names += [f"{module_name}:{variant}" for variant in variants] or [module_name]
    return names


def options_of(name: str) -> tuple[dataclasses.Field, ...]:
    """The fields of a task's options: names, defaults, and help in `metadata["help"]`."""
    module_name = name.lower().partition(":")[0]
    if module_name not in _task_modules():
        raise ValueError(f"There is no task {name!r}. There are: {', '.join(task_names())}.")
    return dataclasses.fields(importlib.import_module(f"bert_tf.tasks.{module_name}").Options)


def split_options(texts: Iterable[str]) -> dict[str, str]:
    """`["doc_stride=64,n_best_size=5", "labels=a,b"]` -> the value of each option, as text.

    A comma begins the next option where a name and `=` follow it, and else belongs to the value.
    """
    values: dict[str, str] = {}
    for text in texts:
        name = ""
        for part in text.split(","):
            before, equals, value = part.partition("=")
            if equals and before.strip().isidentifier():
                name = before.strip()
                values[name] = value
            elif name:
                values[name] += "," + part
            elif part:
                raise ValueError(
                    f"Task options are written name=value, with commas between them. Received: "
                    f"{text!r}"
                )
    return values


def parse_options(options_class: type, values: Mapping[str, str]) -> Any:
    """An options dataclass from texts, by the types of its fields' defaults."""
    fields = {field.name: field for field in dataclasses.fields(options_class)}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise ValueError(
            f"The task has no option {', '.join(unknown)}. It has: {', '.join(fields)}."
        )
    return options_class(
        **{name: _parse(name, value, fields[name].default) for name, value in values.items()}
    )


def _parse(name: str, value: Any, default: Any) -> Any:
    if not isinstance(value, str) or isinstance(default, str) or default is None:
        return value
    try:
        if isinstance(default, bool):
            return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
        if isinstance(default, tuple):
            return tuple(value.split(",")) if value else ()
        return type(default)(value)
    except (KeyError, ValueError):
        kind = {bool: "true or false", int: "a whole number", float: "a number"}[type(default)]
        raise ValueError(f"Task option {name} must be {kind}. Received: {value!r}") from None


def _task_modules() -> list[str]:
    """Modules of this package that hold a task: those with a `make`."""
    package = importlib.import_module("bert_tf.tasks")
    return [
        info.name
        for info in pkgutil.iter_modules(package.__path__)
        if hasattr(importlib.import_module(f"bert_tf.tasks.{info.name}"), "make")
    ]
