"""Weights by name: google-research checkpoints in and out, written so that a kill loses nothing.

A checkpoint maps a variable's name to its value. The names are those of the variables' paths
(`bert/pooler/dense/bias`), Adam's two averages stand under `NAME/adam_m` and `NAME/adam_v`, the
number of steps under `global_step`. So a released checkpoint is read as it is, and the original
code reads what is written here.
"""

import dataclasses
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import tensorflow as tf

from bert_tf import files

logger = logging.getLogger(__name__)

STEP_NAME = "global_step"
# Optimizer state, which a model that is only to be used does not need.
OPTIMIZER_STATE = re.compile(r"(/adam_[mv]|^global_step|^loss_scale.*)$")
# The names of files that are being written, here and by `files.atomic_write`.
_UNFINISHED = re.compile(r"\.tmp-\d+|^\..*\.[0-9a-f]{8}\.tmp$")
# How many names a message lists.
_LISTED = 10


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """What a load did, by variable name.

    loaded: variables that were set.
    missing: variables of the model that the checkpoint has not; they keep their values.
    unused: names in the checkpoint that nobody took, optimizer state left out.
    """

    path: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{self.path}: {len(self.loaded)} variables loaded"]
        for title in ("missing", "unused"):
            names = getattr(self, title)
            if names:
                parts.append(f"{len(names)} {title} ({_some(names)})")
        return ", ".join(parts)


def named_variables(model) -> dict[str, tf.Variable]:
    """The weights of a Keras model by their paths.

    Raises:
        ValueError: if two weights have one path, as a checkpoint could hold only one of them.
    """
    variables: dict[str, tf.Variable] = {}
    for weight in model.weights:
        if weight.path in variables:
            raise ValueError(f"Two weights of {model.name} have the name {weight.path!r}.")
        variables[weight.path] = weight.value
    return variables


def load_checkpoint(
    model,
    path: str,
    optimizer=None,
    allow_missing: str | Callable[[str], bool] | None = None,
    allow_other_shape: str | Callable[[str], bool] | None = None,
) -> LoadReport:
    """Sets a model's weights, and an optimizer's state, from a checkpoint of the same names.

    Args:
        model: a Keras model of this package, whose weights exist.
        path: a checkpoint's prefix (`.../bert_model.ckpt`), one of its files, or a folder with a
            checkpoint in it.
        optimizer: if given, its averages and step are loaded too.
        allow_missing: which variables the checkpoint need not have: a regular expression of their
            names, or a function of a name. By default the model says: it may lack heads, which
            then keep their initial values, and what its outputs do not depend on; nothing else of
            the encoder.
        allow_other_shape: which variables count as missing if they have another shape, such as the
            head of another task; given in the same way.

    Returns: what was loaded, missing and unused. Nothing is changed if an error is raised.

    Raises:
        ValueError: if there is no checkpoint, its file is damaged, a shape differs, or a variable
            that may not be missing is.

    Example:

        encoder = bert_tf.BertEncoder(bert_tf.BertConfig.from_json_file("bert_config.json"))
        print(bert_tf.load_checkpoint(encoder, "bert_model.ckpt"))

    Source: google-research/bert, modeling.py, `get_assignment_map_from_checkpoint`, which leaves
    what does not match at random values without a word.
    """
    variables = named_variables(model)
    if optimizer is not None:
        variables.update(optimizer.named_variables())
    prefix = find_checkpoint(path)
    shapes = _shapes(prefix)
    if allow_other_shape is not None:
        may_differ = _predicate(allow_other_shape)
        other = [
            name
            for name, variable in variables.items()
            if may_differ(name)
            and shapes.get(name, variable.shape.as_list()) != variable.shape.as_list()
        ]
        if other:
            logger.warning("%s: a head of another shape is not loaded: %s", prefix, _some(other))
        shapes = {name: shape for name, shape in shapes.items() if name not in other}
    missing = tuple(name for name in variables if name not in shapes)
    may_lack = model.may_lack if allow_missing is None else _predicate(allow_missing)
    needed = [name for name in missing if not may_lack(name)]
    if needed:
        raise ValueError(
            f"{prefix}: {len(needed)} of the model's {len(variables)} variables are not in the "
            f"checkpoint: {_some(needed)}. It has: {_some(sorted(shapes))}. Is it a checkpoint "
            "of this architecture?"
        )
    _check_shapes(prefix, variables, shapes)
    loaded = {name: variable for name, variable in variables.items() if name in shapes}
    for name, value in _read(prefix, loaded).items():
        loaded[name].assign(value)
    unused = tuple(
        name
        for name in sorted(shapes)
        if name not in variables and not OPTIMIZER_STATE.search(name)
    )
    return LoadReport(prefix, tuple(loaded), missing, unused)


def save_checkpoint(model, path: str, optimizer=None, global_step: int | None = None) -> None:
    """Writes a model's weights under their names, as a checkpoint that the original code reads.

    The files appear under their final names only when they are whole.

    Args:
        model: a Keras model of this package.
        path: the checkpoint's prefix; `path.index` and `path.data-00000-of-00001` are written.
        optimizer: if given, its averages and step are written too.
        global_step: number of training steps behind the weights, where there is no optimizer.

    Example:

        bert_tf.save_checkpoint(model, "output/bert_model.ckpt")
    """
    tensors: dict[str, tf.Variable | tf.Tensor] = dict(named_variables(model))
    if optimizer is not None:
        tensors.update(optimizer.named_variables())
    elif global_step is not None:
        tensors[STEP_NAME] = tf.constant(global_step, tf.int64)
    write_tensors(path, tensors)


def write_tensors(prefix: str, tensors: Mapping[str, tf.Variable | tf.Tensor]) -> None:
    """Writes tensors by name; the two files are renamed into place, the index last.

    Raises:
        OSError: if they cannot be written, as on a full disk; nothing of them is left then.
    """
    temporary = f"{prefix}.tmp-{os.getpid()}"
    names = sorted(tensors)
    tf.io.gfile.makedirs(os.path.dirname(prefix) or ".")
    try:
        with tf.device("CPU:0"):  # This host's: an accelerator has no files.
            tf.raw_ops.SaveV2(
                prefix=temporary,
                tensor_names=names,
                shape_and_slices=[""] * len(names),
                tensors=[tf.identity(tensors[name]) for name in names],
            )
        for suffix in (".data-00000-of-00001", ".index"):
            tf.io.gfile.rename(temporary + suffix, prefix + suffix, overwrite=True)
    except tf.errors.OpError as error:
        _remove_files(temporary)
        raise OSError(f"{prefix}: the checkpoint cannot be written: {error.message}") from error
    except BaseException:
        _remove_files(temporary)
        raise


def find_checkpoint(path: str) -> str:
    """The prefix of the checkpoint that `path` means: a prefix, one of its files, or a folder."""
    path = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", str(path))
    if tf.io.gfile.exists(path + ".index"):
        return path
    if tf.io.gfile.isdir(path):
        candidates = list(newest_first(path))
        indices = sorted(name for name in _list(path) if name.endswith(".index"))
        candidates += [os.path.join(path, name[: -len(".index")]) for name in indices]
        if candidates:
            return candidates[0]
    raise ValueError(
        f"No checkpoint at {path}. A checkpoint is named by what its files have in common, for "
        f"example {os.path.join(os.path.dirname(path) or '.', 'bert_model.ckpt')} for "
        "bert_model.ckpt.index and bert_model.ckpt.data-00000-of-00001."
    )


class NumberedCheckpoints:
    """The checkpoints `model.ckpt-STEP` of one run in its folder: the newest few are kept.

    The file `checkpoint`, which names the newest, is written last and all at once, so whoever reads
    it finds whole files.

    Args:
        folder: where they lie.
        variables: all that a run needs to go on, by name.
        keep: how many checkpoints stay; 0 keeps all.
    """

    def __init__(self, folder: str, variables: Mapping[str, tf.Variable], keep: int = 5):
        self.folder = folder
        self.variables = variables
        self.keep = keep

    def save(self, step: int) -> str:
        """Writes `model.ckpt-step` and drops the oldest beyond `keep`. Returns its prefix."""
        prefix = os.path.join(self.folder, f"model.ckpt-{step}")
        write_tensors(prefix, self.variables)
        steps = sorted(s for s in _saved_steps(self.folder) if s <= step)
        kept = steps[-self.keep :] if self.keep else steps
        self._write_state(kept)
        for old in set(steps) - set(kept):
            _remove_files(os.path.join(self.folder, f"model.ckpt-{old}."))
        return prefix

    def restore(self) -> str | None:
        """Restores the newest whole checkpoint. Returns its prefix, or None if there is none.

        Raises:
            ValueError: if there are checkpoints, but all are damaged or of another model.
        """
        damaged = None
        for prefix in newest_first(self.folder):
            try:
                shapes = _shapes(prefix)
                missing = [name for name in self.variables if name not in shapes]
                if missing:
                    raise ValueError(
                        f"{prefix}: the checkpoint lacks {_some(missing)}. Was it written by "
                        "another model, or without the optimizer's state (--keep_optimizer=false)? "
                        "Give it as --init_checkpoint to start from its weights in another "
                        "--output_dir."
                    )
                _check_shapes(prefix, self.variables, shapes)
                values = _read(prefix, self.variables)
            except DamagedCheckpoint as error:
                logger.warning("%s Trying the one before it.", error)
                damaged = error
                continue
            for name, value in values.items():
                self.variables[name].assign(value)
            return prefix
        if damaged is not None:
            raise damaged
        return None

    def remove_unfinished(self) -> None:
        """Removes what a killed run had begun to write. Only for the one process that trains."""
        for name in _list(self.folder):
            if _UNFINISHED.search(name):
                tf.io.gfile.remove(os.path.join(self.folder, name))

    def _write_state(self, steps: Sequence[int]) -> None:
        lines = [f'model_checkpoint_path: "model.ckpt-{steps[-1]}"']
        lines += [f'all_model_checkpoint_paths: "model.ckpt-{step}"' for step in steps]
        path = os.path.join(self.folder, "checkpoint")
        try:
            with files.atomic_write(path, "w") as file:
                file.write("\n".join(lines) + "\n")
        except tf.errors.OpError as error:
            raise OSError(f"{path}: cannot be written: {error.message}") from error


class DamagedCheckpoint(ValueError):
    """A checkpoint whose files are truncated, altered or incomplete."""


def newest_first(folder: str) -> Iterator[str]:
    """Prefixes of the numbered checkpoints of a folder: the one that `checkpoint` names, then the
    others from the newest to the oldest."""
    named = None
    state = os.path.join(folder, "checkpoint")
    if tf.io.gfile.exists(state):
        with tf.io.gfile.GFile(state, "rb") as file:
            text = file.read().decode(errors="replace")  # It may be damaged: then it names nothing.
        match = re.search(r'^model_checkpoint_path: "(.*)"', text, re.MULTILINE)
        named = match and os.path.join(folder, os.path.basename(match.group(1)))
    if named and tf.io.gfile.exists(named + ".index"):
        yield named
    for step in sorted(_saved_steps(folder), reverse=True):
        prefix = os.path.join(folder, f"model.ckpt-{step}")
        if prefix != named:
            yield prefix


def remove_checkpoints(folder: str) -> None:
    """Removes the numbered checkpoints of a folder; first the file that names the newest."""
    names = _list(folder)
    for name in sorted(names, key=lambda name: name != "checkpoint"):
        if name == "checkpoint" or re.match(r"model\.ckpt-\d+\.", name):
            tf.io.gfile.remove(os.path.join(folder, name))


def newest_step(folder: str) -> int | None:
    """The number of training steps behind the newest readable checkpoint; None without any."""
    for prefix in newest_first(folder):
        try:
            return int(_reader(prefix).get_tensor(STEP_NAME))
        except Exception:  # TensorFlow's reader raises IndexError as well as errors of its own.
            continue  # Damaged: whoever restores it says so.
    return None


def newest_has_optimizer(folder: str) -> bool:
    """Whether the newest checkpoint of a folder holds an optimizer's state."""
    prefix = next(newest_first(folder), None)
    return prefix is not None and any(name.endswith("/adam_m") for name in _shapes(prefix))


def _saved_steps(folder: str) -> list[int]:
    found = (re.fullmatch(r"model\.ckpt-(\d+)\.index", name) for name in _list(folder))
    return [int(match.group(1)) for match in found if match]


def _reader(prefix: str):
    # tf.train.load_checkpoint would ask first whether the prefix is a folder, which some remote
    # file systems say of everything that a file's name begins with.
    return tf.compat.v1.train.NewCheckpointReader(prefix)


def _shapes(prefix: str) -> dict[str, list[int]]:
    try:
        return _reader(prefix).get_variable_to_shape_map()
    except Exception as error:  # The reader raises IndexError as well as TensorFlow's errors.
        raise DamagedCheckpoint(f"{prefix}: the checkpoint cannot be read: {error}") from error


def _check_shapes(prefix: str, variables: Mapping, shapes: Mapping[str, list[int]]) -> None:
    wrong = [
        f"{name} is {shapes[name]}, the model's is {variable.shape.as_list()}"
        for name, variable in variables.items()
        if name in shapes and shapes[name] != variable.shape.as_list()
    ]
    if wrong:
        raise ValueError(
            f"{prefix}: {len(wrong)} variables have other shapes than the model: "
            f"{_some(wrong, '; ')}. Does the config belong to this checkpoint?"
        )


def _read(prefix: str, variables: Mapping[str, tf.Variable]) -> dict[str, tf.Tensor]:
    """Reads and verifies (by the checksums in the files) all values before any is used."""
    names = list(variables)
    try:
        with tf.device("CPU:0"):
            values = tf.raw_ops.RestoreV2(
                prefix=prefix,
                tensor_names=names,
                shape_and_slices=[""] * len(names),
                dtypes=[variables[name].dtype for name in names],
            )
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(f"{prefix}: {error.message}") from error
    except tf.errors.OpError as error:
        raise DamagedCheckpoint(f"{prefix}: the checkpoint is damaged: {error.message}") from error
    return dict(zip(names, values, strict=True))


def _predicate(names: str | Callable[[str], bool]) -> Callable[[str], bool]:
    if isinstance(names, str):
        return lambda name: re.search(names, name) is not None
    return names


def _remove_files(prefix: str) -> None:
    folder, start = os.path.split(prefix)
    for name in _list(folder or "."):
        if name.startswith(start):
            tf.io.gfile.remove(os.path.join(folder, name))


def _list(folder: str) -> list[str]:
    # Not a glob: a folder's name may hold the characters of a pattern.
    return tf.io.gfile.listdir(folder) if tf.io.gfile.isdir(folder) else []


def _some(names: Sequence[str], separator: str = ", ") -> str:
    rest = len(names) - _LISTED
    return separator.join(names[:_LISTED]) + (f"{separator}and {rest} more" if rest > 0 else "")
