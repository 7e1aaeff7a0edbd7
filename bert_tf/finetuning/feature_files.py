"""Writes the features of a split to a file, unless it already holds the right ones.

    train.tf_record         the original's records: its features, under its names
    train.tf_record.json    what they were made from, and how many windows each example has

The original makes its features at every start. Here they are reused if data, vocabulary and
settings are the same to the byte.

Source: google-research/bert, run_classifier.py, `file_based_convert_examples_to_features`;
run_squad.py, `FeatureWriter`.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

from bert_tf import files
from bert_tf.data.record_writer import RecordWriter
from bert_tf.finetuning.feature_encoding import Encoding, FeatureSerializer, encode_examples
from bert_tf.progress import Progress, format_number

logger = logging.getLogger(__name__)

FORMAT = 2
# The original's first `unique_ids`.
FIRST_UNIQUE_ID = 1_000_000_000

_PIECE_BYTES = 8 << 20


@dataclasses.dataclass(frozen=True)
class FeatureFile:
    """A split's features on disk.

    path: of the TFRecord file.
    sha256: of its content.
    windows_per_example: how many records each example has, which follow each other.
    """

    path: str
    sha256: str
    windows_per_example: tuple[int, ...]

    @property
    def num_examples(self) -> int:
        return len(self.windows_per_example)

    @property
    def num_features(self) -> int:
        """The number of records."""
        return sum(self.windows_per_example)


def ensure_features(
    encoding: Encoding,
    read_examples: Callable[[], Sequence[Any]],
    path: str,
    num_workers: int = 0,
    progress: TextIO | None = None,
) -> FeatureFile:
    """Returns the features of a split in `path`, after writing them if they are not there yet.

    Records are in the order of the examples, and the same bytes with any number of workers.

    Args:
        encoding: the split, and how it is encoded.
        read_examples: returns all its examples; only called if features must be written.
        path: the TFRecord file; `path` + ".json" says what it was made from. An existing file is
            replaced when the new one is complete.
        num_workers: processes that encode; 0 for one per core.
        progress: where progress is shown; standard error if None.

    Raises:
        ValueError: if there are no examples or no windows, or for what the task says of an example.
        ChildProcessError: if a worker process was killed.
        OSError: if a file cannot be read or written.
    """
    started = time.monotonic()
    task = encoding.task
    sources = task.sources(encoding.split)
    if files.resolve_path(path) in {files.resolve_path(source) for source in sources}:
        raise ValueError(f"{path}: the features would overwrite the data that they are made from.")
    made_from = _describe(encoding, sources)
    found, reason = _find(path, made_from)
    if found is not None:
        logger.info("Reusing the features in %s: %s", path, _summary(found, started))
        return found
    examples = read_examples()
    if not len(examples):
        raise ValueError(f"There are no examples in {_named_sources(encoding)}.")
    made_from["labels"] = list(task.labels)  # The task may have found them only now.
    files.make_directories(files.split_path(path)[0])
    written = _write(encoding, examples, path, made_from, num_workers, progress)
    logger.info("Wrote features to %s%s: %s", path, reason, _summary(written, started))
    return written


def _describe(encoding: Encoding, sources: Sequence[str]) -> dict[str, Any]:
    """All that the records depend on, as JSON values."""
    task = encoding.task
    description = {
        "format": FORMAT,
        "task": task.name,
        "options": dataclasses.asdict(task.options),
        "labels": task.labels,
        "split": encoding.split,
        "max_seq_length": encoding.max_seq_length,
        "do_lower_case": encoding.do_lower_case,
        "vocabulary": _fingerprint(encoding.vocab_file),
        "sources": [{"path": str(source), **_fingerprint(source)} for source in sources],
        "features": {n: dataclasses.asdict(f) for n, f in sorted(encoding.features().items())},
    }
    return json.loads(json.dumps(description, default=str))


def _find(path: str, made_from: Mapping[str, Any]) -> tuple[FeatureFile | None, str]:
    """The file if it can be reused; else None and, for the log, the reason."""
    if not files.exists(path) or not files.exists(_sidecar(path)):
        return None, ""
    try:
        with files.open_file(_sidecar(path), "r") as file:
            described = json.loads(file.read())
        records = described.pop("records")
        counts = tuple(map(int, described.pop("windows_per_example").split()))
    except (ValueError, KeyError, TypeError, AttributeError):  # Not JSON, or not of this form.
        return None, " again, as it is unknown what the existing ones were made from"
    names = [*made_from, *(set(described) - set(made_from))]
    changed = [name for name in names if described.get(name) != made_from.get(name)]
    if changed:
        return None, f" again, as the existing ones have other {', '.join(changed)}"
    if records != _fingerprint(path):
        return None, " again, as the existing file was changed after it was written"
    return FeatureFile(path, records["sha256"], counts), ""


def _write(
    encoding: Encoding,
    examples: Sequence[Any],
    path: str,
    made_from: Mapping[str, Any],
    num_workers: int,
    stream: TextIO | None,
) -> FeatureFile:
    """Writes the records and the file beside them: both, or neither."""
    label = f"{encoding.split} features"
    with (
        files.atomic_writes([path, _sidecar(path)]) as (file, sidecar),
        Progress(len(examples), "examples", stream, label=label) as progress,
    ):
        writer = RecordWriter(file)
        counts = _write_records(encoding, examples, writer, num_workers, progress)
        entry = writer.finish(path)
        described = {
            **made_from,
            "windows_per_example": " ".join(map(str, counts)),
            "records": {name: entry[name] for name in ("bytes", "sha256")},
        }
        sidecar.write((json.dumps(described, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))
    return FeatureFile(path, entry["sha256"], tuple(counts))


def _write_records(
    encoding: Encoding,
    examples: Sequence[Any],
    writer: RecordWriter,
    num_workers: int,
    progress: Progress,
) -> list[int]:
    """Encodes, numbers and writes all windows. Returns: how many each example has."""
    serializer = FeatureSerializer(encoding.features())
    counts: list[int] = []
    unique_id = FIRST_UNIQUE_ID
    with contextlib.closing(encode_examples(encoding, examples, num_workers)) as chunks:
        for chunk in chunks:
            for windows in chunk:
                for window in windows:
                    writer.write(serializer.record(window, unique_id), window.num_tokens)
                    unique_id += 1
                counts.append(len(windows))
            progress.update(len(chunk))
    if unique_id == FIRST_UNIQUE_ID:
        raise ValueError(
            f"None of the {len(examples):,} examples in {_named_sources(encoding)} gives a feature "
            f"of {encoding.max_seq_length} tokens."
        )
    return counts


def _fingerprint(path: str) -> dict[str, Any]:
    """Size and SHA-256 of a file."""
    digest, num_bytes = hashlib.sha256(), 0
    with files.open_file(path, "rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
            num_bytes += len(piece)
    return {"bytes": num_bytes, "sha256": digest.hexdigest()}


def _sidecar(path: str) -> str:
    return path + ".json"


def _named_sources(encoding: Encoding) -> str:
    return ", ".join(encoding.task.sources(encoding.split)) or encoding.split


def _summary(found: FeatureFile, started: float) -> str:
    return (
        f"{found.num_examples:,} examples, {found.num_features:,} features, "
        f"{format_number(time.monotonic() - started)} s"
    )
