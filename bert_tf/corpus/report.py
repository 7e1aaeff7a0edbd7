"""Reports on a prepared corpus: counts by language, files, time."""

import dataclasses
from typing import Any

from bert_tf import files
from bert_tf.progress import format_number, format_seconds


@dataclasses.dataclass(frozen=True)
class CorpusReport:
    """Describes a prepared corpus, as saved in corpus.json.

    Attributes:
        output_dir: the folder.
        languages: counts by language: `seen` (pages, books, lines), `input_bytes`,
            `dropped: ...`, `documents` (those kept), `factor`.
        shards: per file `name`, `bytes`, `sha256`, `documents`, `sentences`, `words`,
            `characters`, `truncated`.
        held_out: the same for held_out.txt, if there is one.
        seconds: duration, without earlier, interrupted runs.
        was_there: whether an earlier run had made everything.
    """

    output_dir: str
    languages: dict[str, dict[str, Any]]
    shards: list[dict[str, Any]]
    held_out: dict[str, Any] | None
    seconds: float
    was_there: bool = False

    @property
    def paths(self) -> list[str]:
        """Paths of the corpus files, without the held-out file."""
        return [files.join_path(self.output_dir, shard["name"]) for shard in self.shards]

    def total(self, name: str) -> int:
        """Sums a count over all files except the held-out file."""
        return sum(shard[name] for shard in self.shards)

    def lines(self) -> list[str]:
        """Returns the lines of the report, for people."""
        lines = []
        for language, counts in self.languages.items():
            lines += _lines_of_language(language, counts, len(self.languages) > 1)
        documents, sentences = self.total("documents"), self.total("sentences")
        rows = {
            "written": f"{documents:,} documents",
            "sentences": f"{sentences:,}, {sentences / max(documents, 1):.1f} per document",
            "words": f"{self.total('words'):,}",
            "characters": f"{self.total('characters'):,}",
        }
        if self.total("truncated"):
            rows["truncated"] = f"{self.total('truncated'):,} sentences"
        if self.held_out:
            rows["held out"] = f"{self.held_out['documents']:,} documents"
        read = sum(counts["input_bytes"] for counts in self.languages.values()) / 1e6
        speed = f", {read / max(self.seconds, 1e-9):.2f} MB/s"
        rows["time"] = f"{format_seconds(self.seconds)} for {format_number(read)} MB of text{speed}"
        if self.was_there:
            rows["time"] = "none: an earlier run had made everything"
        last = f" ... {self.paths[-1]}" if len(self.paths) > 1 else ""
        rows["files"] = f"{len(self.paths)}: {self.paths[0]}{last}"
        return [*lines, *(f"{name:<12} {value}" for name, value in rows.items())]


def _lines_of_language(language: str, counts: dict[str, Any], shows_factor: bool) -> list[str]:
    lines = [
        f"{language:<12} {counts['seen']:,} read, {counts['documents']:,} kept",
        *(
            f"{'':<12} {number:,} {name}"
            for name, number in counts.items()
            if name.startswith("dropped: ")
        ),
    ]
    if counts.get("headings left out"):
        lines.append(f"{'':<12} {counts['headings left out']:,} headings dropped from documents")
    if shows_factor:
        lines.append(f"{'':<12} written {counts['factor']:.3f} times, to balance the languages")
    return lines
