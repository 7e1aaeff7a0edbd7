"""Turns a piece of an input into a part: text, an index of its documents, and counts.

    part-000012.txt     one sentence per line, a blank line after each document
    part-000012.index   the hash and the sizes of each document: `DOCUMENT`
    part-000012.json    counts, and what the part was made from; written last, so that a part with
                        this file is complete

Each part is made from its own piece only, by any worker and in any order. What depends on all
documents (duplicates, the size of each language) is decided afterwards, from the indexes.
"""

import collections
import dataclasses
import hashlib
import json
import random
from collections.abc import Iterable
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.config import read_json
from bert_tf.corpus.dump import Piece
from bert_tf.corpus.sentences import WITHOUT_SPACES, is_heading, split_sentences
from bert_tf.corpus.sources import Task, read_documents
from bert_tf.settings import CorpusSettings

# Two halves of a 128-bit hash, bytes of text, and counts.
DOCUMENT = np.dtype(
    [
        *(("high", "<u8"), ("low", "<u8"), ("size", "<u4")),
        *(("characters", "<u4"), ("words", "<u4"), ("sentences", "<u4"), ("truncated", "<u4")),
    ]
)


@dataclasses.dataclass(frozen=True)
class PartWork:
    """A part to make."""

    settings: CorpusSettings
    folder: str
    number: int
    task: Task


def part_path(folder: str, number: int, ending: str) -> str:
    """Returns the path of `part-000012.txt`; `ending` is txt, index or json."""
    return files.join_path(folder, f"part-{number:06d}.{ending}")


def is_whole(folder: str, number: int, task: Task) -> bool:
    """Whether a part is complete, and was made from this piece."""
    path = part_path(folder, number, "json")
    return files.exists(path) and read_json(path)["made_of"] == digest_of_task(task)


def digest_of_task(task: Task) -> str:
    """Returns a digest of what a part is made from: text, or a range of an unchanged file."""
    each, data = task.input, task.data
    digest = hashlib.blake2b(digest_size=16)
    described = [each.source, each.language, sorted(each.dropped_prefixes)]
    if isinstance(data, Piece):
        described += [data.is_last]
        if data.data is None:
            described += [each.path, each.size, each.version, data.start, data.end]
    digest.update(json.dumps(described).encode())
    if isinstance(data, Piece):
        digest.update(data.data or b"")
    else:
        for _, text in data:
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(b"%d:" % len(encoded))
            digest.update(encoded)
    return digest.hexdigest()


def read_counts(folder: str, number: int) -> dict[str, Any]:
    """Reads a part's description: {"language": "en", "counts": {...}, "made_of": "9f3c..."}."""
    return read_json(part_path(folder, number, "json"))


def read_index(folder: str, number: int) -> np.ndarray:
    """Reads the index of a part's documents: DOCUMENT[n]."""
    with files.open_file(part_path(folder, number, "index")) as file:
        return np.frombuffer(file.read(), DOCUMENT)


def make_part(work: PartWork) -> int:
    """Makes a part, and returns how many bytes of the input files it covers.

    Raises:
        ValueError: see `read_documents`.
        OSError: if it cannot be written. Then no file of it is left behind.
    """
    settings, task = work.settings, work.task
    counts: collections.Counter = collections.Counter()
    rows = []
    paths = [part_path(work.folder, work.number, ending) for ending in ("txt", "index")]
    with files.atomic_writes(paths) as (text_file, index_file):
        for paragraphs in read_documents(task, settings, counts):
            sentences = document_sentences(paragraphs, task.input.language, counts)
            row = _write_document(sentences, task.input.language, settings, counts, text_file)
            if row is not None:
                rows.append(row)
        index_file.write(np.array(rows, DOCUMENT).tobytes())
    described = {
        "language": task.input.language,
        "counts": dict(sorted(counts.items())),
        "made_of": digest_of_task(task),
    }
    with files.atomic_write(part_path(work.folder, work.number, "json"), "w") as file:
        file.write(json.dumps(described, ensure_ascii=False) + "\n")
    return task.file_bytes


def document_sentences(
    paragraphs: Iterable[str], language: str, counts: collections.Counter
) -> list[str]:
    """Returns the sentences of a document; drops and counts paragraphs that look like headings."""
    sentences = []
    for paragraph in paragraphs:
        paragraph = " ".join(paragraph.split())
        if not paragraph:
            continue
        if is_heading(paragraph):
            counts["headings left out"] += 1
        else:
            sentences += split_sentences(paragraph, language)
    return sentences


def truncate_sentences(
    sentences: list[str], language: str, probability: float, rng: random.Random
) -> tuple[list[str], int]:
    """Cuts off the end of some sentences; returns all sentences and the number of truncated ones.

    A truncated sentence keeps at least one word and loses at least one (in languages without spaces
    between words: one character). A sentence of one word is never truncated.

    Source: the README of google-research/bert, section "Pre-training with BERT": randomly truncate
    2 % of the input segments.
    """
    truncated, number = [], 0
    for sentence in sentences:
        if rng.random() < probability:
            joint = "" if language in WITHOUT_SPACES else " "
            units = sentence.split() if joint else sentence
            if len(units) > 1:
                sentence = joint.join(units[: rng.randrange(1, len(units))]).rstrip()
                number += 1
        truncated.append(sentence)
    return truncated, number


def _write_document(
    sentences: list[str],
    language: str,
    settings: CorpusSettings,
    counts: collections.Counter,
    file,
) -> tuple[int, ...] | None:
    """Writes a document and returns its row of the index; None if it is too short."""
    characters = sum(map(len, sentences))
    if not sentences:
        counts["dropped: without text"] += 1
        return None
    if len(sentences) < settings.min_sentences or characters < settings.min_characters:
        counts["dropped: too short"] += 1
        return None
    digest = hashlib.blake2b("\n".join(sentences).encode(), digest_size=16).digest()
    truncated = 0
    if settings.truncate_probability:
        rng = random.Random(f"{settings.random_seed} {digest.hex()}")
        sentences, truncated = truncate_sentences(
            sentences, language, settings.truncate_probability, rng
        )
    text = ("\n".join(sentences) + "\n\n").encode()
    file.write(text)
    return (
        int.from_bytes(digest[:8], "big"),
        int.from_bytes(digest[8:], "big"),
        len(text),
        sum(map(len, sentences)),
        sum(len(sentence.split()) for sentence in sentences),
        len(sentences),
        truncated,
    )
