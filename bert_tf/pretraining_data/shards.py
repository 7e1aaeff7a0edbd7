"""A corpus, or a shard of it -> record files.

text --read--> documents --make--> instances --write--> records

A shard of a folder is made by `make_shard`, whoever calls it: a process of this machine or a worker
of Apache Beam. Chance comes from the shard's own seed, so neither who makes it nor when matters.
"""

import dataclasses
import hashlib
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from bert_tf import files
from bert_tf.data.manifest import forget_files
from bert_tf.data.record_writer import RecordWriter
from bert_tf.pretraining_data.documents import Documents, TextLines
from bert_tf.pretraining_data.examples import Instance, InstanceMaker
from bert_tf.pretraining_data.finished_shards import note_path, note_text, remove_notes
from bert_tf.pretraining_data.records import RecordEncoder
from bert_tf.pretraining_data.report import CorpusStatistics
from bert_tf.progress import Progress
from bert_tf.settings import PretrainingDataSettings
from bert_tf.text.tokenizer import Tokenizer

_UPDATE_EVERY = 256  # records

# Opens a display of a stage's progress, given its name, how much there is to do, and its unit.
StartProgress = Callable[[str, float, str], Progress]


class Shard(NamedTuple):
    """A corpus, or a shard of one.

    Attributes:
        input_files: its text.
        output_files: where its records go in turns.
        seed: where its chance starts.
        name: what it is called in errors.
        line_counts: what is reported of the lines and files of the text, where that is not what is
            counted in `input_files`. The counts of shards are added up: those of the whole text
            stand with shard 0, and zeros with the others.
    """

    input_files: Sequence[str]
    output_files: Sequence[str]
    seed: int
    name: str
    line_counts: CorpusStatistics | None = None


class MadeShard(NamedTuple):
    """What came of a shard: its files' entries in the manifest, and its counts."""

    entries: list[dict[str, Any]]
    statistics: CorpusStatistics


def shard_seed(random_seed: int, shard: int) -> int:
    """The seed that a shard's chance comes from; no two shards share theirs.

    That of shard 0 is `random_seed` itself: a corpus in one shard has the original's records.
    """
    if shard == 0:
        return random_seed
    digest = hashlib.sha256(f"{random_seed} {shard}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def name_text(input_files: Sequence[str]) -> str:
    """What errors call the text of these files."""
    more = ", ..." if len(input_files) > 3 else ""
    return ", ".join(input_files[:3]) + more


@dataclasses.dataclass(frozen=True)
class ShardedCorpus:
    """A corpus that is to be made into the shards of a folder.

    Attributes:
        settings: see `PretrainingDataSettings`.
        input_files: its text.
        paths: of the shards, by number.
        origins: what each is made from, of `origins_of_shards`.
    """

    settings: PretrainingDataSettings
    input_files: Sequence[str]
    paths: Sequence[str]
    origins: Sequence[str]

    def shard(self, number: int, text: str, line_counts: CorpusStatistics) -> Shard:
        """A shard whose documents lie in the file `text`; `line_counts`: of the whole corpus."""
        name = name_text(self.input_files)
        if self.settings.num_shards > 1:
            name = f"shard {number} of {name}"
        counts = CorpusStatistics() if number else line_counts
        seed = shard_seed(self.settings.random_seed, number)
        return Shard([text], [self.paths[number]], seed, name, counts)

    def entry(self, number: int, made: MadeShard) -> dict[str, Any]:
        """A shard's entry in the manifest, which tells too what it was made from."""
        statistics = dataclasses.asdict(made.statistics)
        return {**made.entries[0], "made_from": self.origins[number], "statistics": statistics}


def make_shard(
    corpus: ShardedCorpus,
    tokenizer: Tokenizer,
    number: int,
    shard: Shard,
    start_progress: StartProgress,
) -> dict[str, Any]:
    """Makes a shard of a folder, and notes beside it what it is.

    Returns:
        Its entry in the manifest.

    Raises:
        ValueError, OSError: see `make_records`.
    """
    entry = {}

    def note(made: MadeShard) -> None:
        entry.update(corpus.entry(number, made))
        path = corpus.paths[number]
        # A note whose shard is not there says nothing; it must not seem to be about an older one.
        files.remove_file(path)
        with files.atomic_write(note_path(path), "w") as file:
            file.write(note_text(entry))

    make_records(corpus.settings, tokenizer, shard, start_progress, note)
    return entry


def make_records(
    settings: PretrainingDataSettings,
    tokenizer: Tokenizer,
    shard: Shard,
    start_progress: StartProgress,
    when_written: Callable[[MadeShard], None] = lambda made: None,
) -> MadeShard:
    """Makes the records of a corpus or of a shard of it.

    Args:
        settings: see `PretrainingDataSettings`.
        tokenizer: of the vocabulary.
        shard: what to make.
        start_progress: see `StartProgress`.
        when_written: called when all is written, just before the files get their names.

    Raises:
        ValueError: if a text file cannot be read, with the line.
        OSError: if a record file cannot be written; then none of the shard's files is there.
    """
    statistics = CorpusStatistics()
    # The files are opened first: if that is not allowed, one wants to know it now.
    with files.atomic_writes(shard.output_files) as outputs:
        encoder = RecordEncoder(settings, tokenizer)
        documents, lines = _read_documents(shard, tokenizer, encoder.token_of, start_progress)
        if shard.line_counts is None:
            statistics.count_lines(lines)
        else:
            statistics.add(shard.line_counts)
        unknown = encoder.token_of[tokenizer.special_ids.unk]
        statistics.count_documents(documents, unknown, settings.max_seq_length)

        def keep(instance: Instance) -> bytes:
            statistics.count_instance(instance, settings.max_seq_length)
            return encoder.begin(instance)

        passes = len(documents) * settings.dupe_factor
        with start_progress("making pairs", passes, "documents") as progress:
            instances = InstanceMaker(settings, tokenizer, encoder.token_of).make(
                documents,
                random.Random(shard.seed),
                keep,
                lambda num_instances: progress.update(1, examples=num_instances),
            )
        del documents
        _check_not_empty(instances, shard, lines, statistics)
        writers = [RecordWriter(output, settings.gzip) for output in outputs]
        with start_progress("writing records", len(instances), "examples") as progress:
            _write_in_turns(map(encoder.finish, instances), writers, progress)
        names = [files.split_path(path)[1] for path in shard.output_files]
        entries = [writer.finish(name) for writer, name in zip(writers, names, strict=True)]
        forget_files(shard.output_files)  # From now on there are others under these names.
        remove_notes(shard.output_files)
        made = MadeShard(entries, statistics)
        when_written(made)
    return made


def _write_in_turns(
    records: Iterable[tuple[bytes, int]], writers: Sequence[RecordWriter], progress: Progress
) -> None:
    """Writes record 0 to the first file, record 1 to the second, ..., and again from the first."""
    number = 0
    for number, (record, num_tokens) in enumerate(records, start=1):
        writers[(number - 1) % len(writers)].write(record, num_tokens)
        if number % _UPDATE_EVERY == 0:
            progress.update(_UPDATE_EVERY)
    progress.update(number % _UPDATE_EVERY)


def _read_documents(
    shard: Shard,
    tokenizer: Tokenizer,
    token_of: Sequence[Any],
    start_progress: StartProgress,
) -> tuple[Documents, TextLines]:
    encode, look_up = tokenizer.encode, token_of.__getitem__
    documents = Documents()
    megabytes = sum(map(files.file_size, shard.input_files)) / 1e6
    with start_progress("reading text", megabytes, "MB") as progress:
        lines = TextLines(shard.input_files, lambda num_bytes: progress.update(num_bytes / 1e6))
        documents.read(lines, lambda line: [*map(look_up, encode(line))])
    return documents, lines


def _check_not_empty(
    instances: list[bytes], shard: Shard, lines: TextLines, statistics: CorpusStatistics
) -> None:
    if not instances:
        # Of a whole corpus in one shard, blank lines are not dealt.
        num_lines = max(lines.num_lines, statistics.lines)
        num_blank_lines = max(lines.num_blank_lines, statistics.blank_lines)
        raise ValueError(
            f"{shard.name}: there is no text to make examples of. Each line should hold a "
            f"sentence, and blank lines should part documents. Received: {num_lines} lines, "
            f"{num_blank_lines} of them blank"
        )
