"""Defines options that tasks on tables share: files, layout, and columns of labels and ids."""

import dataclasses
import logging
from collections.abc import Sequence

from bert_tf import files
from bert_tf.settings.setting import setting
from bert_tf.tasks.tables import FORMAT_BY_ENDING, TableLayout, is_number
from bert_tf.tasks.task import SplitFiles
from bert_tf.tasks.text_examples import original_split

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class TableFiles(SplitFiles):
    """Options that name the tables of each split."""

    data_dir: str = setting(
        "", "Folder with train, dev and test, each as .tsv, .csv or .jsonl, optionally gzipped."
    )

    def sources(self, split: str, names: Sequence[str] = ()) -> list[str]:
        """Returns the tables of a split.

        Args:
            names: their names in `data_dir` without the ending, the first that exists counts; by
                default `train`, `dev` or `test`.

        Raises a ValueError if there is none, or if there are several of one name.
        """
        name = original_split(split)
        if given := self.given_files(split):
            return given
        candidates = []
        for stem in names or (name,):
            candidates += [stem + ending + gz for ending in FORMAT_BY_ENDING for gz in ("", ".gz")]
            paths = [files.join_path(self.data_dir, candidate) for candidate in candidates]
            found = [path for path in paths if self.data_dir and files.exists(path)]
            if len(found) > 1:
                raise ValueError(f"Give --{name}_file, as there are {' and '.join(found)}.")
            if found:
                return found
        raise ValueError(
            f"There is no {name} file. Give --{name}_file, or a --data_dir with one of "
            f"{', '.join(candidates)}. Received: --data_dir={self.data_dir}"
        )

    def checked_sources(self, split: str, names: Sequence[str] = ()) -> list[str]:
        """Returns `sources`, and warns of a file that is given twice."""
        sources = self.sources(split, names)
        for path in sorted({path for path in sources if sources.count(path) > 1}):
            logger.warning("%s: given more than once for %r, and read as often.", path, split)
        return sources


@dataclasses.dataclass(frozen=True)
class TableOptions(TableFiles):
    """The options of a task on tables of any layout; a subclass adds the columns of its texts."""

    label_column: str = setting("", "Column of the label; not needed for prediction.")
    id_column: str = setting("", "Column of the ids in predictions; default: test-0, test-1, ...")
    format: str = setting("auto", "tsv (no quotes), csv (quotes), jsonl; auto: by the file's name.")
    delimiter: str = setting(
        "auto",
        "Column delimiter: one character, or tab, comma, semicolon, space; auto: a tab in tsv, a "
        "comma in csv.",
    )
    header: str = setting(
        "auto",
        "true: the first row names the columns. false: it is an example. auto: true if any column "
        "is given by its name.",
        choices=("auto", "true", "false"),
    )

    def __post_init__(self):
        super().__post_init__()
        TableLayout(self.format, self.delimiter)

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The given columns of texts."""
        return ()

    @property
    def layout(self) -> TableLayout:
        columns = (*self.text_columns, self.label_column, self.id_column)
        is_named = any(column and not is_number(column) for column in columns)
        has_header = self.header == "true" or (self.header == "auto" and is_named)
        return TableLayout(self.format, self.delimiter, has_header)

    @property
    def may_miss_header(self) -> bool:
        """Whether it is only assumed that there is no header."""
        return self.header == "auto" and not self.layout.has_header
