"""Writes the features of a split to a file, or reuses them.

    train.tf_record         the original's records: its features, under its names
    train.tf_record.json    their data, vocabulary and settings, and the windows per example

Features are reused if data, vocabulary and settings are the same to the byte.

Source: google-research/bert, run_classifier.py, `file_based_convert_examples_to_features`;
run_squad.py, `FeatureWriter`.
"""

import contextlib
import dataclasses
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

from bert_tf import files
from bert_tf.data.records import RecordWriter
from bert_tf.finetuning.feature_encoding import Encoding, encode_examples
from bert_tf.progress import Progress, format_number

logger = logging.getLogger(__name__)

FORMAT = 3
FIRST_UNIQUE_ID = 1_000_000_000  # As in the original.


@dataclasses.dataclass(frozen=True)
class FeatureFile:
    """A TFRecord file of a split's features; the windows of an example follow each other."""

    path: str
    sha256: str
    windows_per_example: tuple[int, ...]
    num_truncated: int = 0  # Examples of whose text some is left out.

    @property
    def num_examples(self) -> int:
        return len(self.windows_per_example)

    @property
    def num_features(self) -> int:
        """Returns the number of records."""
        return sum(self.windows_per_example)


def ensure_features(
    encoding: Encoding,
    read_examples: Callable[[], Sequence[Any]],
    path: str,
    num_workers: int = 0,
    progress: TextIO | None = None,
) -> FeatureFile:
    """Returns the features of a split in `path`, after writing them if necessary.

    The bytes are the same with any number of workers.

    Args:
        read_examples: returns all examples; only called if features must be written.
        num_workers: processes that encode; 0 for one per core.
        progress: where progress is shown; standard error if None.

    Raises:
        ValueError: if there are no examples or no windows, or the task refuses an example.
        ChildProcessError: if a worker process was killed.
    """
    started = time.monotonic()
    task = encoding.task
    sources = task.sources(encoding.split)
    if files.resolve_path(path) in map(files.resolve_path, sources):
        raise ValueError(f"{path}: the features would overwrite the data that they are made from.")
    made_from = _describe(encoding, sources)
    found, reason = _find(path, made_from)
    what = f"Reusing the features in {path}"
    if found is None:
        examples = read_examples()
        if not len(examples):
            raise ValueError(f"There are no examples in {', '.join(sources)}.")
        made_from["labels"] = list(task.labels)  # The task may have found them only now.
        found = _write(encoding, examples, path, made_from, num_workers, progress)
        what = f"Wrote features to {path}{reason}"
    counts = f"{found.num_examples:,} examples, {found.num_features:,} features"
    logger.info("%s: %s, %s s", what, counts, format_number(time.monotonic() - started))
    return found


def report_truncated(encoding: Encoding, file: FeatureFile) -> None:
    """Logs how many examples of a split are truncated."""
    if not file.num_truncated:
        logger.info("%s: no example is truncated.", encoding.split)
        return
    logger.warning(
        "%s: %s of %s examples (%.1f %%) are truncated: the task reads less at max_seq_length=%d.",
        encoding.split,
        f"{file.num_truncated:,}",
        f"{file.num_examples:,}",
        100 * file.num_truncated / file.num_examples,
        encoding.max_seq_length,
    )


def _describe(encoding: Encoding, sources: Sequence[str]) -> dict[str, Any]:
    """Returns everything that the records depend on, as JSON values."""
    task = encoding.task
    description = {
        "format": FORMAT,
        "task": task.name,
        "options": dataclasses.asdict(task.options),
        "labels": task.labels,
        "split": encoding.split,
        "max_seq_length": encoding.max_seq_length,
        "do_lower_case": encoding.do_lower_case,
        **({"model_type": "electra"} if encoding.model_type == "electra" else {}),
        "vocabulary": _fingerprint(encoding.vocab_file),
        "sources": [{"path": str(source), **_fingerprint(source)} for source in sources],
        "features": {n: dataclasses.asdict(f) for n, f in sorted(encoding.features.items())},
    }
    return json.loads(json.dumps(description, default=str))


def _find(path: str, made_from: Mapping[str, Any]) -> tuple[FeatureFile | None, str]:
    """Returns the file if it can be reused; else None and the reason for the log."""
    if not files.exists(path) or not files.exists(path + ".json"):
        return None, ""
    try:
        with files.open_file(path + ".json", "r") as file:
            described = json.loads(file.read())
        records = described.pop("records")
        counts = tuple(map(int, described.pop("windows_per_example").split()))
        num_truncated = int(described.pop("num_truncated", 0))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):  # Of another form.
        return None, " again, as it is unknown what the existing ones were made from"
    names = [*made_from, *(set(described) - set(made_from))]
    changed = [name for name in names if described.get(name) != made_from.get(name)]
    if changed:
        return None, f" again, as the existing ones have other {', '.join(changed)}"
    if records != _fingerprint(path):
        return None, " again, as the existing file was changed after it was written"
    return FeatureFile(path, records["sha256"], counts, num_truncated), ""


def _write(
    encoding: Encoding,
    examples: Sequence[Any],
    path: str,
    made_from: Mapping[str, Any],
    num_workers: int,
    stream: TextIO | None,
) -> FeatureFile:
    """Writes the numbered records and the JSON file, both or neither."""
    files.make_directories(files.split_path(path)[0])
    counts: list[int] = []
    num_truncated, unique_id = 0, FIRST_UNIQUE_ID
    with (
        files.atomic_writes([path, path + ".json"]) as (file, sidecar),
        Progress(len(examples), "examples", stream, f"{encoding.split} features") as progress,
        contextlib.closing(encode_examples(encoding, examples, num_workers)) as chunks,
    ):
        writer = RecordWriter(file)
        for chunk in chunks:
            for windows in chunk:
                for window in windows:
                    writer.write(encoding.serializer.record(window, unique_id), window.num_tokens)
                    unique_id += 1
                counts.append(len(windows))
                num_truncated += any(window.is_truncated for window in windows)
            progress.update(len(chunk))
        if not any(counts):
            sources = ", ".join(encoding.task.sources(encoding.split))
            raise ValueError(
                f"None of the {len(examples):,} examples in {sources} gives a feature of "
                f"{encoding.max_seq_length} tokens."
            )
        entry = writer.finish(path)
        described = {
            **made_from,
            "num_truncated": num_truncated,
            "windows_per_example": " ".join(map(str, counts)),
            "records": {name: entry[name] for name in ("bytes", "sha256")},
        }
        sidecar.write((json.dumps(described, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))
    return FeatureFile(path, entry["sha256"], tuple(counts), num_truncated)


def _fingerprint(path: str) -> dict[str, Any]:
    return {"bytes": files.file_size(path), "sha256": files.file_digest(path)}
