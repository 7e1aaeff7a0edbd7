"""Reports on a prepared corpus: counts by language, files, time."""

import dataclasses
from typing import Any

from bert_tf import files
from bert_tf.progress import format_number, format_seconds


@dataclasses.dataclass(frozen=True)
class CorpusReport:
    """Describes a prepared corpus, as saved in corpus.json."""

    output_dir: str
    # Counts by language: `seen` (pages, books, lines), `input_bytes`, `documents` (those kept),
    # `factor`, `dropped: ...`.
    languages: dict[str, dict[str, Any]]
    # Per file `name`, `bytes`, `sha256`, `documents`, `sentences`, `words`, `characters`,
    # `truncated`.
    shards: list[dict[str, Any]]
    held_out: dict[str, Any] | None  # The same for held_out.txt, if there is one.
    seconds: float  # Without earlier, interrupted runs.
    was_there: bool = False  # Whether an earlier run had made everything.

    def total(self, name: str) -> int:
        """Sums a count over all files except the held-out file."""
        return sum(shard[name] for shard in self.shards)

    def lines(self) -> list[str]:
        """Returns the lines of the report, for people."""
        rows = []
        for language, counts in self.languages.items():
            rows.append((language, f"{counts['seen']:,} read, {counts['documents']:,} kept"))
            for name, number in counts.items():
                if name.startswith("dropped: "):
                    rows.append(("", f"{number:,} {name}"))
            if headings := counts.get("headings left out"):
                rows.append(("", f"{headings:,} headings dropped from documents"))
            if len(self.languages) > 1:
                factor = f"{counts['factor']:.3f}"
                rows.append(("", f"written {factor} times, to balance the languages"))
        documents, sentences = self.total("documents"), self.total("sentences")
        rows += [
            ("written", f"{documents:,} documents"),
            ("sentences", f"{sentences:,}, {sentences / max(documents, 1):.1f} per document"),
            ("words", f"{self.total('words'):,}"),
            ("characters", f"{self.total('characters'):,}"),
        ]
        if self.total("truncated"):
            rows.append(("truncated", f"{self.total('truncated'):,} sentences"))
        if self.held_out:
            rows.append(("held out", f"{self.held_out['documents']:,} documents"))
        rows += [("time", self._time()), ("files", self._files())]
        return [f"{name:<12} {value}" for name, value in rows]

    def _time(self) -> str:
        if self.was_there:
            return "none: an earlier run had made everything"
        read = sum(counts["input_bytes"] for counts in self.languages.values()) / 1e6
        speed = f"{read / max(self.seconds, 1e-9):.2f} MB/s"
        return f"{format_seconds(self.seconds)} for {format_number(read)} MB of text, {speed}"

    def _files(self) -> str:
        paths = [files.join_path(self.output_dir, shard["name"]) for shard in self.shards]
        last = f" ... {paths[-1]}" if len(paths) > 1 else ""
        return f"{len(paths)}: {paths[0]}{last}"
