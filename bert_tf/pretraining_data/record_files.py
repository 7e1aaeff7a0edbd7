"""Makes the record files of a corpus, or its shards, in this process or in several.

text --Documents--> tokens --InstanceMaker--> instances --RecordEncoder--> records

All randomness comes from the shard's seed, so shards do not depend on the process that makes them.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.data.manifest import forget_files
from bert_tf.data.records import RecordWriter
from bert_tf.files.workers import WorkerKilled, report_progress, run_unordered
from bert_tf.pretraining_data import masking, ngrams, packed, segmentation
from bert_tf.pretraining_data.documents import (
    Documents,
    StartProgress,
    deal_documents,
    read_lines,
    without_display,
)
from bert_tf.pretraining_data.examples import InstanceMaker, find_continuations
from bert_tf.pretraining_data.full_sentences import FullSentenceMaker
from bert_tf.pretraining_data.records import RecordEncoder
from bert_tf.pretraining_data.shards import Making, Shard, remove_notes, write_note
from bert_tf.pretraining_data.span_masking import SpanInstanceMaker
from bert_tf.pretraining_data.statistics import CorpusStatistics
from bert_tf.progress import Progress
from bert_tf.settings import PretrainingDataSettings
from bert_tf.text.tokenizer import Tokenizer

_UPDATE_EVERY = 256  # records
# The fraction of a shard's time that its stages take.
_FRACTIONS = {"reading text": 0.2, "making pairs": 0.45, "writing records": 0.35}
_FRACTIONS[packed.STAGE] = 1.0


def make_records(
    settings: PretrainingDataSettings,
    tokenizer: Tokenizer,
    shard: Shard,
    start_progress: StartProgress = without_display,
) -> tuple[list[dict[str, Any]], CorpusStatistics]:
    """Makes a shard's record files, and returns their manifest entries and the statistics.

    Raises a ValueError if a text file cannot be read (names the line) or there is no text; an
    OSError if a file cannot be written. Then none of the shard's files is left.
    """
    making, num_examples = Making(settings, tokenizer, shard, start_progress), 0
    make = packed.packed_records if settings.packing == "electra" else _masked_records
    # Opened first, to fail early if they cannot be written.
    with files.atomic_writes(shard.output_files) as outputs:
        writers = [RecordWriter(output, settings.gzip) for output in outputs]
        # Closed at once, so that an error is told after the last line of progress.
        with contextlib.closing(make(making)) as records:
            for num_examples, record in enumerate(records, start=1):
                writers[(num_examples - 1) % len(writers)].write(*record)
        counts = making.counts
        if not num_examples:
            raise ValueError(
                f"{shard.name}: there is no text to make examples of. Each line should hold a "
                f"sentence, and blank lines should part documents. Received: {counts.documents} "
                f"documents with {counts.tokens} tokens"
            )
        if shard.line_counts:
            counts = counts.with_lines_of(shard.line_counts)
        return _finish(shard, writers, counts, settings.max_seq_length), counts


def _masked_records(making: Making) -> Iterator[tuple[bytes, int]]:
    """Yields the serialized examples of all makers of instances, shuffled, and their tokens."""
    counts, rng, start_progress = making.counts, making.rng, making.start_progress
    encoder = RecordEncoder(making.settings, making.tokenizer)
    documents = _read(making, encoder.token_of)
    maker = _make_maker(making, encoder.token_of)
    examples: list[bytes] = []
    passes = len(documents) * making.settings.dupe_factor
    with start_progress("making pairs", passes, "documents") as progress:
        for instance in maker.make(documents, rng, progress.update):
            counts.random_next += instance.is_random_next
            counts.masked_tokens += len(instance.positions)
            examples.append(encoder.begin(instance))
    masking.shuffle(examples, rng)
    del documents
    with start_progress("writing records", len(examples), "examples") as progress:
        for number, example in enumerate(examples):
            yield encoder.finish(example)
            if number % _UPDATE_EVERY == 0:
                progress.update(min(_UPDATE_EVERY, len(examples) - number))


def _make_maker(making: Making, token_of: Sequence[bytes]) -> InstanceMaker:
    settings, tokenizer = making.settings, making.tokenizer
    if settings.full_sentences:
        return FullSentenceMaker(settings, tokenizer, token_of)
    if settings.do_span_mask:
        return SpanInstanceMaker(settings, tokenizer, token_of)
    if not settings.ngram:
        return InstanceMaker(settings, tokenizer, token_of)
    offset = settings.ngram_seed - settings.random_seed if settings.ngram_seed is not None else 0
    return ngrams.NgramInstanceMaker(settings, tokenizer, token_of, making.shard.seed + offset)


def _read(making: Making, token_of: Sequence[bytes]) -> Documents:
    settings, tokenizer, counts = making.settings, making.tokenizer, making.counts
    look_up = token_of.__getitem__
    if settings.word_segmenter:
        encode = segmentation.make_encoder(settings.word_segmenter, tokenizer, token_of)
    elif settings.ngram:
        encode = ngrams.make_encoder(tokenizer, token_of)
    else:

        def encode(line: str) -> list[bytes]:
            return [*map(look_up, tokenizer.encode(tokenizer.word_prefix + line))]

    paths = making.shard.input_files
    lines = read_lines(paths, counts, "reading text", making.start_progress)
    documents = Documents(lines, encode)
    lengths = np.diff(np.frombuffer(documents.sentence_starts, np.int64))
    counts.documents = len(documents)
    counts.sentences = len(lengths)
    counts.tokens = len(documents.tokens)
    counts.unknown_tokens = documents.tokens.count(token_of[tokenizer.special_ids.unk])
    if settings.do_whole_word_mask:
        continuing = find_continuations(settings, tokenizer, token_of)
        counts.continuing_tokens = sum(map(continuing.__contains__, documents.tokens))
    counts.long_sentences = int((lengths >= settings.max_seq_length - 3).sum())
    counts.single_document_shards = int(len(documents) == 1)
    return documents


def _finish(
    shard: Shard, writers: Sequence[RecordWriter], counts: CorpusStatistics, max_seq_length: int
) -> list[dict[str, Any]]:
    """Completes the files, writes the shard's note, and returns the manifest entries."""
    names = [files.split_path(path)[1] for path in shard.output_files]
    entries = [writer.finish(name) for writer, name in zip(writers, names, strict=True)]
    counts.examples = sum(entry["examples"] for entry in entries)
    counts.example_tokens = sum(entry["tokens"] for entry in entries)
    counts.padding_tokens = counts.examples * max_seq_length - counts.example_tokens
    forget_files(shard.output_files)  # The manifest describes the replaced files.
    remove_notes(shard.output_files)
    if shard.made_from:
        entries[0].update(made_from=shard.made_from, statistics=dataclasses.asdict(counts))
        write_note(shard.output_files[0], entries[0])
    return entries


def make_shards(
    settings: PretrainingDataSettings,
    tokenizer: Tokenizer,
    input_files: Sequence[str],
    shards: Mapping[int, Shard],
    text_dir: str,
    start_progress: StartProgress,
) -> dict[int, dict[str, Any]]:
    """Makes shards in `num_workers` processes, and returns their manifest entries.

    The text is read once and split into a file per shard in `text_dir`; otherwise a thousand shards
    of a large corpus would take days. Raises as `make_records` does, or a ChildProcessError if a
    worker was killed; complete shards remain.
    """
    counts = CorpusStatistics()
    texts = {number: str(Path(text_dir, f"shard-{number:05d}.txt")) for number in shards}
    lines = read_lines(input_files, counts, "dealing documents", start_progress)
    deal_documents(lines, settings.num_shards, texts)
    shards = {number: shards[number].with_text(text, counts) for number, text in texts.items()}
    make, works = functools.partial(_make_shard, settings, tokenizer), shards.items()
    num_workers = min(settings.num_workers, len(shards))
    try:
        with start_progress("making records", len(shards), "shards") as progress:
            made = run_unordered(
                make, works, num_workers, lambda done: progress.update(done - progress.done)
            )
            with contextlib.closing(made):
                return dict(made)
    except WorkerKilled as error:
        number, shard = error.work
        raise ChildProcessError(
            f"A worker process was killed (exit status {error.exit_status}) while it made shard "
            f"{number} ({shard.output_files[0]}). If it ran out of memory, make more shards or use "
            f"fewer workers. The same command started again keeps the shards that are whole."
        ) from error


def _make_shard(
    settings: PretrainingDataSettings, tokenizer: Tokenizer, numbered: tuple[int, Shard]
) -> tuple[int, dict[str, Any]]:
    number, shard = numbered
    (entry,), _ = make_records(settings, tokenizer, shard, _report_stage)
    return number, entry


@contextlib.contextmanager
def _report_stage(stage: str, total: float, unit: str) -> Iterator[Progress]:
    """Reports each finished stage's fraction of the shard to the parent process."""
    with without_display(stage, total, unit) as progress:
        yield progress
    report_progress(_FRACTIONS[stage])
