"""Defines named entity recognition, and other tags of words: chunks, parts of speech. `--task=ner`.

    EU NNP I-NP I-ORG          --data_dir=conll2003
    rejects VBZ I-VP O

Files have CoNLL's columns or are JSON lines, see `tagged_sentences.py`. For parts of speech or
chunks choose another column: `--task_options=tag_column=1`. `docs/tagging.md` explains the options.

Source: Devlin et al. 2019, section 5.3; Tjong Kim Sang and De Meulder 2003.
"""

import dataclasses

from bert_tf.metrics.conlleval import OUTSIDE, split_tag
from bert_tf.settings.setting import setting
from bert_tf.spans.words import TaggingOptions
from bert_tf.tasks.tagged_sentences import (
    SCHEMES,
    Columns,
    Sentence,
    find_scheme,
    in_iob2,
    read_sentences,
)
from bert_tf.tasks.tagging import WordTagging
from bert_tf.tasks.task import SplitFiles, find_file
from bert_tf.tasks.text_examples import original_split

VARIANTS = ()

_NAMES = {
    "train": ("train.txt", "train.conll", "train.jsonl", "train.json", "eng.train"),
    "dev": ("dev.txt", "dev.conll", "dev.jsonl", "dev.json", "valid.txt", "eng.testa"),
    "test": ("test.txt", "test.conll", "test.jsonl", "test.json", "eng.testb"),
}
_MAX_LABELS = 1000  # More are probably words or lemmas.


@dataclasses.dataclass(frozen=True)
class Options(TaggingOptions, SplitFiles):
    """The options of the task."""

    data_dir: str = setting(
        "", "Folder with train, dev and test (.txt, .conll or .jsonl), or eng.train, eng.testa, ..."
    )
    word_column: str = setting("auto", "Column of the words: auto is 0; or the JSON key tokens.")
    tag_column: str = setting("auto", "Column of the tags: auto is the last; or the JSON key tags.")
    scheme: str = setting(
        "auto",
        "How entities are written; auto: detected in each file. none: each tag is a class.",
        choices=SCHEMES,
    )
    labels: str = setting(
        "auto", "Comma-separated tags, in IOB2, in the order of the outputs; auto: the training's."
    )
    document_context: bool = setting(
        True, "Whether sentences around a sentence, of the same document, fill up its window."
    )


def make(variant: None, options: Options, labels: tuple[str, ...] | None) -> WordTagging:
    """Makes the task. With a trained model's labels, the training examples are not read."""
    reader = TaggedFiles(options)
    given = tuple(part.strip() for part in options.labels.split(","))
    if options.labels == "auto":
        given = labels or reader.distinct_labels()
    if labels and labels != given:
        raise ValueError(
            f"The model was trained for the labels {','.join(labels)}, in this order. Received: "
            f"{','.join(given)}"
        )
    if len(set(given) - {""}) < max(2, len(given)):
        raise ValueError(
            f"labels must be at least two different tags, none of them empty. Received: "
            f"{','.join(given)}"
        )
    return WordTagging("ner", options, given, reader, options.document_context)


@dataclasses.dataclass(frozen=True)
class TaggedFiles:
    """Reads the sentences of the data set."""

    options: Options

    def splits(self, purpose: str) -> tuple[str, ...]:
        self.sources(purpose)
        return (purpose,)

    def sources(self, split: str) -> list[str]:
        name, folder = original_split(split), self.options.data_dir
        if given := self.options.given_files(split):
            return given
        found = [path for each in _NAMES[name] if (path := find_file(folder, each))]
        if len(found) != 1:
            problem = f"there are {' and '.join(found)}" if found else f"there is no {name} file"
            raise ValueError(
                f"Give --task_options={name}_file=..., as {problem}. It is also found in a "
                f"--data_dir as one of {', '.join(_NAMES[name])}, each also with .gz. Received: "
                f"--data_dir={folder}"
            )
        return found

    def read(self, split: str) -> list[Sentence]:
        """Returns all sentences; entities in IOB2, but those to predict as they are written."""
        return self._read(split)[0]

    def schemes(self, split: str) -> dict[str, str]:
        """Returns the scheme of the tags of each file; `none` if each tag is a class."""
        return self._read(split)[1]

    def distinct_labels(self) -> tuple[str, ...]:
        """Returns the training data's tags: O, then B and I of each type; or sorted classes."""
        sentences, schemes = self._read("train")
        tags = {tag for sentence in sentences for tag in sentence.tags}
        if "none" in schemes.values():
            labels = tuple(sorted(tags))
        else:
            types = sorted({split_tag(tag)[1] for tag in tags - {OUTSIDE}})
            labels = (OUTSIDE, *(f"{letter}-{type_}" for type_ in types for letter in "BI"))
        if not 2 <= len(labels) <= _MAX_LABELS:
            raise ValueError(
                f"{', '.join(self.sources('train'))}: column {self.options.tag_column} has "
                f"{len(labels):,} different tags; 2 to {_MAX_LABELS:,} can be learned. Check "
                "tag_column, or list them with labels."
            )
        return labels

    def _read(self, split: str) -> tuple[list[Sentence], dict[str, str]]:
        options = self.options
        columns = Columns(options.word_column, options.tag_column, options.document_context)
        sentences, schemes = [], {}
        for path in self.sources(split):
            found = read_sentences(path, columns, needs_tags=split != "predict")
            if split == "predict":
                schemes[path] = self._scheme_to_predict(found)
                sentences += found
            else:
                schemes[path] = find_scheme(found, options.scheme)
                sentences += in_iob2(found, schemes[path])
        return sentences, schemes

    def _scheme_to_predict(self, sentences: list[Sentence]) -> str:
        if self.options.scheme != "auto":
            return self.options.scheme
        tagged = [sentence for sentence in sentences if sentence.tags]
        try:  # The last column may be another one, or malformed, which does not matter here.
            return find_scheme(tagged) if tagged else "iob2"
        except ValueError:
            return "iob2"
