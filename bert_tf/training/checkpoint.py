"""Reads and writes checkpoints of google-research's format, by variable name.

The variables are weights (`bert/pooler/dense/bias`), Adam's moments (`NAME/adam_m`, `NAME/adam_v`)
and the number of steps (`global_step`).
"""

import contextlib
import dataclasses
import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping

import tensorflow as tf

from bert_tf import files
from bert_tf.files.checkpoints import BEST_FOLDER, find_prefix, newest_first, saved_steps

logger = logging.getLogger(__name__)

STEP_NAME = "global_step"
# Names of variables that only training needs.
OPTIMIZER_STATE = re.compile(r"(/adam_[mv]|^global_step|^loss_scale.*)$")
# Names of temporary files, written here and by `files.atomic_write`.
_UNFINISHED = re.compile(r".*\.tmp-\d+|\..*\.[0-9a-f]{8}\.tmp$")
_NOISE = re.compile(r"\{\{function_node \S+\}\} | \[Op:\w+\]")  # TensorFlow's, about itself.
# What the system says of an intact file. TensorFlow's error class also stands for a damaged one.
_NOT_DAMAGE = re.compile(
    r"permission.denied|too many open files|cannot allocate|\bOOM\b|unavailable|"
    r"deadline.exceeded|unauthenticated|input/output error|stale file handle|timed out",
    re.IGNORECASE,
)


class DamagedCheckpoint(ValueError):
    """A checkpoint whose files are truncated, altered or incomplete."""


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """Lists the names of the variables that `load_checkpoint` loaded."""

    path: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]  # Weights that are not in the checkpoint; they keep their values.
    unused: tuple[str, ...]  # Not in the model, apart from optimizer state.

    def __str__(self) -> str:
        parts = [f"{self.path}: {len(self.loaded)} variables loaded"]
        for title in ("missing", "unused"):
            if names := getattr(self, title):
                parts.append(f"{len(names)} {title} ({files.some(names)})")
        return ", ".join(parts)


def named_variables(model) -> dict[str, tf.Variable]:
    """Returns the weights of a Keras model by path; raises a ValueError if two paths are equal."""
    variables: dict[str, tf.Variable] = {}
    for weight in model.weights:
        if weight.path in variables:
            raise ValueError(f"Two weights of {model.name} have the name {weight.path!r}.")
        variables[weight.path] = weight.value
    return variables


def weights_digest(model) -> str:
    """Returns a hash of the names and values of a Keras model's weights."""
    digest = hashlib.sha256()
    for name, weight in sorted(named_variables(model).items()):
        digest.update(name.encode())
        digest.update(tf.convert_to_tensor(weight).numpy().tobytes())
    return digest.hexdigest()


def load_checkpoint(
    model,
    path: str,
    optimizer=None,
    allow_missing: str | Callable[[str], bool] | None = None,
    allow_other_shape: Callable[[str], bool] | None = None,
) -> LoadReport:
    """Loads a model's weights, and an optimizer's state, by name from a checkpoint.

    Args:
        path: a checkpoint's prefix (`.../bert_model.ckpt`), one of its files, or its folder.
        allow_missing: which variables the checkpoint may lack, as a predicate of the name or a
            regular expression. By default heads, and weights that no output depends on.
        allow_other_shape: a predicate of the name: if its shape differs, it counts as missing.

    Raises a ValueError for a missing or damaged checkpoint, a wrong shape, or a missing variable;
    then the model is unchanged.

    Example:

        encoder = bert_tf.BertEncoder(bert_tf.BertConfig.from_json_file("bert_config.json"))
        print(bert_tf.load_checkpoint(encoder, "bert_model.ckpt"))

    Source: google-research/bert, modeling.py, `get_assignment_map_from_checkpoint`, which skips
    what does not match.
    """
    variables = named_variables(model)
    if optimizer is not None:
        variables.update(optimizer.named_variables())
    prefix = find_checkpoint(path)
    shapes = read_shapes(prefix)
    if allow_other_shape is not None:
        for name in filter(allow_other_shape, variables):
            if shapes.get(name, variables[name].shape) != variables[name].shape:
                logger.warning("%s: %s has another shape and is not loaded", prefix, name)
                del shapes[name]
    missing = tuple(name for name in variables if name not in shapes)
    if isinstance(allow_missing, str):
        allow_missing = re.compile(allow_missing).search
    needed = [name for name in missing if not (allow_missing or model.may_lack)(name)]
    if needed:
        raise ValueError(
            f"{prefix}: {len(needed)} of the model's {len(variables)} variables are not in the "
            f"checkpoint: {files.some(needed)}. It has: {files.some(sorted(shapes))}."
        )
    loaded = {name: variable for name, variable in variables.items() if name in shapes}
    _restore(prefix, loaded)
    unused = [n for n in sorted(shapes) if n not in variables and not OPTIMIZER_STATE.search(n)]
    return LoadReport(prefix, tuple(loaded), missing, tuple(unused))


def has_encoder(path: str | None) -> bool:
    """Returns whether there is a checkpoint at `path` that has all an encoder's weights.

    Loading it fails if it lacks one, except the pooler's.
    """
    names: Mapping[str, list[int]] = {}
    if path:
        with contextlib.suppress(ValueError, OSError):  # Loading it says what is wrong.
            names = read_shapes(find_checkpoint(path))
    return any(name.endswith("/pooler/dense/kernel") for name in names)


def save_checkpoint(model, path: str, optimizer=None, global_step: int | None = None) -> None:
    """Writes a model's weights, and an optimizer's state, in the original's checkpoint format.

    Args:
        path: the checkpoint's prefix: writes `path.index` and `path.data-00000-of-00001`.
        global_step: the number of training steps, if there is no optimizer.

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
    """Writes a checkpoint of tensors by name; its files are renamed into place, the index last.

    Raises an OSError if that fails, as on a full disk, and removes all parts.
    """
    temporary = f"{prefix}.tmp-{os.getpid()}"
    folder, name = files.split_path(temporary)
    names = sorted(tensors)
    tf.io.gfile.makedirs(folder)
    try:
        with _errors_as_os_errors(prefix), tf.device("CPU:0"):  # An accelerator has no files.
            tf.raw_ops.SaveV2(
                prefix=temporary,
                tensor_names=names,
                shape_and_slices=[""] * len(names),
                tensors=[tf.identity(tensors[name]) for name in names],
            )
            for suffix in (".data-00000-of-00001", ".index"):
                tf.io.gfile.rename(temporary + suffix, prefix + suffix, overwrite=True)
    except BaseException:
        _remove_files(folder, re.escape(name))
        raise


def find_checkpoint(path: str) -> str:
    """Returns the prefix of a checkpoint, see `find_prefix`; a ValueError if there is none."""
    path = str(path)
    if prefix := find_prefix(path):
        return prefix
    best = files.join_path(path, BEST_FOLDER)
    if files.exists(files.join_path(best, "checkpoint")):  # It takes precedence, but lacks files.
        path = best
    there = ""
    if files.exists(path):
        there = (
            f", which is {files.kind_of(path)}. Give a model of another format as --model, or "
            f"convert it with convert_checkpoint.py --to=google"
        )
    raise ValueError(
        f"No checkpoint at {path}{there}. Give the common part of its files' names: for "
        f"bert_model.ckpt.index, {os.path.join(os.path.dirname(path) or '.', 'bert_model.ckpt')}."
    )


@dataclasses.dataclass(frozen=True, repr=False)
class NumberedCheckpoints:
    """Manages a run's checkpoints `model.ckpt-STEP`. The file `checkpoint` names the newest."""

    folder: str
    variables: Mapping[str, tf.Variable]  # Everything that resuming needs, by name.
    keep: int = 5  # The number of newest checkpoints to keep; 0 for all.

    def save(self, step: int) -> None:
        """Writes the checkpoint of a step; removes old ones, and those of later steps."""
        write_tensors(os.path.join(self.folder, f"model.ckpt-{step}"), self.variables)
        kept = sorted(saved for saved in saved_steps(self.folder) if saved <= step)[-self.keep :]
        lines = [f'model_checkpoint_path: "model.ckpt-{step}"']
        lines += [f'all_model_checkpoint_paths: "model.ckpt-{saved}"' for saved in kept]
        path = os.path.join(self.folder, "checkpoint")
        with _errors_as_os_errors(path), files.atomic_write(path, "w") as file:
            file.write("\n".join(lines) + "\n")
        if self.keep:
            steps = "|".join(map(str, kept))
            _remove_files(self.folder, rf"model\.ckpt-(?!({steps})\.)\d+\.")

    def restore(self) -> str | None:
        """Restores the newest intact checkpoint. Returns its prefix, or None without checkpoints.

        Raises a ValueError if all are damaged, or of another model.
        """
        damage = None
        for prefix in newest_first(self.folder):
            try:
                saved = read_shapes(prefix)
                missing = [name for name in self.variables if name not in saved]
                if missing:
                    raise ValueError(
                        f"{prefix}: the checkpoint lacks {files.some(missing)}. To start from its "
                        "weights, give it as --init_checkpoint with another --output_dir."
                    )
                _restore(prefix, self.variables)
                return prefix
            except DamagedCheckpoint as error:
                logger.warning("%s Trying the one before it.", error)
                damage = error
        if damage is not None:
            raise damage
        return None

    def remove_unfinished(self) -> None:
        """Removes files that a killed run left half-written. Only for the process that trains."""
        _remove_files(self.folder, _UNFINISHED)


def remove_checkpoints(folder: str) -> None:
    """Removes the numbered checkpoints of a folder, after the file that names the newest."""
    _remove_files(folder, "checkpoint$")
    _remove_files(folder, r"model\.ckpt-\d+\.")


def newest_step(folder: str) -> int | None:
    """Returns the step of the newest readable checkpoint; None if there is none."""
    for prefix in newest_first(folder):
        try:
            return int(_reader(prefix).get_tensor(STEP_NAME))
        except Exception as error:  # TensorFlow's reader raises IndexError and errors of its own.
            if isinstance(other := damage_in(prefix, error), OSError):
                raise other from error
    return None


def newest_has_optimizer(folder: str) -> bool:
    """Returns whether the newest checkpoint of a folder holds an optimizer's state."""
    prefix = next(newest_first(folder), None)
    return prefix is not None and any(name.endswith("/adam_m") for name in read_shapes(prefix))


def _reader(prefix: str):
    # tf.train.load_checkpoint first asks whether the prefix is a folder, which some remote file
    # systems say of any prefix of a file's name.
    return tf.compat.v1.train.NewCheckpointReader(prefix)


def read_shapes(prefix: str) -> dict[str, list[int]]:
    """Returns the shapes of a checkpoint's variables by name."""
    try:
        return dict(_reader(prefix).get_variable_to_shape_map())
    except Exception as error:  # The reader raises IndexError as well as TensorFlow's errors.
        raise damage_in(prefix, error) from error


def damage_in(prefix: str, error: Exception) -> DamagedCheckpoint | OSError:
    """Returns the error for a checkpoint that cannot be read; names files of another kind.

    It is an OSError if the system refuses to read what may be intact.
    """
    if _NOT_DAMAGE.search(str(error)):
        return OSError(f"{prefix}: the checkpoint cannot be read now: {error}")
    folder, name = files.split_path(prefix)
    try:
        for other in files.list_folder(folder):
            if re.match(rf"{re.escape(name)}\.(index|data-)", other):
                files.refuse_other_kinds(files.join_path(folder, other), "checkpoint")
    except ValueError as kind:
        return DamagedCheckpoint(str(kind))
    reason = _NOISE.sub("", str(error))
    return DamagedCheckpoint(f"{prefix}: the checkpoint cannot be read: {reason}")


def _restore(prefix: str, variables: Mapping[str, tf.Variable]) -> None:
    """Assigns the values in a checkpoint, after reading all and verifying their checksums."""
    names = list(variables)
    try:
        with tf.device("CPU:0"):
            values = tf.raw_ops.RestoreV2(
                prefix=prefix,
                tensor_names=names,
                shape_and_slices=[""] * len(names),
                dtypes=[variable.dtype for variable in variables.values()],
            )
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(f"{prefix}: {error.message}") from error
    except tf.errors.OpError as error:
        raise damage_in(prefix, error) from error
    wrong = [
        f"{name} is {value.shape.as_list()}, the model's is {variable.shape.as_list()}"
        for (name, variable), value in zip(variables.items(), values, strict=True)
        if value.shape != variable.shape
    ]
    if wrong:
        raise ValueError(
            f"{prefix}: {len(wrong)} variables have other shapes than the model: "
            f"{files.some(wrong, '; ')}. Does the config belong to this checkpoint?"
        )
    for variable, value in zip(variables.values(), values, strict=True):
        variable.assign(value)


@contextlib.contextmanager
def _errors_as_os_errors(path: str) -> Iterator[None]:
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(f"{path}: the checkpoint cannot be written: {error.message}") from error


def _remove_files(folder: str, pattern: str | re.Pattern) -> None:
    """Removes the files of a folder whose names begin with a match of `pattern`."""
    for name in files.list_folder(folder):
        if re.match(pattern, name):
            tf.io.gfile.remove(os.path.join(folder, name))
