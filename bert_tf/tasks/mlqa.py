"""Defines MLQA, questions about Wikipedia in seven languages: `--task=mlqa`.

    data_dir/test/test-context-de-question-es.json    passages in German, questions in Spanish
    train_file                                        SQuAD 1.1 in English (zero-shot), or a
                                                      translation of it

The official metrics have rules for the language of the passage: see `bert_tf.metrics.mlqa`. The
paper's XLT takes both in the same language; its G-XLT all pairs, `question_languages=all`.

Source: Lewis et al. (2020); github.com/facebookresearch/MLQA.
"""

import dataclasses

from bert_tf.metrics.mlqa import LANGUAGES
from bert_tf.settings.setting import setting
from bert_tf.spans.options import SpanOptions
from bert_tf.tasks.languages import LanguagesReader, choose_languages
from bert_tf.tasks.span import SpanExtraction
from bert_tf.tasks.squad_files import SquadFiles

VARIANTS = ()


@dataclasses.dataclass(frozen=True)
class Options(SpanOptions):
    train_file: str = setting("", "SQuAD JSON to train on, such as train-v1.1.json, or gzipped.")
    data_dir: str = setting("", "The folder MLQA_V1, with dev/ and test/.")
    eval_set: str = setting("dev", "The set to evaluate on.", choices=("dev", "test"))
    language: str = setting("en", "The language to select models by.", choices=LANGUAGES)
    eval_languages: str = setting(
        "all",
        "Further languages of passages, each with its own score: a comma-separated list, or all.",
    )
    question_languages: str = setting(
        "same",
        "Languages of the questions about each passage: same as the passage's, a comma-separated "
        "list, or all.",
    )


def make(variant: None, options: Options, labels: None) -> SpanExtraction:
    """Makes the task; passages and questions in two languages have the split `eval_de_es`."""
    contexts = choose_languages(options.language, options.eval_languages, LANGUAGES)
    pairs = [(context, context) for context in contexts]
    if options.question_languages != "same":
        questions = choose_languages("", options.question_languages, LANGUAGES)[1:]
        # The first one, by which models are selected, stays.
        pairs = [pairs[0], *((c, q) for c in contexts for q in questions if (c, q) != pairs[0])]
    data = SquadFiles(options)
    readers = {
        context if context == question else f"{context}_{question}": SquadFiles(
            options, _file_names(options.eval_set, context, question), language=context
        )
        for context, question in pairs
    }
    return SpanExtraction("mlqa", options, data, "f1", LanguagesReader(data, readers))


def _file_names(part: str, context: str, question: str) -> tuple[str, ...]:
    name = f"{part}-context-{context}-question-{question}.json"
    return f"{part}/{name}", name
