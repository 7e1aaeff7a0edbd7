"""Small tables of English text, written for the notebooks, where nothing can be downloaded.

movie_reviews.csv    text, label: negative, positive
paraphrases.csv      sentence1, sentence2, label: not_equivalent, equivalent
requests.csv         text, label: account, delivery, payment
countries.csv        country, capital, currency, language, neighbour
"""

import contextlib
import csv
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bert_tf import files

_FOLDER = Path(__file__).parent / "samples"
_TEST_SHARE = 4  # Every fourth example of a class is one of the test split.


def sample_file(name: str) -> str:
    """Returns the path of a sample table, such as `movie_reviews.csv`.

    Raises a ValueError if there is none of this name.
    """
    names = sorted(path.name for path in _FOLDER.glob("*.csv"))
    if name not in names:
        raise ValueError(f"The samples are {', '.join(names)}. Received: {name!r}")
    return str(_FOLDER / name)


def read_table(path: str) -> dict[str, list[str]]:
    """Returns the columns of a CSV file by the names in its first line.

    Raises a ValueError for a row that has more or fewer values than the first line has names.
    """
    header, *rows = csv.reader(f"{line}\n" for line in files.open_text_lines(path))
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ValueError(
                f"{path}: row {number} has {len(row)} values, not {len(header)}: {row!r:.200}"
            )
    return {name: [row[place] for row in rows] for place, name in enumerate(header)}


def write_tfds(path: str, data_dir: str, name: str) -> None:
    """Writes a table as a data set of tensorflow-datasets: `tfds.load(name, data_dir=data_dir)`.

    Its splits are `train` and `test`, a quarter of each class. An existing data set is kept.

    Args:
        path: a CSV file with a column `label`; the others are texts.
    """
    import tensorflow_datasets as tfds

    table = read_table(path)
    if "label" not in table:
        raise ValueError(f"{path}: there is no column label. Received: {', '.join(table)}")
    texts = [column for column in table if column != "label"]
    labels = sorted(set(table["label"]))
    seen = dict.fromkeys(labels, 0)
    splits: dict[str, list[tuple[int, dict[str, Any]]]] = {"train": [], "test": []}
    for number, row in enumerate(zip(*table.values(), strict=True)):
        example = dict(zip(table, row, strict=True))
        seen[example["label"]] += 1
        split = "train" if seen[example["label"]] % _TEST_SHARE else "test"
        splits[split].append((number, example))
    if files.exists(files.join_path(data_dir, f"{name}/1.0.0/dataset_info.json")):
        return
    features = {text: tfds.features.Text() for text in texts}
    with _in_silence(tfds):
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version="1.0.0",
            data_dir=data_dir,
            features=tfds.features.FeaturesDict(
                {**features, "label": tfds.features.ClassLabel(names=labels)}
            ),
            split_datasets=splits,
            description=f"Made from {Path(path).name}.",
        )


@contextlib.contextmanager
def _in_silence(tfds: Any) -> Iterator[None]:
    """Hides what tensorflow-datasets says of downloads and folders, as there is no download."""
    tfds.disable_progress_bar()
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
