"""Defines XNLI, natural language inference in fifteen languages: `--task=xnli`.

    data_dir/multinli/multinli.train.zh.tsv    MultiNLI, machine-translated, for training
    data_dir/xnli.dev.tsv, xnli.test.tsv       all languages, translated by people
    data_dir/xnli/xnli.test.zh.en.tsv          these, machine-translated to English

                       trained on              evaluated on                options
    translate-train    a language              the same                    language=de
    zero-shot          English                 any languages               language=en,
                                                                           eval_languages=all
    translate-test     English                 their translation           language=en,
                                               to English                  eval_languages=all,
                                                                           translated=true

The original only has Chinese, translate-train.

Source: google-research/bert, run_classifier.py, `XnliProcessor`; Conneau et al. (2018).
"""

import dataclasses

from bert_tf.settings.setting import setting
from bert_tf.spans.long_texts import LongTextOptions
from bert_tf.tasks.benchmark_reader import BenchmarkReader, Layout
from bert_tf.tasks.classification import TextClassification, check_labels
from bert_tf.tasks.languages import LANGUAGES_HELP, LanguagesReader, choose_languages
from bert_tf.tasks.task import Reader
from bert_tf.tasks.tfds_source import TfdsReader

VARIANTS = ()

_LABELS = ("contradiction", "entailment", "neutral")
_TFDS_LABELS = ("entailment", "neutral", "contradiction")
_LANGUAGES = (
    *("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"),
)
# The possible header names of the texts, the label and the language.
_COLUMNS = (
    ("sentence1", "premise"),
    ("sentence2", "hypo", "hypothesis"),
    ("gold_label", "label"),
    ("language",),
)
# The machine-translated files have another name for one label.
_SPELLINGS = {"contradictory": "contradiction", **{label: label for label in _LABELS}}


@dataclasses.dataclass(frozen=True)
class Options(LongTextOptions):
    """The options of XNLI."""

    data_dir: str = setting("", "Folder with xnli.dev.tsv and multinli/, or tensorflow-datasets'.")
    data_source: str = setting(
        "files",
        "files: XNLI's own files. tfds: tensorflow-datasets, without training examples.",
        choices=("files", "tfds"),
    )
    language: str = setting(
        "zh", "The language to train on, and to select models by.", choices=_LANGUAGES
    )
    eval_languages: str = setting("", LANGUAGES_HELP)
    eval_set: str = setting("dev", "The labelled set to evaluate on.", choices=("dev", "test"))
    translated: bool = setting(
        False, "Whether to evaluate and predict machine translations to English (translate-test)."
    )

    def __post_init__(self):
        super().__post_init__()
        if self.translated and (self.language != "en" or self.data_source != "files"):
            raise ValueError(
                f"translated=true needs language=en, as models read English, and data_source="
                f"files. Received: language={self.language}, data_source={self.data_source}"
            )


def make(variant: None, options: Options, labels: tuple[str, ...] | None) -> TextClassification:
    """Makes the task; a trained model's labels may be in any order."""
    check_labels("xnli", _LABELS, labels)
    languages = choose_languages(options.language, options.eval_languages, _LANGUAGES)
    readers = {language: _reader(options, language) for language in languages}
    return TextClassification(
        name="xnli",
        options=options,
        labels=labels or _LABELS,
        reader=LanguagesReader(readers[options.language], readers),
        metrics=("accuracy",),
        metric="accuracy",
        is_pair=True,
    )


def _reader(options: Options, language: str) -> Reader:
    if options.data_source == "tfds":
        texts = ("premise", "hypothesis")
        eval_name = "test" if options.eval_set == "test" else "validation"
        splits = {"train": "train", "eval": eval_name, "predict": "test"}
        return TfdsReader("xnli", options.data_dir, texts, _TFDS_LABELS, language, splits)
    train = f"multinli/multinli.train.{language}.tsv"
    is_translated = options.translated and language != "en"

    def layouts(part: str) -> tuple[Layout, ...]:
        if is_translated:
            names = (f"xnli/xnli.{part}.{language}.en.tsv", f"xnli/xnli.{part}.{language}.tsv")
            return tuple(Layout((name,), (0, 1, 2)) for name in names)
        return (Layout((f"xnli.{part}.tsv",), (6, 7, 1, 0)),)

    return BenchmarkReader(
        name="xnli",
        data_dir=options.data_dir,
        layouts={
            "train": (Layout((train,), (0, 1, 2)),),
            "eval": layouts(options.eval_set),
            "predict": layouts("test"),
        },
        columns=_COLUMNS,
        num_texts=2,
        spellings=_SPELLINGS,
        only="" if is_translated else language,
    )
