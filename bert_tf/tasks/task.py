"""Defines the contract of a task, and finds tasks by name.

    files --read--> examples --encode--> windows of features --> model, made by `head`
                        |                                          |    └--> `loss`
                        └--------> `predict` <------ outputs <-----┘
                                       └--> answers --> `score`, `write`

A task is a module of this package, or a Python file given to `add_task_module`, with

    Options     a frozen dataclass of its options, each field with a help text
    VARIANTS    the names after the colon (`glue:mnli`), or () if there is only one
    make        (variant or None, Options, labels or None) -> Task

TensorFlow is only imported when `head` or `loss` is called, so that the processes that read and
encode examples start fast.
"""

import dataclasses
import difflib
import importlib
import itertools
import json
import os
import pkgutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from bert_tf import files
from bert_tf.data.schema import Feature
from bert_tf.kinds.table import find_kind
from bert_tf.settings.options import parse_options, split_options  # noqa: F401 - for callers.
from bert_tf.settings.setting import Settings, setting
from bert_tf.tasks.text_examples import original_split
from bert_tf.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    import keras
    import numpy as np
    import tensorflow as tf

PURPOSES = ("train", "eval", "predict")  # A task may have several splits for one (MNLI has two).

# One window's features by name, as lists without padding; and the features of B windows.
Row = Mapping[str, Sequence[int] | Sequence[float]]
Batch = Mapping[str, "tf.Tensor"]

_added: dict[str, ModuleType] = {}  # The tasks outside this package.


class TruncatedRow(dict):
    """A row of an example of which some text is left out. The share of such examples is told."""


@dataclasses.dataclass(frozen=True)
class Windows:
    """The model's outputs for the F windows of a split, in the order of their examples."""

    counts: Sequence[int]  # The number of windows of each example; may be 0.
    # The head's output: an array [F, ...], or several by name. Scores of padding may be very low.
    outputs: Any
    # Returns the head's input features by name: arrays [F, ...], padded.
    read_features: Callable[[], Mapping[str, "np.ndarray"]] = dict

    def __post_init__(self):
        arrays = self.outputs.values() if isinstance(self.outputs, Mapping) else [self.outputs]
        sizes = {len(array) for array in arrays}
        if sizes != {sum(self.counts)}:
            raise ValueError(
                f"There are outputs of {', '.join(map(str, sizes))} windows, but the examples have "
                f"{sum(self.counts)}: the outputs were made from other data or settings."
            )

    def rows_by_example(self) -> list[slice]:
        """Returns the rows of each example's windows in the arrays."""
        ends = itertools.accumulate(self.counts)
        return [slice(end - count, end) for end, count in zip(ends, self.counts, strict=True)]


class Reader(Protocol):
    """Reads a data set's files. It must be picklable.

    The splits for a purpose have its name, or start with it and `_`: `eval`, `eval_mismatched`.
    Invalid input raises a ValueError with file and line.
    """

    def splits(self, purpose: str) -> tuple[str, ...]:
        """Returns the splits for one of PURPOSES whose files exist, the main one first.

        Raises a ValueError if there is none, with the files that are needed.
        """

    def sources(self, split: str) -> list[str]:
        """Returns the files that a split is read from."""

    def read(self, split: str) -> Sequence[Any]:
        """Returns all examples of a split, in the order of the answers."""


class Task(Reader, Protocol):
    """A task. `read` returns its examples, `predict` its answers.

    An example is encoded as one or several windows (of a long passage), or none. A window is one
    input sequence of the model; B windows are a batch.
    """

    reader: Reader  # Reads the files, in a task that does not do so itself.
    name: str  # As given by the user, `glue:mnli`.
    kind: str  # How its models are used and served: `classification`, ..., see `bert_tf.kinds`.
    inputs: tuple[str, ...]  # The names of an example's texts at inference: `text_a`, ...
    options: Any
    # The classes in the order of the model's outputs, or (). They are saved with the weights, and
    # passed to `make` when the model is used again.
    labels: tuple[str, ...]
    default_seq_length: int  # In tokens.
    metric: str  # The metric of `score` that models are compared by; higher is better.
    # Whether the loss or the answers depend on padding. If so, every batch has the full length.
    padding_matters: bool = False
    measures_accuracy: bool = False  # Whether training reports the accuracy of `hits`.
    needs_calibration: bool = False  # Whether `calibrated` is called after training.
    # Whether an epoch is as many windows as there are, rather than as many as examples.
    counts_windows: bool = False

    def splits(self, purpose: str) -> tuple[str, ...]:
        return self.reader.splits(purpose)

    def sources(self, split: str) -> list[str]:
        return self.reader.sources(split)

    def read(self, split: str) -> Sequence[Any]:
        return self.reader.read(split)

    def features(self, split: str, max_seq_length: int) -> dict[str, Feature]:
        """Returns the features of a window by name, as in a record and the model's input.

        Raises a ValueError if `max_seq_length` is too small.
        """

    def encode(
        self, example: Any, split: str, tokenizer: Tokenizer, max_seq_length: int
    ) -> Iterable[Row]:
        """Returns the windows of an example, in order.

        `input_ids` and `segment_ids` end with the last token. The runner adds padding, `input_mask`
        and `unique_ids`, the number of the window. Only labelled splits have labels. Where text was
        left out, the rows are `TruncatedRow`s.
        """

    def head(self, encoder) -> "keras.Model":
        """Makes the model: a `bert_tf.model.heads.HeadModel` on this encoder.

        By default it is that of the task's kind, with its labels and options. It returns floats,
        one tensor [B, ...] or several by name. Weights that no output depends on must be
        `is_unneeded`, so that weight decay does not change them; for the pooler, set
        `needs_pooler = False`.
        """
        text_model = find_kind(self.kind).text_model_class()
        return text_model.model_for(encoder, len(self.labels), self.options)

    def loss(self, batch: Batch, outputs: Any) -> "tf.Tensor":
        """Returns the loss of each window, token or span: float32 [B], [B, L] or [B, S].

        Args:
            batch: the features [B, ...]; `example_index`, int32 [B], the index of each row's
                example; and `is_real_example`, float32 [B], 0 for rows that only fill the batch.
            outputs: the head's output.
        """

    def loss_weights(self, batch: Batch) -> "tf.Tensor":
        """Returns the weights of the loss, float32 of the same shape; by default 1.

        Training minimizes the weighted mean over the whole batch, on any number of devices;
        `eval_loss` is the weighted mean over the split. Rows that only fill the batch never count.
        """
        import tensorflow as tf

        return tf.ones_like(batch["is_real_example"], tf.float32)

    def hits(self, batch: Batch, outputs: Any) -> "tf.Tensor":
        """Returns 1 for what is answered correctly, else 0, float32 of the loss's shape.

        Its weighted mean is the training accuracy in `metrics.jsonl`. By default the answer is the
        class with the largest output, and the correct one is in `label_ids`.
        """
        import tensorflow as tf

        found = tf.argmax(outputs, axis=-1, output_type=batch["label_ids"].dtype)
        return tf.cast(found == batch["label_ids"], tf.float32)

    def predict(self, examples: Sequence[Any], windows: Windows, tokenizer: Tokenizer) -> list[Any]:
        """Returns an answer for each example, from the outputs for its windows."""

    def score(self, examples: Sequence[Any], answers: Sequence[Any]) -> dict[str, float]:
        """Returns the official metrics by name, of one answer per example; none without labels."""

    def calibrated(self, examples: Sequence[Any], answers: Sequence[Any]) -> "Task":
        """Returns this task with options chosen by its answers to the evaluation examples.

        They are saved with the model.
        """
        return self

    def record(self, example: Any, answer: Any) -> dict[str, Any]:
        """Returns an example and its answer as a line of `eval_predictions.jsonl`; by default {}.

        Where the right answer is known, it has `gold` and either `correct` and `confidence`, or
        `error`, by which the errors are sorted.
        """
        return {}

    def fold_group(self, example: Any) -> Any:
        """Returns what keeps examples together in a cross-validation, such as their passage.

        Examples with equal groups are in one fold; those with None, the default, in any.
        """
        return None

    def split_title(self, split: str) -> str:
        """Returns what a split of several is called in tables, such as its language."""
        return getattr(getattr(self, "reader", None), "split_title", str)(split)

    def predictions(self, examples: Sequence[Any], answers: Sequence[Any]) -> str:
        """Returns the text of `predictions.jsonl`: the records of all examples."""
        return json_lines(self.record(*pair) for pair in zip(examples, answers, strict=True))

    def is_collapsed(self, examples: Sequence[Any], answers: Sequence[Any]) -> bool:
        """Returns whether all answers are the same, as after a failed training."""

    def write(
        self, split: str, examples: Sequence[Any], answers: Sequence[Any], folder: str
    ) -> list[str]:
        """Writes the prediction files and returns their paths."""


def find_task(
    name: str, options: Mapping[str, str] | None = None, labels: Sequence[str] | None = None
) -> Task:
    """Makes the task of a name such as `squad` or `glue:mnli`, in any case.

    Args:
        options: the values of the task's options, as text.
        labels: the classes of a trained model.

    Raises a ValueError for an unknown task, variant or option, with those that exist.
    """
    module = _task_module(name)
    variant = name.lower().partition(":")[2]
    if variant not in (module.VARIANTS or ("",)):
        raise no_task(name)
    chosen = parse_options(module.Options, options or {})
    return module.make(variant or None, chosen, tuple(labels) if labels else None)


def task_names() -> list[str]:
    """Returns the names of all tasks and their variants."""
    names = []
    for name, module in _task_modules().items():
        names += [f"{name}:{variant}" for variant in module.VARIANTS] or [name]
    return names


def options_chosen_in_training(name: str) -> Mapping[str, str]:
    """Returns the options that training may choose, with the values by which it is asked to.

    They are in the task's module, as `CHOSEN`.
    """
    return getattr(_task_module(name), "CHOSEN", {})


def options_of(name: str) -> tuple[dataclasses.Field, ...]:
    """Returns the fields of a task's options, with the help text in `metadata["help"]`."""
    return dataclasses.fields(_task_module(name).Options)


def _task_module(name: str) -> ModuleType:
    own_name = name.lower().partition(":")[0]
    if module := _task_modules(own_name).get(own_name):
        return module
    raise no_task(name)


def _task_modules(wanted: str = "") -> dict[str, ModuleType]:
    """Returns the modules of tasks by name; of this package's, only `wanted` if it is given."""
    package = importlib.import_module("bert_tf.tasks")
    names = [info.name for info in pkgutil.iter_modules(package.__path__)]
    names = [name for name in names if wanted in ("", name)]
    modules = {name: importlib.import_module(f"bert_tf.tasks.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "make")} | _added


def add_task_module(path: str) -> str:
    """Adds a task outside this package, a Python file, and returns its name: the file's.

    Its folder is appended to `sys.path`, so that worker processes can import it too. Raises a
    ValueError if it is not a Python file with a task, has another module's name, or an error in it.
    """
    folder, file_name = os.path.split(os.path.abspath(path))
    name, ending = os.path.splitext(file_name)
    if ending != ".py" or not os.path.isfile(path):
        raise ValueError(f"--task_module must be the path of a Python file. Received: {path!r}")
    sys.path.append(folder)
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise ValueError(f"{path}: {type(error).__name__}: {error}") from error
    other = getattr(module, "__file__", None) or name
    if not os.path.exists(other) or not os.path.samefile(path, other):
        raise ValueError(f"{path}: rename this file, as there is a module of its name: {other}")
    lacking = [part for part in ("Options", "VARIANTS", "make") if not hasattr(module, part)]
    if lacking or name.lower() in _task_modules().keys() - _added.keys():
        problem = f"lacks {', '.join(lacking)}" if lacking else "has the name of another task"
        raise ValueError(f"{path} {problem}. See docs/own_task.md.")
    _added[name.lower()] = module
    return name.lower()


def no_task(name: str, known: Sequence[str] = ()) -> ValueError:
    """Returns the error for an unknown task; `known` are those that there are, by default all."""
    known = known or task_names()
    similar = difflib.get_close_matches(name.lower(), known, n=1)
    return ValueError(
        f"There is no task {name!r}.{''.join(f' Did you mean {each}?' for each in similar)} There "
        f"are: {', '.join(known)}. Your own table, as TSV, CSV or JSON lines, is the task tsv. "
        f"finetune.py runs all tasks, and with --task_module your own code."
    )


def check_length(max_seq_length: int, shortest: int, what: str) -> None:
    """Raises a ValueError unless a window has room for `what`, which takes `shortest` tokens."""
    if max_seq_length < shortest:
        raise ValueError(
            f"max_seq_length must be at least {shortest}: {what}. Received: {max_seq_length}"
        )


@dataclasses.dataclass(frozen=True)
class SplitFiles(Settings):
    """Options that name the files of each split; a task may find others in its `data_dir`."""

    data_dir: str = setting("", "Folder with the files of the task.")
    train_file: str = setting("", "Training files or patterns, with commas, if not in data_dir.")
    dev_file: str = setting("", "The same for the evaluation examples.")
    test_file: str = setting("", "The same for the examples to predict.")

    def given_files(self, split: str) -> list[str]:
        """Returns the files that `train_file`, `dev_file` or `test_file` names, if any."""
        given = getattr(self, f"{original_split(split)}_file")
        return files.expand_input_files(given) if given else []


def find_file(folder: str, name: str) -> str | None:
    """Returns the path of a file in a folder, else of its gzipped form (`name.gz`), else None."""
    paths = [files.join_path(folder, name + ending) for ending in ("", ".gz")] if folder else []
    return next(filter(files.exists, paths), None)


def json_lines(records: Iterable[Mapping[str, Any]]) -> str:
    """Returns a line of JSON for each record."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def write_files(folder: str, contents: Mapping[str, str]) -> list[str]:
    """Writes texts to files by their paths relative to a folder, and returns the full paths."""
    paths = [files.join_path(folder, name) for name in contents]
    for path in paths:
        files.make_directories(files.split_path(path)[0])
    with files.atomic_writes(paths, "w") as opened:
        for file, text in zip(opened, contents.values(), strict=True):
            file.write(text)
    return paths
