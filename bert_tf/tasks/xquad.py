"""Defines XQuAD, 240 paragraphs of SQuAD in twelve languages: `--task=xquad`.

    data_dir/xquad.de.json    the questions in German, to evaluate
    train_file                SQuAD 1.1 in English (zero-shot), or a translation of it

The official metrics are SQuAD 1.1's, in every language.

Source: Artetxe et al. (2020); github.com/google-deepmind/xquad.
"""

import dataclasses

from bert_tf.settings.setting import setting
from bert_tf.spans.options import SpanOptions
from bert_tf.tasks.languages import choose_languages
from bert_tf.tasks.span import SpanExtraction
from bert_tf.tasks.squad_files import SquadLanguages

VARIANTS = ()

_LANGUAGES = ("en", "ar", "de", "el", "es", "hi", "ru", "th", "tr", "vi", "zh", "ro")


@dataclasses.dataclass(frozen=True)
class Options(SpanOptions):
    train_file: str = setting("", "SQuAD JSON to train on, such as train-v1.1.json, or gzipped.")
    data_dir: str = setting("", "Folder with xquad.en.json, xquad.ar.json, ...")
    language: str = setting("en", "The language to select models by.", choices=_LANGUAGES)
    eval_languages: str = setting(
        "all",
        "Further languages to evaluate, each with its own score: a comma-separated list, or all "
        "that have a file.",
    )


def make(variant: None, options: Options, labels: None) -> SpanExtraction:
    """Makes the task."""
    first, *others = choose_languages(options.language, options.eval_languages, _LANGUAGES)
    titles = {"eval": first, **{f"eval_{language}": language for language in others}}
    files_of = {split: (title, (f"xquad.{title}.json",)) for split, title in titles.items()}
    data = SquadLanguages(options, files_of, may_lack_files=options.eval_languages == "all")
    return SpanExtraction("xquad", options, data, metric="f1")
