"""Makes record files of a corpus, or of a shard of it.

text --Documents--> tokens --InstanceMaker--> instances --RecordEncoder--> records

All chance comes from the shard's seed, so it does not matter which process makes a shard, or when.
"""

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.data.manifest import forget_files
from bert_tf.data.record_writer import RecordWriter
from bert_tf.pretraining_data import masking
from bert_tf.pretraining_data.documents import Documents, StartProgress, read_lines, without_display
from bert_tf.pretraining_data.examples import InstanceMaker
from bert_tf.pretraining_data.records import RecordEncoder
from bert_tf.pretraining_data.shards import Shard, remove_notes, write_note
from bert_tf.pretraining_data.statistics import CorpusStatistics
from bert_tf.progress import Progress
from bert_tf.settings import PretrainingDataSettings
from bert_tf.text.tokenizer import Tokenizer

_UPDATE_EVERY = 256  # records


def make_records(
    settings: PretrainingDataSettings,
    tokenizer: Tokenizer,
    shard: Shard,
    start_progress: StartProgress = without_display,
) -> tuple[list[dict[str, Any]], CorpusStatistics]:
    """Makes the record files of a shard.

    Returns:
        The manifest's entries of the files, and the statistics.

    Raises:
        ValueError: if a text file cannot be read, with the line, or there is no text.
        OSError: if a file cannot be written; then none of the shard's files is there.
    """
    # Opened first, to fail before the work if that is not allowed.
    with files.atomic_writes(shard.output_files) as outputs:
        encoder = RecordEncoder(settings, tokenizer)
        documents, counts = _read(shard, tokenizer, encoder.token_of, start_progress)
        unknown = encoder.token_of[tokenizer.special_ids.unk]
        _count_documents(counts, documents, unknown, settings.max_seq_length)
        maker = InstanceMaker(settings, tokenizer, encoder.token_of)
        rng = random.Random(shard.seed)
        passes = len(documents) * settings.dupe_factor
        with start_progress("making pairs", passes, "documents") as progress:
            examples = _make_examples(documents, maker, encoder, rng, counts, progress)
        if not examples:
            raise ValueError(
                f"{shard.name}: there is no text to make examples of. Each line should hold a "
                f"sentence, and blank lines should part documents. Received: {counts.documents} "
                f"documents with {counts.tokens} tokens"
            )
        del documents
        writers = [RecordWriter(output, settings.gzip) for output in outputs]
        _write_in_turns(examples, encoder, writers, start_progress)
        names = [files.split_path(path)[1] for path in shard.output_files]
        entries = [writer.finish(name) for writer, name in zip(writers, names, strict=True)]
        _count_records(counts, entries, settings.max_seq_length)
        forget_files(shard.output_files)  # The manifest describes those that are replaced now.
        remove_notes(shard.output_files)
        if shard.made_from:
            made = {"made_from": shard.made_from, "statistics": dataclasses.asdict(counts)}
            entries[0].update(made)
            write_note(shard.output_files[0], entries[0])
    return entries, counts


def _read(
    shard: Shard, tokenizer: Tokenizer, token_of: Sequence[bytes], start_progress: StartProgress
) -> tuple[Documents, CorpusStatistics]:
    counts, encode, look_up = CorpusStatistics(), tokenizer.encode, token_of.__getitem__
    lines = read_lines(shard.input_files, counts, "reading text", start_progress)
    documents = Documents(lines, lambda line: [*map(look_up, encode(line))])
    if shard.line_counts is not None:
        counts = dataclasses.replace(shard.line_counts)
    return documents, counts


def _count_documents(
    counts: CorpusStatistics, documents: Documents, unknown: bytes, max_seq_length: int
) -> None:
    lengths = np.diff(np.frombuffer(documents.sentence_starts, np.int64))
    counts.documents = len(documents)
    counts.sentences = len(lengths)
    counts.tokens = len(documents.tokens)
    counts.unknown_tokens = documents.tokens.count(unknown)
    counts.long_sentences = int((lengths >= max_seq_length - 3).sum())
    counts.single_document_shards = int(len(documents) == 1)


def _count_records(
    counts: CorpusStatistics, entries: Sequence[dict[str, Any]], max_seq_length: int
) -> None:
    counts.examples = sum(entry["examples"] for entry in entries)
    counts.example_tokens = sum(entry["tokens"] for entry in entries)
    counts.padding_tokens = counts.examples * max_seq_length - counts.example_tokens


def _make_examples(
    documents: Documents,
    maker: InstanceMaker,
    encoder: RecordEncoder,
    rng: random.Random,
    counts: CorpusStatistics,
    progress: Progress,
) -> list[bytes]:
    """Returns the instances of all documents in random order, each begun by the encoder."""
    examples: list[bytes] = []
    for instance in maker.make(documents, rng, lambda: progress.update(1, examples=len(examples))):
        counts.random_next += instance.is_random_next
        counts.masked_tokens += len(instance.positions)
        examples.append(encoder.begin(instance))
    masking.shuffle(examples, rng)
    return examples


def _write_in_turns(
    examples: Sequence[bytes],
    encoder: RecordEncoder,
    writers: Sequence[RecordWriter],
    start_progress: StartProgress,
) -> None:
    """Writes record 0 to the first file, record 1 to the second, ..., and again from the first."""
    with start_progress("writing records", len(examples), "examples") as progress:
        for number, example in enumerate(examples):
            writers[number % len(writers)].write(*encoder.finish(example))
            if number % _UPDATE_EVERY == 0:
                progress.update(min(_UPDATE_EVERY, len(examples) - number))
