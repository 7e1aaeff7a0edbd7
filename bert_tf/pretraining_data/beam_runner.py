"""Makes shards on Apache Beam, on one machine or a cluster.

    input files --count--> number of documents that begin in each     reads the text
    input files --deal---> parts of documents, with their shards      reads the text again
    parts --group by shard, in text order--> make --> the shard and its note

Document numbers follow from the counts of earlier files, so shards are the same as without Beam.
Workers need this package, numpy and Beam, not TensorFlow; this module imports Beam when used.
"""

import contextlib
import dataclasses
import io
import itertools
import logging
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bert_tf import files
from bert_tf.data.manifest import forget_files
from bert_tf.pretraining_data.documents import (
    check_number_of_documents,
    read_lines,
    split_documents,
)
from bert_tf.pretraining_data.record_files import make_records
from bert_tf.pretraining_data.shards import Shard, find_finished, note_path
from bert_tf.pretraining_data.statistics import CorpusStatistics
from bert_tf.settings import PretrainingDataSettings
from bert_tf.text.tokenizer import load_tokenizer

logger = logging.getLogger(__name__)

# Runners on this machine, for which unknown flags are errors: no other program reads them.
_LOCAL_RUNNERS = {"DirectRunner", "SwitchingDirectRunner", "BundleBasedDirectRunner", "FnApiRunner"}
# No decompression: gzipped files are recognized by their content.
_AS_IT_IS = {"compression_type": "uncompressed"}
_PLAIN_ERROR = re.compile(
    r"^(?:\w+\.)*(ValueError|OSError|BeamIOError|FileNotFoundError|PermissionError): "
    r"(.*?)(?: \[while running .*\])?$"
)

# A document's text in one file: (document number, file number, lines). Sorts into text order.
Part = tuple[int, int, str]


class FileCounts(NamedTuple):
    """Counts of an input file, from which later documents are numbered."""

    number: int  # Of the file, in text order.
    parts: int  # Runs of non-blank lines.
    starts_with_text: bool
    ends_with_text: bool
    statistics: CorpusStatistics


def make_shards(
    settings: PretrainingDataSettings,
    input_files: Sequence[str],
    shards: Mapping[int, Shard],
    flags: Sequence[str],
) -> dict[int, dict[str, Any]]:
    """Makes shards on Beam and returns their manifest entries; `flags` are Beam's own.

    Raises as `make_records` does; also a ValueError if Beam is not installed or refuses the flags,
    and an OSError if shards are not in `output_dir` at the end.
    """
    options = _parse_flags(flags)
    # Workers have other working directories.
    settings = dataclasses.replace(settings, vocab_file=_absolute(settings.vocab_file))
    paths = {number: _absolute(shard.output_files[0]) for number, shard in shards.items()}
    shards = {
        number: dataclasses.replace(shards[number], output_files=[path])
        for number, path in paths.items()
    }
    forget_files([*paths.values()])  # Here, as workers must not change the manifest concurrently.
    run_pipeline(settings, [*map(_absolute, input_files)], shards, options)
    finished = find_finished(shards)
    missing = [path for number, path in paths.items() if number not in finished]
    if missing:
        raise OSError(
            f"Beam's pipeline has ended, and {len(missing)} of {len(shards)} shards are not in "
            f"output_dir: its workers must write to the same place as is read here, such as a "
            f"folder of gs://. Missing: {missing[0]}"
        )
    return finished


def _absolute(path: str) -> str:
    return path if files.is_remote(path) else os.path.abspath(path)


def _parse_flags(flags: Sequence[str]) -> Any:
    """Returns Beam's PipelineOptions; raises a ValueError for flags it rejects."""
    printed, received = io.StringIO(), f"Received: {' '.join(flags)}"
    log_level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # Missing extras, and flags that are errors here.
    try:
        with contextlib.redirect_stderr(printed):
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
        raise ValueError(f"Apache Beam: {message}. {received}") from error
    finally:
        logging.disable(log_level)
    runner = options.view_as(StandardOptions).runner or "DirectRunner"
    if runner in _LOCAL_RUNNERS:
        unknown = ", ".join(f"--{name}" for name in sorted(given.keys() - known.keys()))
        if unknown:
            raise ValueError(f"Apache Beam's {runner} has no flag {unknown}. {received}")
        # They log every thread, and each error several times before raising it.
        for name in ("common", "direct", "portability", "worker"):
            logging.getLogger(f"apache_beam.runners.{name}").setLevel(logging.CRITICAL)
    return options


def run_pipeline(
    settings: PretrainingDataSettings,
    input_files: Sequence[str],
    shards: Mapping[int, Shard],
    options: Any,
) -> None:
    """Makes shards with Beam's PipelineOptions; all paths must be valid for its workers.

    A worker's ValueError or OSError is raised again.
    """
    import apache_beam as beam

    pipeline = beam.Pipeline(options=options)
    inputs = (
        pipeline
        | "List files" >> beam.Create(list(enumerate(input_files)))
        | "Spread files" >> beam.Reshuffle()
    )
    counts = beam.pvalue.AsList(inputs | "Count" >> beam.Map(count_file))
    dealt = inputs | "Deal" >> beam.FlatMap(deal_file, counts, settings.num_shards, {*shards})
    _ = dealt | "Group" >> beam.GroupByKey() | "Make" >> beam.Map(_make, counts, settings, shards)
    before, threading.excepthook = threading.excepthook, _exit_if_worker_was_killed
    try:
        pipeline.run().wait_until_finish()
    except Exception as error:
        logger.debug("", exc_info=True)
        for line in reversed(f"{type(error).__name__}: {error}".splitlines()):
            match = _PLAIN_ERROR.match(line.strip())
            if match:
                kind = ValueError if match[1] == "ValueError" else OSError
                raise kind(match[2]) from error
        raise
    finally:
        threading.excepthook = before


def _exit_if_worker_was_killed(death: threading.ExceptHookArgs) -> None:
    """Exits if a DirectRunner worker was killed, for which Beam would wait forever."""
    threading.__excepthook__(death)
    if "Worker subprocess exited" in str(death.exc_value):
        logger.error(
            "A worker of Beam's was killed, for its memory perhaps (%s). Start again: the shards "
            "that are whole are kept.",
            death.exc_value,
        )
        logging.shutdown()
        os._exit(1)


def count_file(numbered: tuple[int, str]) -> FileCounts:
    """Counts the lines and documents of an input file, given as (number, path)."""
    number, path = numbered
    statistics = CorpusStatistics()
    with _as_local(path) as local:
        lines = read_lines([local], statistics)
        runs = [has_text for has_text, _ in itertools.groupby(lines, bool)]
    return FileCounts(number, sum(runs), runs[:1] == [True], runs[-1:] == [True], statistics)


def number_documents(counts: Iterable[FileCounts]) -> tuple[list[int], CorpusStatistics]:
    """Returns the document number at each file's first text, their total last; and the counts."""
    firsts, total = [], CorpusStatistics()
    num_documents, is_open = 0, False
    for file in sorted(counts, key=lambda file: file.number):
        continues = is_open and file.starts_with_text
        firsts.append(num_documents - continues)
        num_documents += file.parts - continues
        if file.statistics.lines:
            is_open = file.ends_with_text
        total.add(file.statistics)
        total.unclosed_files += continues
    return [*firsts, num_documents], total


def deal_file(
    numbered: tuple[int, str], counts: Sequence[FileCounts], num_shards: int, wanted: set[int]
) -> Iterator[tuple[int, Part]]:
    """Yields (shard, part) for the documents of an input file that belong to `wanted` shards."""
    number, path = numbered
    firsts, _ = number_documents(counts)
    check_number_of_documents(firsts[-1], num_shards)
    if number == 0 and num_shards == 1:
        yield 0, (-1, 0, "")  # A text without documents is reported when records are made.
    document = firsts[number]
    with _as_local(path) as local:
        for lines in split_documents(read_lines([local], CorpusStatistics())):
            shard = document % num_shards
            if shard in wanted:
                yield shard, (document, number, "".join(f"{line}\n" for line in lines))
            document += 1


def write_parts(parts: Iterable[Part], path: str) -> None:
    """Writes a shard's text in order, in the format of `deal_documents`."""
    last = -1
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for document, _, text in sorted(parts):
            file.write(text if document == last else f"\n{text}")
            last = document


def _make(
    grouped: tuple[int, Iterable[Part]],
    counts: Sequence[FileCounts],
    settings: PretrainingDataSettings,
    shards: Mapping[int, Shard],
) -> int:
    """Makes a shard from its parts and returns its number."""
    number, parts = grouped
    (path,) = shards[number].output_files
    with _as_local(settings.vocab_file) as vocab_file:
        tokenizer = load_tokenizer(vocab_file, *settings.tokenizer_rules)
    with tempfile.TemporaryDirectory(prefix="pretraining-") as folder:
        text = str(Path(folder, "text"))
        write_parts(parts, text)
        shard = shards[number].with_text(text, number_documents(counts)[1])
        if not files.is_remote(path):
            make_records(settings, tokenizer, shard)
        else:
            local = str(Path(folder, files.split_path(path)[1]))
            make_records(settings, tokenizer, dataclasses.replace(shard, output_files=[local]))
            _publish_shard(local, path)
    return number


@contextlib.contextmanager
def _as_local(path: str) -> Iterator[str]:
    """Copies a remote file here with Beam, which keeps TensorFlow's 400 MB out of workers."""
    if not files.is_remote(path):
        yield path
        return
    from apache_beam.io.filesystems import FileSystems

    with tempfile.TemporaryDirectory(prefix="pretraining-") as folder:
        local = str(Path(folder, files.split_path(path)[1]))
        with FileSystems.open(path, **_AS_IT_IS) as source, open(local, "wb") as copy:
            shutil.copyfileobj(source, copy)
        try:
            yield local
        except ValueError as error:
            raise ValueError(str(error).replace(local, path)) from error


def _publish_shard(local: str, path: str) -> None:
    """Copies a shard and its note to remote storage, each atomically."""
    from apache_beam.io.filesystems import FileSystems

    if FileSystems.exists(path):  # The new note must not describe an old shard.
        FileSystems.delete([path])
    for source, target in ((note_path(local), note_path(path)), (local, path)):
        partial = files.temporary_path(target)
        try:
            with open(source, "rb") as file, FileSystems.create(partial, **_AS_IT_IS) as copy:
                shutil.copyfileobj(file, copy)
            FileSystems.rename([partial], [target])
        except BaseException:
            with contextlib.suppress(Exception):  # The first error is the one to raise.
                FileSystems.delete([partial])
            raise
