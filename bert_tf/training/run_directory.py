"""Reads and writes a run's output directory: its settings, model configuration and metrics."""

import contextlib
import dataclasses
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from bert_tf import files
from bert_tf.config import read_json, write_json
from bert_tf.files.checkpoints import newest_first
from bert_tf.settings import TrainingSettings

CONFIG_NAME = "bert_config.json"
METRICS_NAME = "metrics.jsonl"
_SETTINGS_NAME = "run_settings.json"
EVALUATION = "eval_"  # Prefix of an evaluation's metrics.
# Weights that no run writes: of a released or a converted model.
_OTHER_WEIGHTS = re.compile(
    r"(?!model\.ckpt-\d+\.).*\.(index|bin|safetensors|h5|hdf5|keras|msgpack|pt|pth|onnx|pb)$"
)


def refuse_other_model(folder: str) -> None:
    """Raises a ValueError if a folder has the weights of a model that no run trained there."""
    if files.exists(files.join_path(folder, _SETTINGS_NAME)):
        return
    if weights := [*filter(_OTHER_WEIGHTS.match, files.list_folder(folder))]:
        raise ValueError(
            f"--output_dir={folder} is the folder of a finished model ({', '.join(weights[:3])}), "
            "whose files would be mixed with this run's. Give a new --output_dir; to train the "
            "model further, name it as --init_checkpoint or --model."
        )


def prepare_folder(folder: str) -> None:
    """Creates the output directory; raises a ValueError if checkpoints cannot be saved there."""
    special = sorted(set("[]*?\\") & set(str(folder)))
    if special:  # TensorFlow reads a checkpoint's name as a pattern.
        raise ValueError(
            f"{folder}: checkpoints cannot be read in a folder whose name has {' '.join(special)} "
            "in it. Choose another --output_dir."
        )
    test_file = files.join_path(folder, ".write_test")
    try:
        files.make_directories(folder)
        with files.atomic_write(test_file, "w") as file:
            file.write("\n")
        files.remove_file(test_file)
    except (OSError, tf.errors.OpError) as error:
        raise ValueError(
            f"{folder}: nothing can be written there ({error}). Choose another --output_dir, or "
            "check its permissions and the free space."
        ) from error


def check_settings(settings: TrainingSettings, fingerprint: Mapping[str, Any]) -> None:
    """Raises a ValueError if the output directory's run has another fingerprint.

    The fingerprint is everything that the trained weights depend on, as JSON values.
    """
    if settings.allow_changed_settings:
        return
    changes = _changes(
        files.join_path(settings.output_dir, _SETTINGS_NAME),
        fingerprint,
        # The defaults stand for settings that an older version did not save.
        {field.name: field.default for field in dataclasses.fields(settings)},
    )
    if changes:
        raise ValueError(
            f"{settings.output_dir}: a run was started there with other settings (then -> now):\n"
            f"{changes}Give a new --output_dir, the old settings, or --allow_changed_settings."
        )


def check_model(folder: str, config_json: str) -> None:
    """Raises a ValueError if the folder has checkpoints of another model."""
    changes = _changes(files.join_path(folder, CONFIG_NAME), json.loads(config_json), {})
    if changes:
        raise ValueError(
            f"{folder}: it holds another model (there -> in --bert_config_file):\n{changes}Give a "
            "new --output_dir, or the --bert_config_file of the model there."
        )


def write_run(folder: str, config_json: str, fingerprint: Mapping[str, Any]) -> None:
    """Writes the model's configuration and the run's fingerprint."""
    with files.atomic_write(files.join_path(folder, CONFIG_NAME), "w") as file:
        file.write(config_json)
    write_json(files.join_path(folder, _SETTINGS_NAME), fingerprint, sort_keys=True)


def _changes(path: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Returns the differences between a JSON file and new values, if there are checkpoints."""
    if next(newest_first(files.split_path(path)[0]), None) is None or not files.exists(path):
        return ""
    defaults = {key: value for key, value in defaults.items() if key in given}
    defaults, given = json.loads(json.dumps([defaults, given]))  # As if read from a file.
    changes = find_changes({**defaults, **read_json(path, dict)}, given)
    return "".join(f"  {change}\n" for change in changes)


def find_changes(then: Any, now: Any, place: str = "") -> Iterator[str]:
    """Yields the innermost differences of two JSON values, as in "seed: 1 -> 2"."""
    if then == now:
        return
    if isinstance(then, dict) and isinstance(now, dict):
        for key in sorted({*then, *now}):
            inner = f"{place}.{key}" if place else key
            yield from find_changes(then.get(key), now.get(key), inner)
    elif _are_phases(then) and _are_phases(now) and len(then) == len(now):
        for number, (old, new) in enumerate(zip(then, now, strict=True)):
            yield from find_changes(old, new, f"{place}[{number}]")
    else:
        yield f"{place}: {_shortened(then)} -> {_shortened(now)}"


def _are_phases(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _shortened(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 200 else text[:197] + "..."


class MetricsLog(contextlib.AbstractContextManager):
    """Appends metrics to `metrics.jsonl`, a line per step, and to TensorBoard's event files.

    Drops lines after `start_step`, which a run left that was killed after its last checkpoint.
    Only the chief `is_writer`; for others the log is empty.
    """

    def __init__(self, folder: str, start_step: int | None = None, is_writer: bool = True):
        self.path = files.join_path(folder, METRICS_NAME)
        self.is_writer = is_writer
        self._lines: list[dict[str, Any]] = []
        self._writers: dict[str, tf.summary.SummaryWriter] = {}
        if not is_writer:
            return
        last_step = math.inf if start_step is None else start_step
        self._lines = [line for line in read_metrics(self.path) if line["step"] <= last_step]
        if start_step is not None or not _read(self.path).endswith(b"\n"):
            self._rewrite()
        self._folder = folder

    def __exit__(self, *error) -> None:
        for writer in self._writers.values():
            writer.close()

    def write(self, step: int, metrics: Mapping[str, float], prefix: str = "") -> None:
        """Adds the metrics of a step, with `prefix` (EVALUATION) before their names."""
        if not self.is_writer:
            return
        # JSON has no NaN or infinity: null stands for them.
        named = {
            f"{prefix}{name}": float(value) if math.isfinite(value) else None
            for name, value in metrics.items()
        }
        self._append({"step": step, **named})
        with self._writer(prefix).as_default(step=step):
            for name, value in metrics.items():
                tf.summary.scalar(name, value)
        self._writer(prefix).flush()

    def hyperparameters(self, settings: Any) -> None:
        """Writes a settings dataclass to TensorBoard: its HPARAMS page, and TEXT."""
        if not self.is_writer:
            return
        values = {name: str(value) for name, value in dataclasses.asdict(settings).items()}
        rows = "".join(f"|{name}|{value}|\n" for name, value in sorted(values.items()))
        with self._writer("").as_default(step=0):
            tf.summary.text("settings", f"|setting|value|\n|---|---|\n{rows}")
            with contextlib.suppress(ImportError):
                from tensorboard.plugins.hparams import api

                kept = (bool, int, float, str)
                given = dataclasses.asdict(settings).items()
                api.hparams({name: value for name, value in given if isinstance(value, kept)})

    def _writer(self, prefix: str) -> tf.summary.SummaryWriter:
        """Returns the writer of an event file, which is made when there is something to write."""
        if prefix not in self._writers:
            folder = files.join_path(self._folder, "eval") if prefix else self._folder
            self._writers[prefix] = tf.summary.create_file_writer(folder)
        return self._writers[prefix]

    def evaluation(self, step: int) -> dict[str, float] | None:
        """Returns the line of a step's latest evaluation, or None."""
        for line in reversed(self._lines):
            if line["step"] == step and any(name.startswith(EVALUATION) for name in line):
                return line
        return None

    def _append(self, line: dict[str, Any]) -> None:
        self._lines.append(line)
        if files.is_remote(self.path):
            self._rewrite()  # Object stores cannot append.
            return
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:  # The message about a full disk does not name the file.
            raise OSError(error.errno, error.strerror, self.path) from error

    def _rewrite(self) -> None:
        with files.atomic_write(self.path, "w") as file:
            file.write("".join(json.dumps(line) + "\n" for line in self._lines))


def read_metrics(path: str) -> Iterator[dict[str, Any]]:
    """Yields the lines of a `metrics.jsonl`, JSON objects with a `step`; skips damaged lines."""
    for encoded in _read(path).splitlines():
        try:
            line = json.loads(encoded)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            yield line


def _read(path: str) -> bytes:
    return files.read_bytes(path) if files.exists(path) else b""
