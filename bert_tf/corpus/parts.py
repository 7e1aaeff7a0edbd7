"""Turns pieces of the input into parts, from which an interrupted run is resumed.

    OUTPUT_DIR/.parts/run.json              the settings, inputs and libraries of the run
                      part-000012.txt       one sentence per line, a blank line after each document
                      part-000012.index     the hash and the sizes of each document: `DOCUMENT`
                      part-000012.json      counts, and what the part was made from; written last

Each part depends on its own piece only. Duplicates and language sizes are found later, from the
indexes.
"""

import collections
import contextlib
import hashlib
import json
import random
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from bert_tf import files
from bert_tf.config import read_json, write_json
from bert_tf.corpus.dump import Piece
from bert_tf.corpus.sentences import WITHOUT_SPACES, is_heading, split_sentences
from bert_tf.corpus.sources import Task, read_documents
from bert_tf.settings import CorpusSettings
from bert_tf.text.markup import find_markup

_COUNTS = ("size", "characters", "words", "sentences", "truncated")  # The size is in bytes.
MARKUP = "sentences or headings with markup"
# A 128-bit hash in two halves, and counts.
DOCUMENT = np.dtype([("high", "<u8"), ("low", "<u8"), *((name, "<u4") for name in _COUNTS)])
_FORM = {"language": str, "counts": dict, "file_bytes": int | float, "made_of": str}
# Settings that do not change a part's text. (A part records which input it was made from.)
_NOT_OF_PARTS = (
    *("input_file", "source", "language", "split", "tfds_data_dir"),
    *("num_shards", "gzip", "drop_duplicates", "sampling_exponent", "held_out_share"),
)


def parts_folder(output_dir: str) -> str:
    """Returns the folder of a run's intermediate files."""
    return files.join_path(output_dir, ".parts")


@contextlib.contextmanager
def hold_parts(output_dir: str) -> Iterator[str]:
    """Locks the folder, or raises a ValueError if another run holds it; makes that of the parts."""
    folder = parts_folder(output_dir)
    with files.hold_folder(output_dir):
        files.make_directories(folder)
        for half_written in Path(folder).glob(".*.tmp"):  # By a run that was killed, whose
            half_written.unlink(missing_ok=True)  # workers may still be removing them.
        try:
            yield folder
        finally:
            if not _has_parts(folder):  # So that the settings that an error names can be changed.
                shutil.rmtree(folder, ignore_errors=True)


def _has_parts(folder: str) -> bool:
    return any(Path(folder).glob("part-*.json"))


def start_or_resume(folder: str, identity: dict[str, Any]) -> None:
    """Raises a ValueError if parts in the folder were made in another way, or from other inputs."""
    path = files.join_path(folder, "run.json")
    if _has_parts(folder) and files.exists(path):
        there = read_json(path, dict)
        with files.naming_damage(path):
            differences = list_differences(there, identity, _NOT_OF_PARTS)
            if not differences and there["libraries"] != identity["libraries"]:
                differences = [f"with {there['libraries']}, now with {identity['libraries']}"]
            if not differences and _names(there).isdisjoint(_names(identity)):
                differences = [f"from other inputs, such as {there['inputs'][0]['path']}"]
        if differences:
            raise ValueError(
                f"{folder} holds parts of an unfinished corpus that was made differently: "
                f"{'; '.join(differences)}. Finish that one, choose another --output_dir, or, to "
                f"start over, remove {folder}."
            )
    write_json(path, identity, indent=1)


def _names(identity: dict[str, Any]) -> set[tuple[str, ...]]:
    return {(each["path"], each["language"], each["source"]) for each in identity["inputs"]}


def list_differences(
    there: dict[str, Any], identity: dict[str, Any], irrelevant: Iterable[str] = ()
) -> list[str]:
    """Returns descriptions of the settings that differ between two runs."""
    if there.get("format") != identity["format"]:
        return ["by another version of this program"]
    old, new = there["settings"], identity["settings"]
    names = [name for name in new if name not in irrelevant and old.get(name) != new[name]]
    return [f"{name} was {old.get(name)!r}, now {new[name]!r}" for name in names]


def part_path(folder: str, number: int, ending: str) -> str:
    """Returns the path of `part-000012.txt`; `ending` is txt, index or json."""
    return files.join_path(folder, f"part-{number:06d}.{ending}")


def make_part(settings: CorpusSettings, folder: str, work: tuple[int, Task]) -> dict[str, Any]:
    """Makes a part of (its number, the piece of the input), unless it is there, and describes it.

    {"language": "en", "counts": {...}, "markup_example": "", "file_bytes": 16000000,
     "made_of": "9f3c..."}
    """
    number, task = work
    path, made_of = part_path(folder, number, "json"), _digest(task)
    if files.exists(path) and (described := read_json(path, _FORM))["made_of"] == made_of:
        return described
    described = {
        "language": task.input.language,
        **_write_part(settings, folder, number, task),
        "file_bytes": task.file_bytes,
        "made_of": made_of,
    }
    write_json(path, described, indent=None)
    return described


def _digest(task: Task) -> str:
    """Returns a digest of a part's source: its text, or a range of an unchanged file."""
    each, data = task.input, task.data
    described: list[Any] = [each.source, each.language, sorted(each.dropped_prefixes)]
    if not isinstance(data, Piece):
        contents = [text.encode("utf-8", "surrogatepass") for _, text in data]
    else:
        contents = [data.data or b""]
        described.append(data.is_last)
        if data.data is None:
            described += [each.path, each.bytes, each.version, data.start, data.end]
    described.append(list(map(len, contents)))
    digest = hashlib.blake2b(json.dumps(described).encode(), digest_size=16)
    for content in contents:
        digest.update(content)
    return digest.hexdigest()


def _write_part(settings: CorpusSettings, folder: str, number: int, task: Task) -> dict[str, Any]:
    """Writes the text and the index of a part; returns `counts` and `markup_example` of it."""
    counts: collections.Counter = collections.Counter()
    marked_up: list[str] = []
    rows = []
    language = task.input.language
    paths = [part_path(folder, number, ending) for ending in ("txt", "index")]
    with files.atomic_writes(paths) as (text_file, index_file):
        for paragraphs in read_documents(task, settings, counts):
            sentences = document_sentences(paragraphs, language, counts, marked_up)
            has_few_characters = sum(map(len, sentences)) < settings.min_characters
            if not sentences:
                counts["dropped: without text"] += 1
            elif has_few_characters or len(sentences) < settings.min_sentences:
                counts["dropped: too short"] += 1
            else:
                marked_up += filter(find_markup, sentences)
                rows.append(_write_document(sentences, language, settings, text_file))
        index_file.write(np.array(rows, DOCUMENT).tobytes())
    counts[MARKUP] = len(marked_up)
    return {"counts": dict(sorted(counts.items())), "markup_example": next(iter(marked_up), "")}


def document_sentences(
    paragraphs: Iterable[str], language: str, counts: collections.Counter, marked_up: list[str]
) -> list[str]:
    """Returns the sentences of a document; drops and counts paragraphs that look like headings.

    Dropped paragraphs with markup, which hides the ends of sentences, are added to `marked_up`.
    """
    sentences = []
    for paragraph in paragraphs:
        paragraph = " ".join(paragraph.split())
        if paragraph and is_heading(paragraph):
            counts["headings left out"] += 1
            marked_up += filter(find_markup, [paragraph])
        elif paragraph:
            sentences += split_sentences(paragraph, language)
    return sentences


def _write_document(
    sentences: list[str], language: str, settings: CorpusSettings, file: IO[bytes]
) -> tuple[int, ...]:
    """Writes a document and returns its row of the index."""
    digest = hashlib.blake2b("\n".join(sentences).encode(), digest_size=16).digest()
    num_truncated = 0
    if settings.truncate_probability:
        rng = random.Random(f"{settings.random_seed} {digest.hex()}")
        for place, sentence in enumerate(sentences):
            if rng.random() < settings.truncate_probability:
                sentences[place] = _truncate(sentence, language, rng)
                num_truncated += sentences[place] != sentence
    text = ("\n".join(sentences) + "\n\n").encode()
    file.write(text)
    num_words = sum(len(sentence.split()) for sentence in sentences)
    high, low = (int.from_bytes(half, "big") for half in (digest[:8], digest[8:]))
    counts = (len(text), sum(map(len, sentences)), num_words, len(sentences), num_truncated)
    return (high, low, *counts)


def _truncate(sentence: str, language: str, rng: random.Random) -> str:
    """Keeps the first words of a sentence, or characters in languages without spaces.

    Source: the README of google-research/bert, section "Pre-training with BERT": randomly truncate
    2 % of the input segments.
    """
    joint = "" if language in WITHOUT_SPACES else " "
    units = sentence.split() if joint else sentence
    if len(units) < 2:
        return sentence
    return joint.join(units[: rng.randrange(1, len(units))]).rstrip()
