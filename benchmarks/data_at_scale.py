"""What making pre-training data of a large corpus takes: by stage, by size, by workers.

    python benchmarks/data_at_scale.py --input_file='novels_?.txt.gz' --vocab_file=vocab.txt

Prints Markdown, which is results/data_at_scale.md but for its remarks:

  - processor time of every stage, of 4 MB of text, for static masks (--dupe_factor=10) and dynamic;
  - whole runs of create_pretraining_data.py on 1 MB to 60 MB of text, in shards of 2 MB, and on
    shards of other sizes: processor time, and the memory of the largest process;
  - the same by 1 and by 2 workers, and by Apache Beam with --beam_python;
  - from these, what English Wikipedia and books, 3.3 billion words, would take on 64 cores.

Speeds are in processor time, which other work on the machine disturbs little; the median of the
rounds counts. Without --input_file the text is made of random words of the vocabulary.
"""

import dataclasses
import os
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from absl import app, flags
from machine import processor

from bert_tf.data.manifest import read_manifest
from bert_tf.data.records import RecordWriter
from bert_tf.files import expand_input_files, open_text_lines
from bert_tf.pretraining_data.documents import Documents, deal_documents, read_lines
from bert_tf.pretraining_data.examples import InstanceMaker
from bert_tf.pretraining_data.records import RecordEncoder
from bert_tf.pretraining_data.statistics import CorpusStatistics
from bert_tf.settings import PretrainingDataSettings
from bert_tf.text.tokenization import FullTokenizer

FLAGS = flags.FLAGS
flags.DEFINE_string("input_file", None, "Text (patterns, .gz).")
flags.DEFINE_string("vocab_file", None, "An uncased vocabulary.", required=True)
flags.DEFINE_list("megabytes", ["1", "8", "60"], "Sizes of text, in 1e6 bytes.")
flags.DEFINE_list("shard_megabytes", ["2", "8", "28"], "Sizes of shards, for the memory.")
flags.DEFINE_float("stage_megabytes", 4, "How much text the stages are timed with.")
flags.DEFINE_integer("rounds", 3, "How often each is done.")
flags.DEFINE_string("beam_python", None, "The Python of an environment with Apache Beam.")

SCRIPT = Path(__file__).parents[1] / "run_scripts" / "create_pretraining_data.py"
KINDS = {"static": ["--dupe_factor=10"], "dynamic": ["--masking=dynamic"]}
MEGABYTES_OF_SHARD = 2
# A process that is forked counts the memory of its parent as its own: this one is small.
SMALL_PARENT = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
wall = time.perf_counter() - start
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)
"""
WORDS = 3.3e9  # Of English Wikipedia and BooksCorpus: Devlin et al. 2019, section 3.1.
CORES = 64


@dataclasses.dataclass
class Run:
    """A run of the script: medians of its rounds.

    Attributes:
        cpu, wall: seconds.
        memory: of its largest process, in MB.
        record_bytes, examples: what it made.
    """

    cpu: float
    wall: float
    memory: float
    record_bytes: int
    examples: int


def main(_) -> None:
    with tempfile.TemporaryDirectory() as folder:
        print(
            f"{time.strftime('%Y-%m-%d')}. {os.cpu_count()} cores of {processor()}, load "
            f"{os.getloadavg()[0]:.1f}. Python {platform.python_version()}, numpy "
            f"{version('numpy')}. Medians of {FLAGS.rounds}.\n"
        )
        sizes = [float(size) for size in FLAGS.megabytes]
        texts = {size: write_text(f"{folder}/{size}", size) for size in sizes}
        stage_text = write_text(f"{folder}/stages", FLAGS.stage_megabytes)
        dealing = print_stages(stage_text, folder)
        growth = print_growth(texts, folder)
        print_memory(texts[max(sizes)], folder)
        print_workers(texts[sorted(sizes)[len(sizes) // 2]], folder)
        print_plan(texts[max(sizes)], growth, dealing)


def write_text(path: str, megabytes: float) -> str:
    """Writes so much of the text to `path`, from its start; begins again where it ends."""
    size, limit = 0, 1e6 * megabytes
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        while size < limit:
            for line in source_lines():
                size += len(line.encode()) + 1
                if size > limit:
                    break
                file.write(f"{line}\n")
    return path


def source_lines():
    if FLAGS.input_file:
        for path in expand_input_files(FLAGS.input_file):
            yield from open_text_lines(path)
        return
    words = [token for token in FullTokenizer(FLAGS.vocab_file).vocab if token.isalpha()]
    rng = random.Random(1)
    for _ in range(200_000):
        yield (
            " ".join(rng.choices(words, k=rng.randint(1, 30))) + "." if rng.random() < 0.98 else ""
        )


def megabytes_of(path: str) -> float:
    return Path(path).stat().st_size / 1e6


def median_seconds(work: Callable[[], object]) -> float:
    """Processor seconds of `work` in this process."""
    took = []
    for _ in range(FLAGS.rounds):
        start = time.process_time()
        work()
        took.append(time.process_time() - start)
    return statistics.median(took)


def print_stages(text: str, folder: str) -> float:
    """Prints MB of text a second for every stage; gives that of dealing documents."""
    rows = {kind: time_stages(kind, text) for kind in KINDS}

    def deal() -> None:
        place = Path(folder, "dealt")
        place.mkdir()
        paths = {shard: str(place / str(shard)) for shard in range(4)}
        deal_documents(read_lines([text], CorpusStatistics()), 4, paths)
        shutil.rmtree(place)

    dealing = megabytes_of(text) / median_seconds(deal)
    print(f"## Stages, {megabytes_of(text):.0f} MB of text, MB/s of one core\n")
    print("| | " + " | ".join(rows) + " |\n|---|" + "---|" * len(rows))
    print(f"| distribute documents over shards | {dealing:.1f} | {dealing:.1f} |")
    for stage in rows["static"]:
        cells = [
            f"{megabytes_of(text) / row[stage]:.1f}" if stage in row else ""
            for row in rows.values()
        ]
        print(f"| {stage} | " + " | ".join(cells) + " |")
    totals = [megabytes_of(text) / sum(row.values()) for row in rows.values()]
    print("| all except distributing | " + " | ".join(f"{total:.2f}" for total in totals) + " |\n")
    return dealing


def time_stages(kind: str, text: str) -> dict[str, float]:
    """Processor seconds of each stage.

    Pairs, masks and the first half of encoding come in one loop: what each takes is the difference
    that it makes to have it done.
    """
    settings = {
        masking: PretrainingDataSettings(
            text, FLAGS.vocab_file, "-", masking=masking, dupe_factor=10 if kind == "static" else 1
        )
        for masking in KINDS
    }
    tokenizer = FullTokenizer(FLAGS.vocab_file)
    encoder = RecordEncoder(settings[kind], tokenizer)
    look_up = encoder.token_of.__getitem__
    documents = Documents([], tokenizer.encode)

    def make(masking: str, keep) -> list[bytes]:
        maker = InstanceMaker(settings[masking], tokenizer, encoder.token_of)
        return [keep(made) for made in maker.make(documents, random.Random(1), lambda: None)]

    def read() -> None:
        for _ in read_lines([text], CorpusStatistics()):
            pass

    new_tokenizers = [FullTokenizer(FLAGS.vocab_file) for _ in range(FLAGS.rounds)]

    def tokenize() -> None:
        nonlocal documents
        encode = new_tokenizers.pop().encode  # It knows no word yet.
        lines = read_lines([text], CorpusStatistics())
        documents = Documents(lines, lambda line: [*map(look_up, encode(line))])

    def write() -> None:
        with open(os.devnull, "wb") as file:
            writer = RecordWriter(file)
            for record in records:
                writer.write(*record)

    reading = median_seconds(read)
    tokenizing = median_seconds(tokenize) - reading
    pairs = median_seconds(lambda: make("dynamic", lambda instance: b""))
    masked = median_seconds(lambda: make("static", lambda instance: b""))
    masked = masked if kind == "static" else pairs
    begun = median_seconds(lambda: make(kind, encoder.begin))
    instances = make(kind, encoder.begin)
    finishing = median_seconds(lambda: [encoder.finish(instance) for instance in instances])
    records = [encoder.finish(instance) for instance in instances]
    stages = {"read": reading, "tokenize": tokenizing, "make pairs": pairs}
    if kind == "static":
        stages["mask"] = masked - pairs
    stages |= {"encode": begun - masked + finishing, "checksums and write": median_seconds(write)}
    return stages


def run_script(
    text: str,
    folder: str,
    num_shards: int,
    arguments: list[str],
    python: str = sys.executable,
    rounds: int = 0,
) -> Run:
    """Makes shards of a text, in a process of its own, from its start to its end."""
    output = Path(folder, "records")
    taken = []
    for _ in range(rounds or FLAGS.rounds):
        command = [python, str(SCRIPT), f"--input_file={text}", f"--vocab_file={FLAGS.vocab_file}"]
        command += [f"--output_dir={output}", f"--num_shards={num_shards}", *arguments]
        command = [sys.executable, "-c", SMALL_PARENT, *command]
        measured = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        (made,) = read_manifest(str(output))["runs"]
        taken.append(tuple(map(float, measured.split())))
        shutil.rmtree(output)
    cpu, wall, memory = map(statistics.median, zip(*taken, strict=True))
    size = sum(file["bytes"] for file in made["files"])
    return Run(cpu, wall, memory, size, made["statistics"]["examples"])


def shards_for(text: str, megabytes: float = MEGABYTES_OF_SHARD) -> int:
    return max(1, round(megabytes_of(text) / megabytes))


def print_growth(texts: dict[float, str], folder: str) -> dict[str, Run]:
    """Prints runs on texts of all sizes; gives those on the largest."""
    print(f"## Size of the text, in shards of {MEGABYTES_OF_SHARD} MB, one worker\n")
    print("| text | | processor s | MB/s | examples/s | memory | records |\n|---|---|" + "---|" * 5)
    largest = {}
    for text in texts.values():
        for kind, arguments in KINDS.items():
            rounds = FLAGS.rounds if megabytes_of(text) < 20 else 1
            run = run_script(text, folder, shards_for(text), arguments, rounds=rounds)
            largest[kind] = run
            print(
                f"| {megabytes_of(text):.1f} MB | {kind} | {run.cpu:.1f} | "
                f"{megabytes_of(text) / run.cpu:.2f} | {run.examples / run.cpu:,.0f} | "
                f"{run.memory:.0f} MB | {run.record_bytes / 1e6:,.0f} MB |",
                flush=True,
            )
    print()
    return largest


def print_memory(text: str, folder: str) -> None:
    """Prints what one worker needs, by the size of its shards."""
    print("## Memory of a worker, by the size of its shards\n")
    print("| shard | static | dynamic |\n|---|---|---|")
    for size in map(float, FLAGS.shard_megabytes):
        part = write_text(f"{folder}/part", min(size, megabytes_of(text)))
        cells = []
        for arguments in KINDS.values():
            run = run_script(part, folder, shards_for(part, size), arguments, rounds=1)
            cells.append(f"{run.memory:.0f} MB")
        print(f"| {size:.0f} MB | " + " | ".join(cells) + " |", flush=True)
    print()


def print_workers(text: str, folder: str) -> None:
    """Prints what a second worker brings, and what Apache Beam costs."""
    num_shards = shards_for(text, 1)
    rows = {
        "1 worker": (sys.executable, ["--num_workers=1"]),
        "2 workers": (sys.executable, ["--num_workers=2"]),
    }
    if FLAGS.beam_python:
        direct = ["--runner=beam", "--", "--runner=DirectRunner"]
        processes = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
        rows["Beam's DirectRunner, 1 process"] = (FLAGS.beam_python, direct)
        rows["Beam's DirectRunner, 2 processes"] = (FLAGS.beam_python, [*direct, *processes])
    print(f"## Workers, {num_shards} shards of {megabytes_of(text):.0f} MB, static\n")
    print("| | seconds | processor s | load |\n|---|---|---|---|")
    for name, (python, arguments) in rows.items():
        run = run_script(text, folder, num_shards, [*KINDS["static"], *arguments], python)
        print(f"| {name} | {run.wall:.1f} | {run.cpu:.1f} | {os.getloadavg()[0]:.1f} |", flush=True)
    print()


def print_plan(text: str, runs: dict[str, Run], dealing: float) -> None:
    """Prints what the whole corpus would take, from the largest runs."""
    size = megabytes_of(text)
    words = sum(len(re.findall(r"\w+", line)) for line in open_text_lines(text))
    corpus = WORDS / words * size
    print(f"## {WORDS / 1e9:.1f} billion words on {CORES} cores\n")
    print(
        f"The text has {words:,} words in {size:.1f} MB, so {WORDS / 1e9:.1f} billion are "
        f"{corpus / 1e3:.1f} GB. Dealing them is one process's work: {corpus:,.0f} MB / "
        f"{dealing:.1f} MB/s = {corpus / dealing / 60:.1f} min.\n"
    )
    print("| | static, 10 times | dynamic |\n|---|---|---|")
    cells: dict[str, list[str]] = {}
    for run in runs.values():
        cpu = corpus / size * run.cpu - corpus / dealing
        hours, minutes = cpu / 3600, cpu / CORES / 60
        rows = {
            "processor time but for dealing": f"{corpus:,.0f} MB / {size / run.cpu:.2f} MB/s "
            f"- dealing = {hours:.1f} h",
            f"on {CORES} cores": f"{minutes:.1f} min",
            "with distributing": f"{minutes + corpus / dealing / 60:.1f} min",
            "examples": f"{corpus / size * run.examples / 1e6:,.0f} million",
            "records": f"{corpus / size * run.record_bytes / 1e9:,.0f} GB",
        }
        for name, cell in rows.items():
            cells.setdefault(name, []).append(cell)
    for name, row in cells.items():
        print(f"| {name} | " + " | ".join(row) + " |")


if __name__ == "__main__":
    app.run(main)
