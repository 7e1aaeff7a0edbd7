"""Reads a data set in several languages, each in a split of its own: `eval`, `eval_de`, ...

The first language, in the split without a name, is the one that models are selected by.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from bert_tf.tasks.task import Reader

LANGUAGES_HELP = (
    "Further languages to evaluate and predict, each with its own score: a comma-separated list, "
    "or all."
)


def choose_languages(first: str, others: str, known: Sequence[str]) -> tuple[str, ...]:
    """Returns the languages of an option such as "de,fr" or "all", `first` before them."""
    names = known if others == "all" else [name.strip() for name in others.split(",") if name]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(
            f"There is no language {', '.join(unknown)}. There are: {', '.join(known)}, and all."
        )
    return tuple(dict.fromkeys((first, *names)))


@dataclasses.dataclass(frozen=True)
class LanguagesReader:
    """Reads training examples with one reader, and the others with the language's reader.

    Those readers need only one split for each of `eval` and `predict`.
    """

    training: Reader
    readers: Mapping[str, Any]  # By language, the first one first.

    def splits(self, purpose: str) -> tuple[str, ...]:
        if purpose == "train":
            return self.training.splits(purpose)
        first, *others = self.readers
        (split,) = self.readers[first].splits(purpose)
        for language in others:
            self.readers[language].sources(split)  # It raises if there are no files.
        return (split, *(f"{split}_{language}" for language in others))

    def sources(self, split: str) -> list[str]:
        reader, split = self._find(split)
        return reader.sources(split)

    def read(self, split: str) -> Sequence[Any]:
        reader, split = self._find(split)
        return reader.read(split)

    def split_title(self, split: str) -> str:
        """Returns the language of a split."""
        return split.partition("_")[2] or next(iter(self.readers))

    def _find(self, split: str) -> tuple[Reader, str]:
        if split == "train":
            return self.training, split
        return self.readers[self.split_title(split)], split.partition("_")[0]
