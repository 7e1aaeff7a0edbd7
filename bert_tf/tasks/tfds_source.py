"""Texts to be classified, from a data set that tensorflow-datasets has prepared.

    <data_dir>/glue/mrpc/2.0.0/glue-train.tfrecord-00000-of-00001
        {"idx": 17, "sentence1": b"...", "sentence2": b"...", "label": 1}

They lie there in a random order, and are put into that of their `idx`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bert_tf.files.tfds import find_builder
from bert_tf.tasks.classification import TextExample


@dataclasses.dataclass(frozen=True)
class TfdsReader:
    """A reader for `TextClassification`.

    Args:
        dataset: `glue/mrpc`.
        data_dir: the folder that tensorflow-datasets keeps all its data sets in, or that of this
            one (with `dataset_info.json`); "" for the usual one, `~/tensorflow_datasets`.
        split_names: for each of the task's splits the data set's name of it, and the first part
            of its examples' names: `("eval", "validation", "dev")`.
        texts: the features with the text, or with both texts.
        labels: the task's labels in the order in which the data set numbers them, unless it tells
            their names; () for numbers.
        language: which one to take of a text in several languages.
    """

    dataset: str
    data_dir: str
    split_names: tuple[tuple[str, str, str], ...]
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    language: str = ""

    def splits(self, purpose: str) -> tuple[str, ...]:
        available = self._splits()
        wanted = [names for names in self.split_names if names[0].partition("_")[0] == purpose]
        splits = tuple(split for split, name, _ in wanted if name in available)
        if not splits:
            names = " or ".join(repr(name) for _, name, _ in wanted)
            raise ValueError(
                f"{purpose!r} needs the split {names} of {self.dataset}, but tensorflow-datasets "
                f"has only {', '.join(available)} of it."
            )
        return splits

    def sources(self, split: str) -> list[str]:
        name, _ = self._names(split)
        return sorted(str(path) for path in self._splits()[name].filepaths)

    def read(self, split: str) -> list[TextExample]:
        """All examples of a split, in the order of `idx`; as they are stored if they have none."""
        import tensorflow_datasets as tfds

        name, prefix = self._names(split)
        builder = find_builder(self.dataset, self.data_dir)
        label_words = self._label_words(builder.info.features["label"])
        rows = enumerate(tfds.as_numpy(builder.as_dataset(split=name, shuffle_files=False)))
        numbered = sorted(
            ((int(row.get("idx", number)), row) for number, row in rows), key=lambda pair: pair[0]
        )
        return [
            self._example(f"{prefix}-{number}", f"{self.dataset}/{name}:{number}", row, label_words)
            for number, row in numbered
        ]

    def _example(
        self, guid: str, where: str, row: Mapping[str, Any], label_words: tuple[str, ...]
    ) -> TextExample:
        texts = [_text(row[feature], self.language) for feature in self.texts]
        return TextExample(
            guid=guid,
            text_a=texts[0],
            text_b=texts[1] if len(texts) > 1 else None,
            label=_label(row["label"], label_words),
            where=where,
        )

    def _label_words(self, feature: Any) -> tuple[str, ...]:
        """The labels in the data set's order."""
        names = tuple(getattr(feature, "names", None) or ())
        return names if set(names) == set(self.labels) else self.labels

    def _splits(self) -> Any:
        return find_builder(self.dataset, self.data_dir).info.splits

    def _names(self, split: str) -> tuple[str, str]:
        return {own: (name, prefix) for own, name, prefix in self.split_names}[split]


def _text(value: Any, language: str) -> str:
    """Bytes; or by language, as a dict or as two lists."""
    if isinstance(value, Mapping) and "translation" in value:
        languages = [each.decode("utf-8") for each in value["language"]]
        value = value["translation"][languages.index(language)]
    elif isinstance(value, Mapping):
        value = value[language]
    return value.decode("utf-8")


def _label(value: Any, label_words: tuple[str, ...]) -> str | float | None:
    """None for the -1 that stands for labels which are kept back."""
    if value == -1:
        return None
    return label_words[int(value)] if label_words else float(value)
