"""The output directory of a run: whether it can resume there, its settings, its metrics."""

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
# Prefix of an evaluation's metrics.
EVALUATION = "eval_"


def prepare_folder(folder: str) -> None:
    """Creates the output directory, and raises a ValueError if no file can be written there."""
    special = sorted(set("[]*?\\") & set(str(folder)))
    if special:  # TensorFlow reads a checkpoint's name as a pattern.
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
            "check its permissions and the free space on the disk."
        ) from error


def check_settings(
    folder: str,
    settings: Mapping[str, Any],
    allow_changed: bool,
    defaults: Mapping[str, Any] | None = None,
) -> None:
    """Compares a run's fingerprint with that of the run whose checkpoints are in the folder.

    Args:
        folder: the output directory.
        settings: the fingerprint: all that the trained weights depend on, as JSON values.
        allow_changed: whether to resume in spite of differences.
        defaults: for settings that an older version did not have when it started the run.

    Raises:
        ValueError: for differences, each with the old and the new value.
    """
    differences = _differences(folder, SETTINGS_NAME, settings, defaults)
    if differences and not allow_changed:
        changed = [f"  {name}: {then} -> {now}" for name, then, now in differences]
        raise ValueError(
            f"{folder}: a run was started there with other settings (then -> now):\n"
            + "\n".join(changed)
            + "\nGive a new --output_dir to start a new run, the old settings to resume, or "
            "--allow_changed_settings to resume with the new ones."
        )


def check_model(folder: str, config_json: str) -> None:
    """Raises a ValueError if the folder has checkpoints of another model, with what differs."""
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
    """Writes the model's configuration and the run's fingerprint."""
    with files.atomic_write(files.join_path(folder, CONFIG_NAME), "w") as file:
        file.write(config_json)
    with files.atomic_write(files.join_path(folder, SETTINGS_NAME), "w") as file:
        file.write(json.dumps(settings, indent=2, sort_keys=True) + "\n")


def _differences(
    folder: str, name: str, given: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> list[tuple[str, str, str]]:
    """Returns (key, value in the folder's JSON file, value given) where they differ, as texts.

    Nothing differs if there is no checkpoint to resume from.
    """
    path = files.join_path(folder, name)
    if next(newest_first(folder), None) is None or not files.exists(path):
        return []
    there, given = read_json(path), json.loads(json.dumps(given))
    known = {k: v for k, v in (defaults or {}).items() if k in given and k not in there}
    there |= json.loads(json.dumps(known))
    return list(_compare("", there, given))


def _compare(name: str, then: Any, now: Any) -> Iterator[tuple[str, str, str]]:
    """Yields (path, value then, value now) of the innermost differences of two JSON values."""
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
    """Returns whether both are lists of the same number of objects, as phases are."""
    return (
        isinstance(then, list)
        and isinstance(now, list)
        and len(then) == len(now)
        and all(isinstance(value, dict) for value in (*then, *now))
    )


class MetricsLog:
    """Appends metrics to `metrics.jsonl`, a line a step, and to TensorBoard's event files.

    Args:
        folder: the output directory.
        start_step: the step at which training starts or resumes. Later lines, left by a run that
            was killed after its last checkpoint, are dropped, as their steps are done again. None
            if nothing is trained: all lines stay.
        is_writer: whether this process writes. Of several, only the chief does; in the others
            nothing happens, and everything counts as written.
    """

    def __init__(self, folder: str, start_step: int | None = None, is_writer: bool = True):
        self.path = files.join_path(folder, METRICS_NAME)
        self.is_writer = is_writer
        self._lines: list[tuple[str, dict[str, Any]]] = []
        self._writers: dict[str, tf.summary.SummaryWriter] = {}
        if not is_writer:
            return
        last_step = math.inf if start_step is None else start_step
        self._lines = [line for line in read_metrics(self.path) if line[1]["step"] <= last_step]
        if start_step is not None or self._ends_in_half_a_line():
            self._rewrite()
        self._writers = {
            "": tf.summary.create_file_writer(folder),
            EVALUATION: tf.summary.create_file_writer(files.join_path(folder, "eval")),
        }

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def write(self, step: int, metrics: Mapping[str, float], prefix: str = "") -> None:
        """Adds the metrics of a step; `prefix` is put before their names (`eval_`)."""
        if not self.is_writer:
            return
        # JSON knows no infinity: null stands for what is not a finite number.
        named = {
            f"{prefix}{name}": float(value) if math.isfinite(value) else None
            for name, value in metrics.items()
        }
        self._append({"step": step, **named})
        with self._writers[prefix].as_default(step=step):
            for name, value in metrics.items():
                tf.summary.scalar(name, value)
        self._writers[prefix].flush()

    def has(self, step: int, prefix: str) -> bool:
        """Returns whether a metric whose name begins with `prefix` was written for this step."""
        return not self.is_writer or any(
            name.startswith(prefix)
            for _, line in self._lines
            if line["step"] == step
            for name in line
        )

    def value(self, step: int, name: str) -> float | None:
        """Returns the metric of this name that was last written for this step."""
        lines = (line for _, line in reversed(self._lines))
        return next((line[name] for line in lines if line["step"] == step and name in line), None)

    def close(self) -> None:
        """Closes TensorBoard's files."""
        for writer in self._writers.values():
            writer.close()

    def _ends_in_half_a_line(self) -> bool:
        if not files.exists(self.path):
            return False
        with files.open_file(self.path, "rb") as file:
            return not file.read().endswith(b"\n")

    def _append(self, line: dict[str, Any]) -> None:
        text = json.dumps(line)
        self._lines.append((text, line))
        if files.is_remote(self.path):
            self._rewrite()  # Object stores cannot append.
        else:
            try:
                with open(self.path, "a", encoding="utf-8") as file:
                    file.write(text + "\n")
            except OSError as error:  # The message about a full disk does not name the file.
                raise OSError(error.errno, error.strerror, self.path) from error

    def _rewrite(self) -> None:
        with files.atomic_write(self.path, "w") as file:
            file.write("".join(f"{text}\n" for text, _ in self._lines))


def read_metrics(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the lines of a `metrics.jsonl`, as text and as JSON objects that have a `step`.

    Skips half a line, which a killed run was writing, and damaged bytes.
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


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 200 else text[:197] + "..."
