"""A corpus, or a shard of it -> record files.

text --read--> documents --make--> instances --write--> records
"""

import hashlib
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from bert_tf import files
from bert_tf.data.corpus_report import CorpusStatistics
from bert_tf.data.documents import Documents, TextLines
from bert_tf.data.manifest import forget_files
from bert_tf.data.pretraining_examples import Instance, InstanceMaker
from bert_tf.data.pretraining_records import RecordEncoder
from bert_tf.data.record_writer import RecordWriter
from bert_tf.progress import Progress
from bert_tf.settings import PretrainingDataSettings
from bert_tf.text.tokenization import FullTokenizer

_UPDATE_EVERY = 256  # records

# Opens a display of a stage's progress, given its name, how much there is to do, and its unit.
StartProgress = Callable[[str, float, str], Progress]


class Shard(NamedTuple):
    """What a shard is made of: its text, where its records go in turns, and where chance starts."""

    input_files: Sequence[str]
    output_files: Sequence[str]
    seed: int


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


def make_records(
    settings: PretrainingDataSettings,
    tokenizer: FullTokenizer,
    shard: Shard,
    start_progress: StartProgress,
) -> MadeShard:
    """Makes the records of a corpus or of a shard of it.

    Raises:
        ValueError: if a text file cannot be read, with the line.
        OSError: if a record file cannot be written; then none of the shard's files is there.
    """
    statistics = CorpusStatistics()
    # The files are opened first: if that is not allowed, one wants to know it now.
    with files.atomic_writes(shard.output_files) as outputs:
        encoder = RecordEncoder(settings, tokenizer.vocab)
        documents = _read_documents(shard, tokenizer, encoder.token_of, start_progress, statistics)
        unknown = encoder.token_of[tokenizer.vocab["[UNK]"]]
        statistics.count_documents(documents, unknown, settings.max_seq_length)

        def keep(instance: Instance) -> bytes:
            statistics.count_instance(instance, settings.max_seq_length)
            return encoder.begin(instance)

        passes = len(documents) * settings.dupe_factor
        with start_progress("making pairs", passes, "documents") as progress:
            instances = InstanceMaker(settings, tokenizer.vocab, encoder.token_of).make(
                documents,
                random.Random(shard.seed),
                keep,
                lambda num_instances: progress.update(1, examples=num_instances),
            )
        del documents
        _check_not_empty(instances, shard, statistics)
        writers = [RecordWriter(output, settings.gzip) for output in outputs]
        with start_progress("writing records", len(instances), "examples") as progress:
            _write_in_turns(map(encoder.finish, instances), writers, progress)
        names = [files.split_path(path)[1] for path in shard.output_files]
        entries = [writer.finish(name) for writer, name in zip(writers, names, strict=True)]
        forget_files(shard.output_files)  # From now on there are others under these names.
    return MadeShard(entries, statistics)


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
    tokenizer: FullTokenizer,
    token_of: Sequence[Any],
    start_progress: StartProgress,
    statistics: CorpusStatistics,
) -> Documents:
    encode, look_up = tokenizer.encode, token_of.__getitem__
    documents = Documents()
    megabytes = sum(map(files.file_size, shard.input_files)) / 1e6
    with start_progress("reading text", megabytes, "MB") as progress:
        lines = TextLines(shard.input_files, lambda num_bytes: progress.update(num_bytes / 1e6))
        documents.read(lines, lambda line: [*map(look_up, encode(line))])
    statistics.count_lines(lines)
    return documents


def _check_not_empty(instances: list[bytes], shard: Shard, statistics: CorpusStatistics) -> None:
    if not instances:
        raise ValueError(
            f"{', '.join(shard.input_files)}: there is no text to make examples of. Each line "
            f"should hold a sentence, and blank lines should part documents. Received: "
            f"{statistics.lines} lines, {statistics.blank_lines} of them blank"
        )
