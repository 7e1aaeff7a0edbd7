"""Reads classification examples from a data set that tensorflow-datasets has prepared.

    <data_dir>/glue/mrpc/2.0.0/glue-train.tfrecord-00000-of-00001
        {"idx": 17, "sentence1": b"...", "sentence2": b"...", "label": 1}

The records are stored in random order; they are sorted by `idx`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bert_tf.files.tfds import find_builder
from bert_tf.tasks.text_examples import TextExample, original_split

_SPLITS = {"train": "train", "eval": "validation", "predict": "test"}


@dataclasses.dataclass(frozen=True)
class TfdsReader:
    """Reads `TextExample`s."""

    dataset: str  # `glue/mrpc`
    data_dir: str  # See `find_builder`.
    texts: tuple[str, ...]  # The features that hold the texts.
    labels: tuple[str, ...]  # In the order of their numbers; () for a regression.
    language: str = ""  # Selects the translation of texts in several languages.
    # The data set's own names of the splits.
    split_names: Mapping[str, str] = dataclasses.field(default_factory=_SPLITS.copy)

    def splits(self, purpose: str) -> tuple[str, ...]:
        available = self._builder().info.splits
        wanted = [split for split in self.split_names if split.partition("_")[0] == purpose]
        splits = tuple(split for split in wanted if self.split_names[split] in available)
        if not splits:
            names = " or ".join(repr(self.split_names[split]) for split in wanted)
            raise ValueError(
                f"{purpose!r} needs the split {names} of {self.dataset}, but tensorflow-datasets "
                f"has only {', '.join(available)}."
            )
        return splits

    def sources(self, split: str) -> list[str]:
        paths = self._builder().info.splits[self.split_names[split]].filepaths
        return sorted(map(str, paths))

    def read(self, split: str) -> list[TextExample]:
        """Returns all examples of a split, in the order of `idx`, or as stored if it is missing."""
        import tensorflow_datasets as tfds

        name, prefix = self.split_names[split], original_split(split)
        rows = tfds.as_numpy(self._builder().as_dataset(split=name, shuffle_files=False))
        numbered = [(int(row.get("idx", number)), row) for number, row in enumerate(rows)]
        return [
            TextExample(
                f"{prefix}-{number}",
                *(_text(row[feature], self.language) for feature in self.texts),
                label=_label(row["label"], self.labels),
                where=f"{self.dataset}/{name}:{number}",
            )
            for number, row in sorted(numbered, key=lambda pair: pair[0])
        ]

    def _builder(self) -> Any:
        return find_builder(self.dataset, self.data_dir)


def _text(value: Any, language: str) -> str:
    """Decodes a text. Translations are a dict by language, or two parallel lists."""
    if isinstance(value, Mapping) and "translation" in value:
        languages = [each.decode("utf-8") for each in value["language"]]
        value = value["translation"][languages.index(language)]
    elif isinstance(value, Mapping):
        value = value[language]
    return value.decode("utf-8")


def _label(value: Any, labels: tuple[str, ...]) -> str | float | None:
    if value == -1:  # The label is withheld.
        return None
    return labels[int(value)] if labels else float(value)
