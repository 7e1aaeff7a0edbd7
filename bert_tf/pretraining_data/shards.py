"""Plans the shards of a run and finds those that are already complete.

Before a shard is renamed into place, its manifest entry is written to a note beside it:

    .pretraining-00003-of-00100.tfrecord.made.json
        {"name", "examples", ..., "made_from": "9f3c...", "statistics": {...}}

When all shards are complete, the entries move to the manifest. A shard whose inputs have changed,
or whose size differs from its note, is made again.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import random
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bert_tf import files
from bert_tf.config import read_json, write_json
from bert_tf.data.manifest import described_files
from bert_tf.pretraining_data.documents import StartProgress
from bert_tf.pretraining_data.statistics import CorpusStatistics
from bert_tf.settings import PretrainingDataSettings
from bert_tf.settings.pretraining_data import NAMED_SEGMENTERS
from bert_tf.text.tokenizer import Tokenizer

# Increase it when the same text, vocabulary and settings give other records than before.
_RECORDS_VERSION = 1
# Settings that do not change the records, or that the digest covers otherwise.
_IRRELEVANT = {"input_file", "vocab_file", "output_file", "output_dir", "num_workers"}
_TEXT_FOLDER = ".pretraining-text"
# Shards and their notes under the temporary names of `files.atomic_write`.
_PARTIAL_FILE = re.compile(
    r"\.\.?pretraining-\d+-of-\d+\.tfrecord(\.gz)?(\.made\.json)?\.[0-9a-f]+\.tmp"
)


@dataclasses.dataclass(frozen=True)
class Shard:
    """Describes records made together: of a whole corpus, or of the documents of a shard."""

    name: str  # Of the text, in error messages.
    input_files: Sequence[str]
    output_files: Sequence[str]  # Records are written to them in turn.
    seed: int
    made_from: str = ""  # Digest of what the records depend on; empty with `output_file`.
    # Replaces the counts of `input_files`. Counts of shards are summed, so the first has those of
    # the whole text, and the others have zeros.
    line_counts: CorpusStatistics | None = None

    def with_text(self, path: str, counts: CorpusStatistics) -> "Shard":
        """Returns the shard with its text file and the counts of the whole text."""
        line_counts = self.line_counts or counts
        return dataclasses.replace(self, input_files=(path,), line_counts=line_counts)


@dataclasses.dataclass
class Making:
    """Holds what the records of a shard are made from, and counts what was read and made."""

    settings: PretrainingDataSettings
    tokenizer: Tokenizer
    shard: Shard
    start_progress: StartProgress

    def __post_init__(self) -> None:
        self.rng = random.Random(self.shard.seed)
        self.counts = CorpusStatistics()


def plan_shards(
    settings: PretrainingDataSettings, input_files: Sequence[str], vocabulary_sha256: str
) -> list[Shard]:
    """Returns the shards of `output_dir`, without their text, or one for all of `output_file`."""
    name = ", ".join(input_files[:3]) + (", ..." if len(input_files) > 3 else "")
    if settings.output_dir is None:
        return [Shard(name, input_files, settings.output_file, settings.random_seed)]
    digest = _digest(settings, input_files, vocabulary_sha256)
    shards = []
    for shard in range(settings.num_shards):
        file = f"pretraining-{shard:05d}-of-{settings.num_shards:05d}.tfrecord"
        path = files.join_path(settings.output_dir, f"{file}.gz" if settings.gzip else file)
        shard_name = f"shard {shard} of {name}" if settings.num_shards > 1 else name
        made_from = digest.copy()
        made_from.update(f" {shard}".encode())
        line_counts = CorpusStatistics() if shard else None
        seed = shard_seed(settings.random_seed, shard)
        shards.append(Shard(shard_name, (), (path,), seed, made_from.hexdigest(), line_counts))
    return shards


def shard_seed(random_seed: int, shard: int) -> int:
    """Returns a shard's own seed; that of shard 0 is `random_seed`, as in the original."""
    if shard == 0:
        return random_seed
    digest = hashlib.sha256(f"{random_seed} {shard}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def _digest(settings: PretrainingDataSettings, input_files: Sequence[str], vocabulary_sha256: str):
    """Returns a SHA-256 of what all shards depend on; text files count by path, size and mtime."""
    values = {
        name: value
        for name, value in dataclasses.asdict(settings).items()
        # Without defaults, so that shards stay valid when there are further settings.
        if name not in _IRRELEVANT and value != getattr(PretrainingDataSettings, name)
    }
    inputs = []
    for path in input_files:
        changed = None if files.is_remote(path) else os.stat(path).st_mtime_ns
        inputs.append([files.resolve_path(path), files.file_size(path), changed])
    common = {
        "version": _RECORDS_VERSION,
        "settings": values,
        "vocabulary": vocabulary_sha256,
        "inputs": inputs,
    }
    if settings.word_segmenter not in ("", *NAMED_SEGMENTERS):
        common["words"] = files.file_digest(settings.word_segmenter)
    return hashlib.sha256(json.dumps(common, sort_keys=True).encode())


def find_finished(shards: Mapping[int, Shard]) -> dict[int, dict[str, Any]]:
    """Returns the manifest entries of the complete shards, by number."""
    (first,) = next(iter(shards.values())).output_files
    folder = files.split_path(first)[0]
    notes = set(files.glob_files(note_path(files.join_path(folder, "*"))))
    described = described_files(folder)
    finished = {}
    for number, shard in shards.items():
        (path,) = shard.output_files
        name = files.split_path(path)[1]
        entries = [described[name][1]] if name in described else []
        if note_path(path) in notes:
            with contextlib.suppress(ValueError):  # A damaged note counts as none.
                entries.append(read_json(note_path(path)))
        for entry in entries:
            is_ours = isinstance(entry, dict) and entry.get("made_from") == shard.made_from
            if is_ours and files.exists(path) and files.file_size(path) == entry.get("bytes"):
                finished[number] = entry
    return finished


def note_path(path: str) -> str:
    """Returns the path of a shard's note, which no glob for shards matches."""
    folder, name = files.split_path(path)
    return files.join_path(folder, f".{name}.made.json")


def write_note(path: str, entry: Mapping[str, Any]) -> None:
    """Writes the note of a shard before the shard itself, and removes an older shard."""
    files.remove_file(path)  # The note would seem to describe it.
    write_json(note_path(path), entry, indent=None)


def remove_notes(paths: Iterable[str]) -> None:
    """Removes the notes of shards."""
    for path in paths:
        files.remove_file(note_path(path))


@contextlib.contextmanager
def text_folder(output_dir: str) -> Iterator[str]:
    """Locks `output_dir` against other runs, and makes a temporary folder for the text of shards.

    It is in `output_dir`, where there is room, unless that is remote. Text and partial shards of a
    killed run are removed first. Raises a ValueError if another run is writing there.
    """
    if files.is_remote(output_dir):
        with tempfile.TemporaryDirectory() as folder:
            yield folder
        return
    folder = Path(output_dir, _TEXT_FOLDER)
    with files.hold_folder(output_dir):
        files.make_directories(str(folder))
        partial = [p for p in Path(output_dir).glob(".*.tmp") if _PARTIAL_FILE.fullmatch(p.name)]
        for path in (*folder.iterdir(), *partial):
            path.unlink(missing_ok=True)  # Workers of a killed run may still be ending.
        try:
            yield str(folder)
        finally:
            shutil.rmtree(folder)
