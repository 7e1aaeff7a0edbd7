"""The folder of a run: whether it may go on there, and the figures that it leaves."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from bert_tf import files
from bert_tf.config import read_json
from bert_tf.training.checkpoint import newest_first

CONFIG_NAME = "bert_config.json"
SETTINGS_NAME = "run_settings.json"
METRICS_NAME = "metrics.jsonl"
# Before the names of an evaluation's figures.
EVALUATION = "eval_"


def prepare_folder(folder: str) -> None:
    """Makes the folder, and sees that files can be written in it.

    Raises:
        ValueError: if they cannot, before any work is done.
    """
    special = sorted(set("[]*?\\") & set(str(folder)))
    if special:  # TensorFlow takes a checkpoint's name for a pattern.
        raise ValueError(
            f"{folder}: checkpoints cannot be read in a folder whose name has {' '.join(special)} "
            "in it. Choose another --output_dir."
        )
    try:
        files.make_directories(folder)
        with files.atomic_write(files.join_path(folder, ".write_test"), "w") as file:
            file.write("\n")
        files.remove_file(files.join_path(folder, ".write_test"))
    except (OSError, tf.errors.OpError) as error:
        raise ValueError(
            f"{folder}: nothing can be written there ({error}). Choose another --output_dir, or "
            "see to its permissions and to room on the disk."
        ) from error


def check_settings(
    folder: str,
    settings: Mapping[str, Any],
    allow_changed: bool,
    defaults: Mapping[str, Any] | None = None,
) -> None:
    """Compares a run's settings with those of the run whose checkpoints lie in the folder.

    Args:
        folder: the run's folder.
        settings: everything that changes the outcome of the run, as JSON values.
        allow_changed: go on in spite of differences.
        defaults: what settings were before anybody could choose: a run that was begun by an older
            version knows less of them.

    Raises:
        ValueError: for differences, each with the old and the new value.
    """
    differences = _differences(folder, SETTINGS_NAME, settings, defaults)
    if differences and not allow_changed:
        changed = [f"  {name}: {then} -> {now}" for name, then, now in differences]
        raise ValueError(
            f"{folder}: a run was begun there with other settings (then -> now):\n"
            + "\n".join(changed)
            + "\nGive a new --output_dir to start anew, the old settings to go on, or "
            "--allow_changed_settings to go on with the new ones."
        )


def check_model(folder: str, config_json: str) -> None:
    """Refuses a folder with checkpoints of another model.

    Raises:
        ValueError: with the keys that differ.
    """
    differences = _differences(folder, CONFIG_NAME, json.loads(config_json))
    if differences:
        lines = [
            f"  {key}: {there} there, {given} in --bert_config_file"
            for key, there, given in differences
        ]
        raise ValueError(
            f"{folder}: it holds another model:\n" + "\n".join(lines) + "\nGive a new "
            "--output_dir, or the --bert_config_file of the model there."
        )


def write_run(folder: str, config_json: str, settings: Mapping[str, Any]) -> None:
    """Keeps what the run is, once everything about it has been checked."""
    with files.atomic_write(files.join_path(folder, CONFIG_NAME), "w") as file:
        file.write(config_json)
    with files.atomic_write(files.join_path(folder, SETTINGS_NAME), "w") as file:
        file.write(json.dumps(settings, indent=2, sort_keys=True) + "\n")


def _differences(
    folder: str, name: str, given: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> list[tuple[str, str, str]]:
    """(key, value in the folder's JSON file, value given) where they differ, as short texts.

    A run that failed before its first checkpoint left nothing to go on with: nothing differs then.
    """
    path = files.join_path(folder, name)
    if next(newest_first(folder), None) is None or not files.exists(path):
        return []
    there, given = read_json(path), json.loads(json.dumps(given))
    known = {k: v for k, v in (defaults or {}).items() if k in given and k not in there}
    there |= json.loads(json.dumps(known))
    return list(_compare("", there, given))


def _compare(name: str, then: Any, now: Any) -> Iterator[tuple[str, str, str]]:
    """(place, value then, value now) of all that differs in two JSON values, the deepest it can."""
    if then == now:
        return
    if isinstance(then, dict) and isinstance(now, dict):
        for key in sorted({*then, *now}):
            yield from _compare(f"{name}.{key}" if name else key, then.get(key), now.get(key))
    elif _are_alike(then, now):
        for number, (old, new) in enumerate(zip(then, now, strict=True)):
            yield from _compare(f"{name}[{number}]", old, new)
    else:
        yield name, _short(then), _short(now)


def _are_alike(then: Any, now: Any) -> bool:
    """Whether both are lists of as many objects, as those of phases are."""
    return (
        isinstance(then, list)
        and isinstance(now, list)
        and len(then) == len(now)
        and all(isinstance(value, dict) for value in (*then, *now))
    )


class MetricsLog:
    """Appends figures to `metrics.jsonl`, a line a step, and to TensorBoard's event files.

    Args:
        folder: the run's folder.
        start_step: the step at which training begins or goes on. Lines beyond it, left by a run
            that was killed after its last checkpoint, are dropped, as their steps are done again.
            None where nothing is trained: all lines stay.
    """

    def __init__(self, folder: str, start_step: int | None = None):
        self.path = files.join_path(folder, METRICS_NAME)
        self._lines = self._lines_until(math.inf if start_step is None else start_step)
        if start_step is not None or self._ends_in_half_a_line():
            self._rewrite()
        self._writers = {
            "": tf.summary.create_file_writer(folder),
            EVALUATION: tf.summary.create_file_writer(files.join_path(folder, "eval")),
        }

    def write(self, step: int, figures: Mapping[str, float], prefix: str = "") -> None:
        """Adds the figures of a step; `prefix` is put before their names (`eval_`)."""
        # JSON knows no infinity: null stands for what is not a finite number.
        named = {
            f"{prefix}{name}": float(value) if math.isfinite(value) else None
            for name, value in figures.items()
        }
        self._append(json.dumps({"step": step, **named}))
        with self._writers[prefix].as_default(step=step):
            for name, value in figures.items():
                tf.summary.scalar(name, value)
        self._writers[prefix].flush()

    def has(self, step: int, name: str) -> bool:
        """Whether a figure of this name was written for this step."""
        lines = map(json.loads, self._lines)
        return any(line["step"] == step and name in line for line in lines)

    def has_evaluation(self, step: int) -> bool:
        """Whether an evaluation of this step was written."""
        lines = map(json.loads, self._lines)
        return any(
            line["step"] == step and any(n.startswith(EVALUATION) for n in line) for line in lines
        )

    def value(self, step: int, name: str) -> float | None:
        """The figure of this name that was last written for this step."""
        lines = (json.loads(line) for line in reversed(self._lines))
        return next((line[name] for line in lines if line["step"] == step and name in line), None)

    def close(self) -> None:
        """Closes TensorBoard's files."""
        for writer in self._writers.values():
            writer.close()

    def _lines_until(self, step: float) -> list[str]:
        return [text for text, line in read_metrics(self.path) if line["step"] <= step]

    def _ends_in_half_a_line(self) -> bool:
        if not files.exists(self.path):
            return False
        with files.open_file(self.path, "rb") as file:
            return not file.read().endswith(b"\n")

    def _append(self, line: str) -> None:
        self._lines.append(line)
        if files.is_remote(self.path):
            self._rewrite()  # Object stores cannot append.
        else:
            try:
                with open(self.path, "a", encoding="utf-8") as file:
                    file.write(line + "\n")
            except OSError as error:  # What a full disk says has no name in it.
                raise OSError(error.errno, error.strerror, self.path) from error

    def _rewrite(self) -> None:
        with files.atomic_write(self.path, "w") as file:
            file.write("".join(f"{line}\n" for line in self._lines))


def read_metrics(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The lines of a `metrics.jsonl`, as text and as JSON objects that have a `step`.

    What is none is passed over: the half of a line that a killed run was writing, damaged bytes.
    """
    if not files.exists(path):
        return
    with files.open_file(path, "rb") as file:
        content = file.read()
    for encoded in content.splitlines():
        try:
            text = encoded.decode()
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            yield text, line


class NoLog:
    """A MetricsLog that keeps nothing: that of a process which is not the chief of its run."""

    def write(self, step: int, figures: Mapping[str, float], prefix: str = "") -> None:
        """Does nothing."""

    def has(self, step: int, name: str) -> bool:
        """True: nothing is to be written."""
        return True

    def has_evaluation(self, step: int) -> bool:
        """True: nothing is to be written."""
        return True

    def value(self, step: int, name: str) -> float | None:
        """None: nobody knows here."""
        return None

    def close(self) -> None:
        """Does nothing."""


def open_log(folder: str, is_chief: bool, start_step: int | None = None) -> MetricsLog | NoLog:
    """Where a process of a run writes its figures; see MetricsLog."""
    return MetricsLog(folder, start_step) if is_chief else NoLog()


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 200 else text[:197] + "..."
