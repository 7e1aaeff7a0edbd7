"""Defines XQuAD, 240 paragraphs of SQuAD in twelve languages: `--task=xquad`.

    data_dir/xquad.de.json    the questions in German, to evaluate
    train_file                SQuAD 1.1 in English (zero-shot), or a translation of it

The official metrics are SQuAD 1.1's, in every language.

Source: Artetxe et al. (2020); github.com/google-deepmind/xquad.
"""

import dataclasses
import logging

from bert_tf.settings.setting import setting
from bert_tf.spans.options import SpanOptions
from bert_tf.tasks.languages import LanguagesReader, choose_languages
from bert_tf.tasks.span import SpanExtraction
from bert_tf.tasks.squad_files import SquadFiles
from bert_tf.tasks.task import find_file

logger = logging.getLogger(__name__)

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
    languages = choose_languages(options.language, options.eval_languages, _LANGUAGES)
    if options.eval_languages == "all":
        lacking = [x for x in languages[1:] if not find_file(options.data_dir, _file_name(x))]
        languages = [x for x in languages if x not in lacking]
        if lacking:
            logger.info("Languages without a file in data_dir: %s", ", ".join(lacking))
    data = SquadFiles(options)
    readers = {x: SquadFiles(options, (_file_name(x),)) for x in languages}
    return SpanExtraction("xquad", options, data, "f1", LanguagesReader(data, readers))


def _file_name(language: str) -> str:
    return f"xquad.{language}.json"
