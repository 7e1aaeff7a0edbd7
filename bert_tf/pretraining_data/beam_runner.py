"""Makes shards on Apache Beam: on one machine, or on the many of a cluster or a cloud.

    input files --count--> how many documents begin in each           the text is read
    input files --deal---> parts of documents, each to its shard      the text is read again
    parts --group by shard, in the text's order--> make --> the shard and its note

A document's shard is its number in the whole text modulo the number of shards, as where documents
are dealt on one machine, so that the files have the same bytes. Its number is known once the
documents in the files before it have been counted. What came of a shard is read from the note
beside it: files are all that the workers and this process have in common.

Workers need this package, numpy and Beam, not TensorFlow, and hold one shard in memory. Importing
this file does not import Beam.
"""

import contextlib
import dataclasses
import functools
import io
import logging
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from bert_tf import files
from bert_tf.data.manifest import forget_files
from bert_tf.pretraining_data.beam_files import as_local, publish_shard
from bert_tf.pretraining_data.document_dealing import check_number_of_documents
from bert_tf.pretraining_data.documents import TextLines
from bert_tf.pretraining_data.finished_shards import find_finished
from bert_tf.pretraining_data.report import CorpusStatistics
from bert_tf.pretraining_data.shard_workers import Fractions
from bert_tf.pretraining_data.shards import ShardedCorpus, make_shard
from bert_tf.text.tokenizer import Tokenizer, load_tokenizer

logger = logging.getLogger(__name__)

# Runners of this process's machine: there are no flags that only another program would know.
_LOCAL_RUNNERS = {"DirectRunner", "SwitchingDirectRunner", "BundleBasedDirectRunner", "FnApiRunner"}
# What a thread of the DirectRunner dies of when its process does.
_KILLED_WORKER = "Worker subprocess exited"
# A long document travels in parts.
_PART_CHARACTERS = 2**20
_PLAIN_ERROR = re.compile(
    r"^(?:\w+\.)*(ValueError|OSError|BeamIOError|FileNotFoundError|PermissionError): "
    r"(.*?)(?: \[while running .*\])?$"
)


class FileCounts(NamedTuple):
    """What the documents of the files after a file depend on.

    Attributes:
        number: of the file, in the order of the text.
        parts: how many runs of lines it holds that blank lines part.
        starts_with_text: whether its first line holds text, which goes on with the document that
            the files before it left open.
        ends_with_text: whether its last line does; None if it has no line.
        lines: what is reported of its lines.
    """

    number: int
    parts: int
    starts_with_text: bool
    ends_with_text: bool | None
    lines: dict[str, int]


class Part(NamedTuple):
    """A piece of a document; in the order of these the pieces make a shard's text."""

    document: int
    file: int
    number: int
    text: str


def make_shards(
    corpus: ShardedCorpus, numbers: Sequence[int], flags: Sequence[str]
) -> dict[int, dict[str, Any]]:
    """Makes shards on Apache Beam.

    Args:
        corpus: see `ShardedCorpus`.
        numbers: the shards to make.
        flags: Beam's, such as `--runner=FlinkRunner`.

    Returns:
        By number, the shards' entries in the manifest.

    Raises:
        ValueError: if Beam is not there, or does not take the flags, and see `make_records`.
        OSError: if files cannot be read or written, or shards are not where they should be.
    """
    options = _parse_flags(flags)
    corpus = _with_absolute_paths(corpus)
    # Workers on many machines must not change one manifest at the same time.
    forget_files([corpus.paths[number] for number in numbers])
    run_pipeline(corpus, frozenset(numbers), options)
    finished = find_finished(corpus.paths, corpus.origins)
    missing = [corpus.paths[number] for number in numbers if number not in finished]
    if missing:
        raise OSError(
            f"Beam's pipeline has ended, and {len(missing)} of {len(numbers)} shards are not in "
            f"output_dir: its workers must write to the same place as is read here, such as a "
            f"folder of gs://. Missing: {missing[0]}"
        )
    return {number: finished[number] for number in numbers}


def _parse_flags(flags: Sequence[str]) -> Any:
    """Beam's PipelineOptions; a flag that it cannot take is a ValueError."""
    printed = io.StringIO()
    try:
        with _without_log_lines(), contextlib.redirect_stderr(printed):
            from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

            options = PipelineOptions(list(flags))
            known = options.get_all_options()
            given = options.get_all_options(retain_unknown_options=True)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"Apache Beam cannot be imported. It needs an environment of its own, which "
            f"run_scripts/setup_beam_environment.sh makes. ({error})"
        ) from error
    except SystemExit as error:
        message = (printed.getvalue().strip().splitlines() or [""])[-1].partition("error: ")[2]
        raise ValueError(f"Apache Beam: {message}. Received: {' '.join(flags)}") from error
    runner = options.view_as(StandardOptions).runner or "DirectRunner"
    unknown = sorted(given.keys() - known.keys())
    if runner in _LOCAL_RUNNERS:
        if unknown:
            raise ValueError(
                f"Apache Beam's {runner} has no flag "
                f"{', '.join(f'--{name}' for name in unknown)}. Received: {' '.join(flags)}"
            )
        # They tell of each of their threads, and errors several times before they are raised.
        for name in ("common", "direct", "portability", "worker"):
            logging.getLogger(f"apache_beam.runners.{name}").setLevel(logging.CRITICAL)
    return options


@contextlib.contextmanager
def _without_log_lines() -> Iterator[None]:
    """Keeps back Beam's warnings: of parts not installed, and of flags that are an error here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def run_pipeline(corpus: ShardedCorpus, wanted: frozenset[int], options: Any) -> None:
    """Makes the shards `wanted`, and returns when it has been done.

    Args:
        corpus: see `ShardedCorpus`; its paths hold wherever Beam's workers run.
        wanted: numbers of shards.
        options: Beam's PipelineOptions.

    Raises:
        ValueError, OSError: as its workers did.
    """
    import apache_beam as beam

    try:
        with _ended_with_its_workers():
            _run(beam, corpus, wanted, options)
    except Exception as error:
        plain = _plain_error(error)
        if plain is None:
            raise
        logger.debug("", exc_info=True)
        raise plain from error


def _run(beam: ModuleType, corpus: ShardedCorpus, wanted: frozenset[int], options: Any) -> None:
    pipeline = beam.Pipeline(options=options)
    inputs = (
        pipeline
        | "List files" >> beam.Create(list(enumerate(corpus.input_files)))
        | "Spread files" >> beam.Reshuffle()
    )
    counts = beam.pvalue.AsList(inputs | "Count" >> beam.Map(count_file))
    dealt = inputs | "Deal" >> beam.FlatMap(deal_file, counts, len(corpus.paths), wanted)
    _ = dealt | "Group" >> beam.GroupByKey() | "Make" >> beam.Map(_make, counts, corpus)
    pipeline.run().wait_until_finish()


@contextlib.contextmanager
def _ended_with_its_workers() -> Iterator[None]:
    """Within it, this process ends when one of Beam's on this machine is killed.

    Beam's DirectRunner would wait for it for ever, and cannot be made to stop waiting. The other
    workers end when nobody is there to be asked.
    """
    before = threading.excepthook

    def note(death: threading.ExceptHookArgs) -> None:
        before(death)
        if _KILLED_WORKER in str(death.exc_value):
            logger.error(
                "A worker of Beam's was killed, for its memory perhaps (%s). Start again: the "
                "shards that are whole are kept.",
                death.exc_value,
            )
            logging.shutdown()
            os._exit(1)

    threading.excepthook = note
    try:
        yield
    finally:
        threading.excepthook = before


def _plain_error(error: Exception) -> Exception | None:
    """The error of a worker in its own words, if it is one that a user can do something about."""
    lines = f"{type(error).__name__}: {error}".splitlines()
    for line in reversed(lines):
        match = _PLAIN_ERROR.match(line.strip())
        if match:
            return (ValueError if match[1] == "ValueError" else OSError)(match[2])
    return None


def count_file(numbered: tuple[int, str]) -> FileCounts:
    """Counts the lines and documents of an input file, given with its number."""
    number, path = numbered
    parts, starts, is_in_document = 0, None, False
    with as_local(path) as local:
        lines = TextLines([local])
        for line in lines:
            if starts is None:
                starts = bool(line)
            parts += bool(line) and not is_in_document
            is_in_document = bool(line)
    statistics = CorpusStatistics()
    statistics.count_lines(lines)
    return FileCounts(
        number,
        parts,
        bool(starts),
        None if starts is None else is_in_document,
        dataclasses.asdict(statistics),
    )


def number_documents(counts: Iterable[FileCounts]) -> tuple[list[int], CorpusStatistics]:
    """Puts what was counted of each file together.

    Returns:
        By file, and last for what would come after them, the number of the document that its first
        text belongs to; and what is reported of all lines.
    """
    firsts, total = [], CorpusStatistics()
    num_documents, is_open = 0, False
    for file in sorted(counts):
        goes_on = is_open and file.starts_with_text
        firsts.append(num_documents - goes_on)
        num_documents += file.parts - goes_on
        if file.ends_with_text is not None:
            is_open = file.ends_with_text
        total.add(CorpusStatistics(**file.lines))
        total.unclosed_files += goes_on
    return [*firsts, num_documents], total


def deal_file(
    numbered: tuple[int, str],
    counts: Sequence[FileCounts],
    num_shards: int,
    wanted: frozenset[int],
) -> Iterator[tuple[int, Part]]:
    """The parts of an input file's documents, each with its shard, for the shards wanted."""
    number, path = numbered
    firsts, _ = number_documents(counts)
    check_number_of_documents(firsts[-1], num_shards)
    document, is_in_document = firsts[number] - 1, False
    buffer: list[str] = []
    size = part = 0

    def flush() -> Iterator[tuple[int, Part]]:
        nonlocal size, part
        if buffer and document % num_shards in wanted:
            yield document % num_shards, Part(document, number, part, "".join(buffer))
            part += 1
        buffer.clear()
        size = 0

    if number == num_shards - 1 == 0:
        yield (
            0,
            Part(-1, 0, 0, ""),
        )  # A text without documents is an error of whoever makes records.
    with as_local(path) as local:
        for line in TextLines([local]):
            if line:
                if not is_in_document:
                    document += 1
                buffer.append(f"{line}\n")
                size += len(line)
            if not line or size > _PART_CHARACTERS:
                yield from flush()
            is_in_document = bool(line)
        yield from flush()


def _make(
    grouped: tuple[int, Iterable[Part]], counts: Sequence[FileCounts], corpus: ShardedCorpus
) -> int:
    """Makes the shard of the parts that were dealt to it; gives its number."""
    number, parts = grouped
    settings = corpus.settings
    _, line_counts = number_documents(counts)
    with tempfile.TemporaryDirectory(prefix="pretraining-") as folder:
        text = str(Path(folder, "text"))
        write_parts(parts, text)
        final = corpus
        if is_remote := files.is_remote(corpus.paths[number]):
            names = [files.split_path(path)[1] for path in corpus.paths]
            paths = [str(Path(folder, name)) for name in names]
            corpus = dataclasses.replace(corpus, paths=paths)
        shard = final.shard(number, text, line_counts)
        shard = shard._replace(output_files=[corpus.paths[number]])
        tokenizer = _load_tokenizer(settings.vocab_file, settings.do_lower_case)
        make_shard(corpus, tokenizer, number, shard, Fractions(lambda fraction: None).start)
        if is_remote:
            publish_shard(corpus.paths[number], final.paths[number])
    return number


def write_parts(parts: Iterable[Part], path: str) -> None:
    """Writes a shard's text, in its order, as where documents are dealt on one machine."""
    document = None
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for part_document, _, _, part_text in sorted(parts):
            if part_text and part_document != document:
                file.write("\n")
                document = part_document
            file.write(part_text)


@functools.lru_cache(maxsize=1)
def _load_tokenizer(vocab_file: str, do_lower_case: bool) -> Tokenizer:
    """The tokenizer of a worker, which makes many shards."""
    with as_local(vocab_file) as local:
        return load_tokenizer(local, do_lower_case)


def _with_absolute_paths(corpus: ShardedCorpus) -> ShardedCorpus:
    """The corpus as processes see it that run in other folders."""

    def absolute(path: str) -> str:
        return path if files.is_remote(path) else os.path.abspath(path)

    settings = dataclasses.replace(corpus.settings, vocab_file=absolute(corpus.settings.vocab_file))
    return dataclasses.replace(
        corpus,
        settings=settings,
        input_files=list(map(absolute, corpus.input_files)),
        paths=list(map(absolute, corpus.paths)),
    )
