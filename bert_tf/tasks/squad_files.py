"""Reads, scores and writes questions in the format of SQuAD 1.1 and 2.0.

    {"data": [{"title": "...", "paragraphs": [
        {"context": "The leader was John Smith (1895-1943).", "qas": [
            {"id": "57", "question": "When was he born?", "is_impossible": false,
             "answers": [{"text": "1895", "answer_start": 27}]}]}]}]}

`is_impossible` is only in version 2.0, where `answers` may be empty. Files may be gzipped.

Source: google-research/bert, run_squad.py.
"""

import collections
import dataclasses
import functools
import json
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bert_tf import files
from bert_tf.config import parse_json
from bert_tf.metrics import mlqa
from bert_tf.metrics import squad as metrics
from bert_tf.spans.windows import answer_words
from bert_tf.tasks.json_items import JsonItem
from bert_tf.tasks.span import TRAIN, Answers, Examples, SpanExample
from bert_tf.tasks.task import find_file, write_files
from bert_tf.text.characters import is_blank

logger = logging.getLogger(__name__)

_EVAL = "eval"  # The split for both evaluation and prediction, as in the original.
_SHUFFLE_SEED = 12345


@dataclasses.dataclass(frozen=True)
class SquadFiles:
    """Reads SQuAD's files, computes its official metrics and writes its prediction files.

    Args:
        options: those of a span task, with `train_file`, `data_dir` and maybe `predict_file`.
        names: how the file to evaluate may be called in `data_dir`; by default as SQuAD's.
        language: by whose rules, MLQA's, answers are scored; by default by SQuAD's.
    """

    options: Any
    names: tuple[str, ...] = ()
    language: str = ""

    def splits(self, purpose: str) -> tuple[str, ...]:
        """Returns `train` for training, else `eval`."""
        split = TRAIN if purpose == "train" else _EVAL
        path = self.sources(split)[0]
        if purpose == "eval" and not _has_answers(path, self.options.version_2_with_negative):
            raise ValueError(
                f"{path}: no question has correct answers: it can be predicted (--do_predict), not "
                f"scored (--do_eval)."
            )
        return (split,)

    def sources(self, split: str) -> list[str]:
        option, prefix = ("train_file", "train") if split == TRAIN else ("predict_file", "dev")
        given, folder = getattr(self.options, option, ""), self.options.data_dir
        usual = f"{prefix}-{'v2.0' if self.options.version_2_with_negative else 'v1.1'}.json"
        names = self.names if self.names and split != TRAIN else (usual,)
        path = given or next(filter(None, (find_file(folder, name) for name in names)), None)
        if not path or not files.exists(path):
            has_option = hasattr(self.options, option)
            flag, received = (f"{option}, or ", f"{option}={given!r}, ") if has_option else ("", "")
            raise ValueError(
                f"There is no file for the split {split!r}. Give {flag}a data_dir with "
                f"{' or '.join(names)}, or that with .gz. Received: {received}data_dir={folder!r}"
            )
        return [path]

    def read(self, split: str) -> list[SpanExample]:
        """Returns the questions in the file's order; for training, shuffled as in the original."""
        path = self.sources(split)[0]
        if split == TRAIN:
            examples = self.read_training_examples(path)
            random.Random(_SHUFFLE_SEED).shuffle(examples)
            return examples
        questions = list(_questions(path))
        if repeated := _repeated_id(questions):
            raise ValueError(
                f"{path}: {repeated}. Answers are written and scored by id: give each question its "
                f"own."
            )
        version_2 = self.options.version_2_with_negative
        examples = [_to_answer(*question, version_2) for question in questions]
        _report(path, questions, [_oddity(example, version_2) for example in examples])
        metrics.lacks_spaces("".join(example.answers or ()) for example in examples)
        return [example._replace(language=self.language) for example in examples]

    def read_training_examples(self, path: str) -> list[SpanExample]:
        """Returns the questions with an answer in their passage, or with none, in file order."""
        version_2 = self.options.version_2_with_negative
        questions = list(_questions(path))
        if repeated := _repeated_id(questions):
            logger.warning("%s: %s", path, repeated)
        examples = [_to_train_on(*question, version_2) for question in questions]
        reasons = list(map(_unfit, examples))
        _report(path, questions, reasons)
        for example, reason in zip(examples, reasons, strict=True):
            if self.options.verbose_logging and reason and example.answers:
                logger.warning("%s: could not find %r", example.id, example.answers[0])
        return [each for each, reason in zip(examples, reasons, strict=True) if not reason]

    def score(self, examples: Examples, answers: Answers) -> dict[str, float]:
        """Returns the official metrics in percent, see `bert_tf.metrics.squad`, or `mlqa`.

        Questions whose answers are unknown do not count; there are no metrics if all are. In
        version 2.0 the null odds determine the best threshold, but do not change the answers.
        """
        pairs = zip(examples, answers, strict=True)
        scored = [pair for pair in pairs if pair[0].answers is not None]
        if not scored:
            return {}
        examples, answers = zip(*scored, strict=True)
        articles = [{"paragraphs": [{"qas": list(map(_as_json, examples))}]}]
        if examples[0].language:
            return mlqa.evaluate(articles, _texts(examples, answers), examples[0].language)
        null_odds, threshold = None, 1.0
        if self.options.version_2_with_negative:
            null_odds = {e.id: a.null_odds for e, a in zip(examples, answers, strict=True)}
            threshold = max(threshold, self.options.null_score_diff_threshold)
        return metrics.evaluate(articles, _texts(examples, answers), null_odds, threshold)

    def write(self, split: str, examples: Examples, answers: Answers, folder: str) -> list[str]:
        """Writes `predictions.json`, `nbest_predictions.json` and, for 2.0, `null_odds.json`.

        The files of a split `eval_de` are `predictions_de.json` and so on.
        """
        pairs = list(zip(examples, answers, strict=True))
        contents: dict[str, dict] = {
            "predictions.json": _texts(examples, answers),
            "nbest_predictions.json": {e.id: [n._asdict() for n in a.nbest] for e, a in pairs},
        }
        if self.options.version_2_with_negative:
            contents["null_odds.json"] = {e.id: a.null_odds for e, a in pairs}
        suffix = f"{split.removeprefix(_EVAL)}.json"
        texts = {
            name.replace(".json", suffix): json.dumps(each, indent=4) + "\n"
            for name, each in contents.items()
        }
        return write_files(folder, texts)


def _questions(path: str) -> Iterator[tuple[JsonItem, str]]:
    """Yields the questions of a file, each with its passage."""
    lines = files.open_text_lines(path, wanted="JSON", as_original=True)
    text = "\n".join(lines).removeprefix("\ufeff")
    for article in JsonItem(parse_json(path, text), path).items("data"):
        for paragraph in article.items("paragraphs"):
            context = paragraph.field("context", str)
            for question in paragraph.items("qas"):
                yield question, context


def _repeated_id(questions: Sequence[tuple[JsonItem, str]]) -> str:
    """Returns two places that have the same id, or ""; in JSON files 1 and "1" are the same."""
    first: dict[str, JsonItem] = {}
    items = [(str(item.field("id", str, int)), item) for item, _ in questions]
    repeated = [(name, item) for name, item in items if first.setdefault(name, item) is not item]
    if not repeated:
        return ""
    name, item = repeated[0]
    places = f"{first[name].place} and {item.place}"
    more = f" ({len(repeated)} such pairs in all)" if len(repeated) > 1 else ""
    return f"{places} have the same id {name!r}{more}"


def _report(path: str, questions: Sequence[tuple[JsonItem, str]], remarks: Sequence[str]) -> None:
    """Warns of questions in one line, with count and places, for each remark that is not ""."""
    places = collections.defaultdict(list)
    for (item, _), remark in zip(questions, remarks, strict=True):
        places[remark].append(f"{item.place} ({item.content['id']})")
    for remark in sorted(places.keys() - {""}):
        count, shown = len(places[remark]), ", ".join(places[remark][:3])
        total = len(questions)
        logger.warning("%s: %d of %d questions %s, such as %s", path, count, total, remark, shown)


def _unfit(example: SpanExample) -> str:
    """Returns why a question is not trained on; "" if it is."""
    if is_blank(example.question):
        return "are skipped, as they are blank"
    if not example.is_impossible and is_blank(example.answers[0]):
        return "are skipped, as their answer is blank"
    if example.first_word is None:
        return "are skipped, as their answer is not in their passage, where answer_start says"
    return ""


def _oddity(example: SpanExample, version_2: bool) -> str:
    """Returns what should be known of a question to answer; "" if nothing."""
    if is_blank(example.context):
        return "have a passage without text, and get no answer"
    if is_blank(example.question) or is_blank(str(example.id)):
        return "have a blank text or id, and are answered all the same"
    if example.answers is None:
        return "have no correct answers: they are predicted, but do not count in the metrics"
    if example.answers and all(map(is_blank, example.answers)):
        return "have only blank correct answers, which no answer equals"
    if example.is_impossible and not version_2:
        return "have no answer, but get one: give version_2_with_negative"
    return ""


def _to_answer(question: JsonItem, context: str, version_2: bool) -> SpanExample:
    """Returns a question, with the correct answers if the file has them in the usual form.

    An empty list of answers is "no answer" in version 2.0; in 1.1 they are unknown.
    """
    name, text = question.field("id", str, int), question.field("question", str)
    is_impossible, answers = map(question.content.get, ("is_impossible", "answers"))
    if not isinstance(is_impossible, bool):
        is_impossible = None
    is_usual = isinstance(answers, list) and all(isinstance(answer, dict) for answer in answers)
    texts = tuple(answer.get("text") for answer in answers) if is_usual else (None,)
    if answers is None and is_impossible:
        texts = ()
    is_unknown = not (texts or version_2 or is_impossible is not None)
    if is_unknown or not all(isinstance(each, str) for each in texts):
        texts = None
    return SpanExample(name, text, context, texts, is_impossible)


def _to_train_on(question: JsonItem, context: str, version_2: bool) -> SpanExample:
    """Returns a question and its answer's words; `first_word` is None if they are not found."""
    example = _to_answer(question, context, version_2)._replace(is_impossible=False)
    if version_2 and question.field("is_impossible", bool, int):
        return example._replace(is_impossible=True, answers=())
    answers = list(question.items("answers"))
    if len(answers) != 1:
        hint = "" if version_2 or answers else " For SQuAD 2.0, give version_2_with_negative."
        raise ValueError(
            f"{question.path}: {question.place} (question {example.id}): training needs exactly "
            f"one answer.{hint} Received: {len(answers)} answers"
        )
    (answer,) = answers
    text = answer.field("text", str)
    words = answer_words(context, text, answer.field("answer_start", int))
    first, last = words or (None, None)
    return example._replace(answers=(text,), first_word=first, last_word=last)


@functools.lru_cache(maxsize=8)
def _has_answers(path: str, version_2: bool) -> bool:
    return any(_to_answer(*each, version_2).answers is not None for each in _questions(path))


def _as_json(example: SpanExample) -> Mapping[str, Any]:
    question = {"id": example.id, "answers": [{"text": text} for text in example.answers]}
    if example.is_impossible is not None:
        question["is_impossible"] = example.is_impossible
    return question


def _texts(examples: Examples, answers: Answers) -> dict[str, str]:
    return {example.id: answer.text for example, answer in zip(examples, answers, strict=True)}
