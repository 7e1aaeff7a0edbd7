"""The file of a split's features: made by all cores, and made again only if it must be.

    train.tf_record         the original's records: its features, under its names
    train.tf_record.json    what they were made from

The original makes its features at every start, and asks nothing. Here they are used again, but only
if the file beside them says that data, vocabulary and settings are the same, to the byte.

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
from bert_tf.finetuning.encoding_workers import encode_examples
from bert_tf.finetuning.feature_encoding import Encoding, FeatureSerializer
from bert_tf.progress import Progress, format_number

logger = logging.getLogger(__name__)

FORMAT = 1
# The original's first `unique_ids`.
FIRST_UNIQUE_ID = 1_000_000_000

_PIECE_BYTES = 8 << 20
# What the file beside the records says of them, rather than of what they were made from.
_OF_THE_RECORDS = ("num_examples", "num_features", "records")


@dataclasses.dataclass(frozen=True)
class FeatureFile:
    """A split's features on disk.

    path: of the TFRecord file.
    num_examples: how many examples the split has.
    num_features: how many records: an example may give several, or none.
    """

    path: str
    num_examples: int
    num_features: int


def ensure_features(
    task: Any,
    split: str,
    read_examples: Callable[[], Sequence[Any]],
    path: str,
    *,
    vocab_file: str,
    do_lower_case: bool,
    max_seq_length: int,
    num_workers: int = 0,
    progress: TextIO | None = None,
) -> FeatureFile:
    """The features of a split in `path`: those that are there if they are the same, or new ones.

    Records are in the order of the examples, and the same bytes with any number of workers.

    Args:
        task: see `bert_tf/tasks/task.py`.
        split: which of the task's.
        read_examples: gives all its examples; called only if there is something to write.
        path: the TFRecord file; `path` + ".json" says what it was made from. A file that was there
            before is replaced when the new one is whole.
        vocab_file, do_lower_case: of the tokenizer.
        max_seq_length: tokens of a feature, padding included.
        num_workers: how many processes encode; 0 for one on each core.
        progress: where it is shown; the standard error if None.

    Raises:
        ValueError: if there are no examples, or no feature comes of them, or for what the task says
            of one of them.
        ChildProcessError: if a worker came to an end by itself.
        OSError: if a file cannot be read or written.
    """
    started = time.monotonic()
    sources = task.sources(split)
    if files.resolve_path(path) in {files.resolve_path(source) for source in sources}:
        raise ValueError(f"{path}: the features would overwrite the data that they are made from.")
    encoding = Encoding(task, split, vocab_file, do_lower_case, max_seq_length)
    made_from = _describe(encoding, sources)
    found, reason = _find(path, made_from)
    if found is not None:
        logger.info("The features in %s are used again: %s", path, _summary(found, started))
        return found
    examples = read_examples()
    if not len(examples):
        raise ValueError(f"There are no examples in {_named_sources(encoding)}.")
    made_from["labels"] = list(task.labels)  # A task may have found them only now.
    files.make_directories(files.split_path(path)[0])
    written = _write(encoding, examples, path, made_from, num_workers, progress)
    logger.info("Wrote features to %s%s: %s", path, reason, _summary(written, started))
    return written


def _describe(encoding: Encoding, sources: Sequence[str]) -> dict[str, Any]:
    """All that the records depend on, as it is read back from JSON."""
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
    """The file, if it may be used again; else None and, for a line of the log, why not."""
    if not files.exists(path) or not files.exists(_sidecar(path)):
        return None, ""
    try:
        with files.open_file(_sidecar(path), "r") as file:
            described = json.loads(file.read())
        of_the_records = {name: described.pop(name) for name in _OF_THE_RECORDS}
    except (ValueError, KeyError, TypeError):  # Not JSON, or not what is written here.
        return None, " anew, as nothing tells what those there were made from"
    names = [*made_from, *(set(described) - set(made_from))]
    changed = [name for name in names if described.get(name) != made_from.get(name)]
    if changed:
        return None, f" anew, as those there were made from other {', '.join(changed)}"
    if of_the_records["records"] != _fingerprint(path):
        return None, " anew, as the file there was changed after it had been written"
    counts = of_the_records["num_examples"], of_the_records["num_features"]
    return FeatureFile(path, *counts), ""


def _write(
    encoding: Encoding,
    examples: Sequence[Any],
    path: str,
    made_from: Mapping[str, Any],
    num_workers: int,
    stream: TextIO | None,
) -> FeatureFile:
    """Writes the records and, beside them, what they were made from: both, or neither."""
    label = f"{encoding.split} features"
    with (
        files.atomic_writes([path, _sidecar(path)]) as (file, sidecar),
        Progress(len(examples), "examples", stream, label=label) as progress,
    ):
        writer = RecordWriter(file)
        num_features = _write_records(encoding, examples, writer, num_workers, progress)
        entry = writer.finish(path)
        described = {
            **made_from,
            "num_examples": len(examples),
            "num_features": num_features,
            "records": {name: entry[name] for name in ("bytes", "sha256")},
        }
        sidecar.write((json.dumps(described, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))
    return FeatureFile(path, len(examples), num_features)


def _write_records(
    encoding: Encoding,
    examples: Sequence[Any],
    writer: RecordWriter,
    num_workers: int,
    progress: Progress,
) -> int:
    """Encodes and numbers all features; returns how many there are."""
    serializer = FeatureSerializer(encoding.features())
    num_features = 0
    with contextlib.closing(encode_examples(encoding, examples, num_workers)) as encoded:
        for num_encoded, features in encoded:
            for feature in features:
                record = serializer.record(feature, FIRST_UNIQUE_ID + num_features)
                writer.write(record, feature.num_tokens)
                num_features += 1
            progress.update(num_encoded)
    if not num_features:
        raise ValueError(
            f"Of the {len(examples):,} examples in {_named_sources(encoding)} none can be made a "
            f"feature of {encoding.max_seq_length} tokens."
        )
    return num_features


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
