"""How fast a Wikipedia dump becomes sentences: each stage on one core, then the script whole.

    python benchmarks/prepare_corpus.py

The dump is made here, of prose with as much markup around it as English Wikipedia has: references
with templates, links, infoboxes, tables, lists, talk pages and redirects. The prose is that of
$BERT_TF_DATA/text if that is there, else the documentation of installed packages. Stages are
measured in processor time, best of the rounds; the script from the start of its process to the
end, with 1 and with 2 workers, and for dumps of several sizes.
"""

import bz2
import collections
import html
import importlib.metadata
import itertools
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from absl import app, flags
from machine import processor

from bert_tf.corpus import dump
from bert_tf.corpus.documentation import collect_documents
from bert_tf.corpus.parts import document_sentences, make_part
from bert_tf.corpus.sentences import split_sentences
from bert_tf.corpus.sources import Input, Task
from bert_tf.corpus.wikitext import DROPPED_PREFIXES, article_paragraphs
from bert_tf.corpus.wikitext_blocks import remove_blocks
from bert_tf.files import glob_files, open_text_lines
from bert_tf.settings import CorpusSettings

FLAGS = flags.FLAGS
flags.DEFINE_list("megabytes", "1,10,30", "Sizes of dumps, in 1e6 bytes of XML.")
flags.DEFINE_integer("rounds", 3, "How often stages are measured; the best round counts.")

SCRIPT = Path(__file__).resolve().parent.parent / "run_scripts" / "prepare_corpus.py"
HEADER = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="en">\n<siteinfo>'
    '<namespaces><namespace key="6">File</namespace></namespaces></siteinfo>\n'
)
INFOBOX = (
    "{{{{Short description|A page}}}}\n{{{{Infobox settlement\n| name = Page {n}\n"
    "| image_skyline = Skyline {n}.jpg\n| population_total = {{{{formatnum:{n}}}}}\n"
    "| area_total_km2 = {n}.5\n| coordinates = {{{{coord|51|30|N|0|{n}|W|display=inline,title}}}}\n"
    "}}}}\n[[File:Skyline {n}.jpg|thumb|right|upright=1.2|The [[skyline]] of page {n}.]]\n"
)
REFERENCE = (
    "<ref>{{{{cite web |url=https://www.example.org/archive/{n}/article.html |title=A report on "
    "page {n} |last=Smith |first=John |date=12 May 2010 |publisher=The Paper "
    "|access-date=3 June 2015}}}}</ref>"
)
TABLE = (
    '{| class="wikitable sortable"\n! Year !! Value\n' + "|-\n| 1990 || [[Value]]\n" * 10 + "|}\n"
)
LIST = "== See also ==\n" + "* [[Another page]] – with a word on it\n" * 6


def main(_) -> None:
    sizes = [float(size) for size in FLAGS.megabytes]
    print_setting()
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for size in sizes:
            paths[size] = f"{folder}/{size:g}.xml.bz2"
            write_dump(paths[size], size)
        print_stages(paths[sizes[min(1, len(sizes) - 1)]])
        print_script(paths, folder)


def prose() -> Iterator[str]:
    """Paragraphs without end."""
    folder = os.environ.get("BERT_TF_DATA", "")
    novels = glob_files(f"{folder}/text/novels_*.txt.gz") if folder else []
    if novels:
        lines = [line for path in novels for line in open_text_lines(path) if line.strip()]
        paragraphs = [" ".join(lines[n : n + 5]) for n in range(0, len(lines), 5)]
    else:
        paragraphs = [" ".join(document) for document in collect_documents()]
    return itertools.cycle(paragraphs)


def write_dump(path: str, megabytes: float) -> None:
    """Writes a dump of so many 1e6 bytes of XML, in one bz2 stream."""
    rng, paragraphs, size = random.Random(1), prose(), 0
    with bz2.open(path, "wt", encoding="utf-8") as file:
        file.write(HEADER)
        for number in itertools.count():
            if size > 1e6 * megabytes:
                break
            kind = rng.random()
            if kind < 0.2:
                page = xml_page(f"Redirect {number}", "#REDIRECT [[Page]]", redirect=True)
            elif kind < 0.25:
                page = xml_page(f"Template:{number}", INFOBOX.format(n=number), namespace=10)
            else:
                page = xml_page(f"Page {number}", article(number, paragraphs, rng))
            size += len(page.encode())
            file.write(page)
        file.write("</mediawiki>\n")


def article(number: int, paragraphs: Iterator[str], rng: random.Random) -> str:
    """Wikitext of some paragraphs, of which about half the bytes are markup."""
    parts = [INFOBOX.format(n=number)]
    for place in range(rng.randint(2, 14)):
        words = next(paragraphs).split(" ")
        for index, word in enumerate(words):
            if word.isalpha() and rng.random() < 0.06:
                words[index] = f"[[{word.title()} ({number})|{word}]]"
        sentences = " ".join(words).replace("&", "&amp;")
        if place == 0:
            sentences = f"'''Page {number}''' (''{words[0]}'')&nbsp;– {sentences}"
        elif rng.random() < 0.15:
            sentences = sentences.replace(" ", "&nbsp;", 1)
        elif rng.random() < 0.3:
            sentences = f"''{words[0]}'' {sentences}"
        for _ in range(rng.randint(0, 3)):
            sentences += REFERENCE.format(n=rng.randrange(10**6))
        parts.append(sentences + "\n\n")
        if rng.random() < 0.3:
            parts.append(f"== Section {place} ==\n")
        if rng.random() < 0.08:
            parts.append(TABLE)
    return "".join([*parts, LIST, f"[[Category:Pages {number}]]\n"])


def xml_page(title: str, text: str, namespace: int = 0, redirect: bool = False) -> str:
    return (
        f"  <page>\n    <title>{title}</title>\n    <ns>{namespace}</ns>\n    <id>1</id>\n"
        + ('    <redirect title="Page" />\n' if redirect else "")
        + "    <revision>\n      <id>1</id>\n      <timestamp>2024-01-01T00:00:00Z</timestamp>\n"
        "      <contributor><username>A</username><id>1</id></contributor>\n"
        '      <model>wikitext</model>\n      <format>text/x-wiki</format>\n      <text bytes="1" '
        f'xml:space="preserve">{html.escape(text, quote=False)}</text>\n'
        "      <sha1>x</sha1>\n    </revision>\n  </page>\n"
    )


def seconds_of(function) -> tuple[float, object]:
    """(processor seconds of the best round, what it gave)."""
    best, result = float("inf"), None
    for _ in range(FLAGS.rounds):
        start = time.process_time()
        result = function()
        best = min(best, time.process_time() - start)
    return best, result


def print_stages(path: str) -> None:
    """MB of XML a second of one core, of each stage alone."""
    prefixes = DROPPED_PREFIXES
    counts: collections.Counter = collections.Counter()
    took = {}
    took["decompress (one process)"], pieces = seconds_of(
        lambda: list(dump.read_pieces(path, 16_000_000, False))
    )
    took["parse XML"], pages = seconds_of(
        lambda: [page for piece in pieces for page in dump.read_pages(piece, False)]
    )
    texts = [page.text for page in pages if not page.namespace and not page.is_redirect]
    took["take out templates, tables, references"], _ = seconds_of(
        lambda: [remove_blocks(text, prefixes) for text in texts]
    )
    both, articles = seconds_of(
        lambda: [list(article_paragraphs(text, prefixes)) for text in texts]
    )
    took["other markup"] = both - took["take out templates, tables, references"]
    took["sentences"], documents = seconds_of(
        lambda: [document_sentences(article, "en", counts, []) for article in articles]
    )
    with tempfile.TemporaryDirectory() as folder:
        settings = CorpusSettings((path,), folder)
        each = Input(path, "en", "wikipedia", dropped_prefixes=prefixes)
        whole, _ = seconds_of(
            lambda: [
                make_part(settings, tempfile.mkdtemp(dir=folder), (n, Task(each, piece, 0)))
                for n, piece in enumerate(pieces)
            ]
        )
    took["a worker, all of it with hashes and files"] = whole
    megabytes = sum(len(piece.data) for piece in pieces) / 1e6
    kept = sum(len(sentence.encode()) + 1 for each in documents for sentence in each) / 1e6
    print(
        f"\n{megabytes:.1f} MB of XML ({Path(path).stat().st_size / 1e6:.1f} MB of bz2), "
        f"{len(texts):,} articles, {kept:.1f} MB of sentences\n\n| stage | MB/s of XML |\n|---|---|"
    )
    for stage, seconds in took.items():
        print(f"| {stage} | {megabytes / max(seconds, 1e-9):,.1f} |")
    paragraphs = [paragraph for article in articles for paragraph in article]
    seconds, _ = seconds_of(lambda: [split_sentences(each, "en") for each in paragraphs])
    size = sum(len(paragraph.encode()) for paragraph in paragraphs) / 1e6
    print(f"\nsentencex: {size / seconds:.0f} MB of plain text a second")


def print_script(paths: dict[float, str], folder: str) -> None:
    print(
        "\n| MB of XML | workers | seconds | MB/s | processor seconds | main process | worker "
        "| load |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for (size, path), workers in itertools.product(paths.items(), (1, 2)):
        command = [
            *(sys.executable, str(SCRIPT), f"--input_file={path}", f"--num_workers={workers}"),
            *(f"--output_dir={folder}/{size:g}-{workers}", "--part_megabytes=2"),
        ]
        load = os.getloadavg()[0]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        main_peak, worker_peak = peak_memory(
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        took = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        worker = f"{worker_peak:.0f} MB" if workers > 1 else "–"
        print(
            f"| {size:g} | {workers} | {took:.1f} | {size / took:.2f} | {used:.1f} | "
            f"{main_peak:.0f} MB | {worker} | {load:.1f} |"
        )


def peak_memory(process: subprocess.Popen) -> tuple[float, float]:
    """MB of a process that runs to its end, and of the largest of its children (Linux)."""
    peaks = {str(process.pid): 0.0}
    while process.poll() is None:
        try:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            for pid in [str(process.pid), *children.split()]:
                status = Path(f"/proc/{pid}/status").read_text()
                if "VmHWM" in status:
                    peaks[pid] = int(status.split("VmHWM:")[1].split()[0]) / 1024
        except OSError:  # One has just ended.
            pass
        time.sleep(0.01)
    if process.returncode:
        raise RuntimeError(f"{process.args} ended with status {process.returncode}.")
    return peaks.pop(str(process.pid)), max(peaks.values(), default=0.0)


def print_setting() -> None:
    names = ("mwparserfromhell", "sentencex", "numpy")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    print(
        f"{time.strftime('%Y-%m-%d')}; {os.cpu_count()} cores of {processor()}; Python "
        f"{platform.python_version()}, {versions}; load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    app.run(main)
