"""The examples of anybody's tables, given which column is what."""

import collections
import dataclasses
import logging
from collections.abc import Iterator, Sequence

from bert_tf import files
from bert_tf.tasks.table_files import read_records
from bert_tf.tasks.table_layout import FORMAT_BY_ENDING, TableLayout
from bert_tf.tasks.text_examples import TextExample

# The file for each purpose, by the name that the original release gave it.
_FILES = {"train": "train", "eval": "dev", "predict": "test"}

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class TsvReader:
    """Reads examples from tables; see `TextReader`.

    Args:
        data_dir: the folder with the files for which no path is given.
        given_files: paths or patterns, with commas between them, for training, evaluation and
            prediction; "" for those in data_dir.
        layout: how the files are written.
        text_columns: those of the first and the second text; "" for none.
        label_column, id_column: the other columns; "" for none.
        header_is_guessed: whether nobody said that there is no header: a first row that looks like
            one is refused then.
        labels: those that are known; () in a regression, and before they are looked for.
    """

    data_dir: str
    given_files: tuple[str, str, str]
    layout: TableLayout
    text_columns: tuple[str, str]
    label_column: str
    id_column: str
    header_is_guessed: bool
    labels: tuple[str, ...] = ()

    def splits(self, purpose: str) -> tuple[str, ...]:
        """The purpose itself.

        Raises:
            ValueError: if there is no file for it, or the labels are in no column.
        """
        self.sources(purpose)
        if purpose != "predict" and not self.label_column:
            raise ValueError(f"--label_column is needed for the {_FILES[purpose]} file.")
        return (purpose,)

    def sources(self, split: str) -> list[str]:
        """The files of a split.

        Raises:
            ValueError: if there are none, or if it is not clear which they are.
        """
        name = _FILES[split]
        given = self.given_files[list(_FILES).index(split)]
        if given:
            return files.expand_input_files(given)
        candidates = [name + ending + gz for ending in FORMAT_BY_ENDING for gz in ("", ".gz")]
        paths = [files.join_path(self.data_dir, candidate) for candidate in candidates]
        found = [path for path in paths if self.data_dir and files.exists(path)]
        if len(found) > 1:
            raise ValueError(f"Which of {' and '.join(found)} is it? Say it by --{name}_file.")
        if not found:
            raise ValueError(
                f"There is no {name} file. Give --{name}_file, or a --data_dir with one of "
                f"{', '.join(candidates)}. Received: --data_dir={self.data_dir}"
            )
        return found

    def read(self, split: str) -> list[TextExample]:
        """All examples of a split. Labels of those that are to be predicted are not looked at.

        Raises:
            ValueError: for rows that cannot be understood, and a first text that is empty, with
                file and line.
        """
        is_labelled = split != "predict"
        label_column = self.label_column if is_labelled else ""
        id_column = "" if is_labelled else self.id_column
        examples: list[TextExample] = []
        columns = (*self.text_columns, label_column, id_column)
        for where, (text_a, text_b, label, guid) in self._records(split, columns):
            if not (text_a or "").strip():
                raise ValueError(
                    f"{where}: no text in column {self.text_columns[0]!r}. Leave the row out, or "
                    f"fill it in."
                )
            label = (label or "").strip() or None
            if not examples and label and self.header_is_guessed and not self._can_be(label):
                known = f"one of {', '.join(self.labels)}" if self.labels else "a number"
                raise ValueError(
                    f"{where}: label {label!r} is not {known}. If this row is a header, say "
                    f"--header=true."
                )
            guid = guid or f"{_FILES[split]}-{len(examples)}"
            examples.append(TextExample(guid, text_a, text_b or None, label, where))
        self._warn_of_single_texts(examples, split)
        return examples

    def distinct_labels(self, most: int) -> list[str]:
        """The labels of the training examples, in no order.

        Raises:
            ValueError: if one is missing, or if there are fewer than two or more than `most`.
        """
        try:
            self.splits("train")
        except ValueError as error:
            raise ValueError(f"{error} It tells the labels, unless --labels does.") from error
        column = f"column {self.label_column!r}"
        counts: collections.Counter[str] = collections.Counter()
        first = ""
        for where, (value,) in self._records("train", (self.label_column,)):
            label = (value or "").strip()
            if not label:
                raise ValueError(f"{where}: no label in {column}.")
            first = first or where
            counts[label] += 1
            if len(counts) > most:
                raise ValueError(
                    f"{where}: with {label!r} there are more than {most:,} different labels in "
                    f"{column}. Numbers are learned with --regression; or --label_column is to be "
                    f"another one."
                )
        if len(counts) < 2:
            raise ValueError(
                f"{', '.join(self.sources('train'))}: a classifier needs at least two labels. "
                f"Received in {column}: {', '.join(map(repr, counts)) or 'not one row'}"
            )
        # A counter keeps the order in which its keys came.
        (label, count), *others = counts.items()
        is_alone = count == 1 and len(others) > 1 and all(other > 1 for _, other in others)
        if self.header_is_guessed and is_alone:
            raise ValueError(
                f"{first}: is this row a header? No other one has its label, {label!r}. Say "
                f"--header=true if it is a header, or --header=false if it is an example."
            )
        return list(counts)

    def _records(
        self, split: str, columns: Sequence[str]
    ) -> Iterator[tuple[str, list[str | None]]]:
        for path in self.sources(split):
            yield from read_records(path, self.layout, columns)

    def _can_be(self, label: str) -> bool:
        """Whether this is one of the labels, or a number where these are to be learned."""
        if self.labels:
            return label in self.labels
        try:
            float(label)
        except ValueError:
            return False
        return True

    def _warn_of_single_texts(self, examples: Sequence[TextExample], split: str) -> None:
        """A second text may be empty here and there; if many are, it may be the wrong column."""
        num_single = sum(example.text_b is None for example in examples)
        if self.text_columns[1] and num_single:
            _logger.warning(
                "%s: %d of %d examples have nothing in column %r and are single texts.",
                ", ".join(self.sources(split)),
                num_single,
                len(examples),
                self.text_columns[1],
            )
