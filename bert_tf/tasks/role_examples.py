"""Reads the examples of semantic role labelling: a sentence and one of its predicates each."""

import dataclasses
import re
from typing import NamedTuple

from bert_tf import files
from bert_tf.metrics.semantic_roles import Predicate
from bert_tf.settings.setting import setting
from bert_tf.spans.predicates import RoleOptions
from bert_tf.tasks.role_files import FORMATS, Sentence, format_of, read_sentences
from bert_tf.tasks.task import SplitFiles
from bert_tf.tasks.text_examples import original_split


@dataclasses.dataclass(frozen=True)
class Options(RoleOptions, SplitFiles):
    """The options of the task."""

    data_dir: str = setting("", "Folder with a file named after train, one after dev, after test.")
    format: str = setting(
        "auto",
        "Format of the files; up: Universal Propositions; auto: by their names and first lines.",
        choices=("auto", *FORMATS),
    )
    senses: bool = setting(True, "Whether to predict predicates' senses, if the files have them.")


class SrlExample(NamedTuple):
    """One of a sentence's predicates; in evaluation None for a sentence without any."""

    id: str
    sentence: Sentence
    number: int | None  # The index of the predicate in the sentence.

    @property
    def predicate(self) -> Predicate:
        return self.sentence.predicates[self.number]


@dataclasses.dataclass(frozen=True)
class SrlFiles:
    """Reads the sentences of a split."""

    options: Options

    def splits(self, purpose: str) -> tuple[str, ...]:
        self.sources(purpose)
        return (purpose,)

    def sources(self, split: str) -> list[str]:
        if given := self.options.given_files(split):
            return given
        word, folder = original_split(split), self.options.data_dir
        names = sorted(files.list_folder(folder)) if folder else []
        found = [name for name in names if word in re.split("[^a-z]+", name.lower())]
        if len(found) != 1:
            raise ValueError(
                f"Give {word}_file, or a data_dir with one file named after {word}, such as "
                f"{word}.gold_conll. Received: data_dir={folder!r} with "
                f"{' and '.join(found) or 'none'}"
            )
        return [files.join_path(folder, found[0])]

    def format(self, split: str) -> str:
        """Returns the format of a split's files, which all have the same."""
        given, paths = self.options.format, self.sources(split)
        found = {path: format_of(path) if given == "auto" else given for path in paths}
        if len(set(found.values())) > 1:
            raise ValueError(f"The files of a split must have one format. Received: {found}")
        return found[paths[0]]

    def has_spans(self, split: str) -> bool:
        return FORMATS[self.format(split)].has_spans

    def sentences(self, split: str) -> list[Sentence]:
        form = self.format(split)
        return [each for path in self.sources(split) for each in read_sentences(path, form)]

    def read(self, split: str) -> list[SrlExample]:
        examples = []
        for place, sentence in enumerate(self.sentences(split)):
            numbers = range(len(sentence.predicates)) or ([] if split == "train" else [None])
            examples += [SrlExample(f"{place}:{n or 0}", sentence, n) for n in numbers]
        if all(each.number is None for each in examples):
            raise ValueError(f"{', '.join(self.sources(split))}: there are no predicates.")
        return examples
