"""Reports on a prepared corpus: counts by language, files, time."""

import dataclasses
from typing import Any

from bert_tf import files
from bert_tf.corpus.parts import MARKUP
from bert_tf.progress import format_seconds

_HIGH_MARKUP_SHARE = 0.01


@dataclasses.dataclass(frozen=True)
class CorpusReport:
    """Describes a prepared corpus, as saved in corpus.json."""

    output_dir: str
    # Counts by language: `seen` (pages, books, lines), `input_bytes`, `documents` (those kept),
    # `factor`, `dropped: ...`.
    languages: dict[str, dict[str, Any]]
    # Of each file `name`, `bytes`, `sha256`, and the numbers of `documents`, `sentences`, `words`,
    # `characters`, and `truncated` sentences.
    shards: list[dict[str, Any]]
    held_out: dict[str, Any] | None  # The same for held_out.txt, if there is one.
    seconds: float  # Without earlier, interrupted runs.
    was_there: bool = False  # Whether an earlier run had made everything.
    markup_example: str = ""  # A sentence or heading that holds markup.

    def total(self, name: str) -> int:
        """Sums a count over all files except the held-out file."""
        return sum(shard[name] for shard in self.shards)

    def problems(self) -> list[str]:
        """Returns warnings of text that would harm training."""
        found, headings = (
            sum(counts.get(name, 0) for counts in self.languages.values())
            for name in (MARKUP, "headings left out")
        )
        total = self.total("sentences") + headings
        if found <= _HIGH_MARKUP_SHARE * total:
            return []
        return [
            f"{found:,} of {total:,} sentences and headings hold tags, entities, wikitext, JSON or "
            f"base64, such as {self.markup_example[:70]!r}. Is --source right?"
        ]

    def lines(self) -> list[str]:
        """Returns the lines of the printed report."""
        rows = []
        for language, counts in self.languages.items():
            rows.append((language, f"{counts['seen']:,} read, {counts['documents']:,} kept"))
            dropped = [name for name in counts if name.startswith("dropped: ")]
            rows += [("", f"{counts[name]:,} {name}") for name in dropped]
            if headings := counts.get("headings left out"):
                rows.append(("", f"{headings:,} headings dropped from documents"))
            if len(self.languages) > 1:
                rows.append(("", f"written {counts['factor']:.3f} times, to balance the languages"))
        documents, sentences = self.total("documents"), self.total("sentences")
        rows.append(("written", f"{documents:,} documents"))
        rows.append(("sentences", f"{sentences:,}, {sentences / documents:.1f} per document"))
        rows += [(name, f"{self.total(name):,}") for name in ("words", "characters")]
        if self.total("truncated"):
            rows.append(("truncated", f"{self.total('truncated'):,} sentences"))
        if self.held_out:
            rows.append(("held out", f"{self.held_out['documents']:,} documents"))
        time = "none: an earlier run had made everything"
        rows.append(("time", time if self.was_there else format_seconds(self.seconds)))
        paths = [files.join_path(self.output_dir, shard["name"]) for shard in self.shards]
        last = f" ... {paths[-1]}" if len(paths) > 1 else ""
        rows.append(("files", f"{len(paths)}: {paths[0]}{last}"))
        return [f"{name:<12} {value}" for name, value in rows]
