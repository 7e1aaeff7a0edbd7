"""SQuAD 1.1 and 2.0, and every data set in their format (XQuAD, MLQA, KorQuAD, one's own).

    {"data": [{"title": "...", "paragraphs": [
        {"context": "The leader was John Smith (1895-1943).", "qas": [
            {"id": "57", "question": "When was he born?", "is_impossible": false,
             "answers": [{"text": "1895", "answer_start": 27}]}]}]}]}

`is_impossible` is of version 2.0, where `answers` may be empty. Files may be gzipped.

Source: google-research/bert, run_squad.py.
"""

import dataclasses
import functools
import json
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, Optional

from bert_tf import files
from bert_tf.metrics import squad as metrics
from bert_tf.settings.setting import setting
from bert_tf.tasks.span import (
    TRAIN,
    SpanAnswer,
    SpanExample,
    SpanExtraction,
    SpanOptions,
    first_three,
)
from bert_tf.tasks.span_windows import answer_words

logger = logging.getLogger(__name__)

VARIANTS = ()

# The split that is evaluated and predicted: one file for both, as in the original.
_EVAL = "eval"
_SHUFFLE_SEED = 12345


@dataclasses.dataclass(frozen=True)
class Options(SpanOptions):
    """Where the data are, and what can be set for every question answering task."""

    train_file: str = setting("", "SQuAD JSON to train on, as train-v1.1.json; may be gzipped.")
    predict_file: str = setting(
        "", "SQuAD JSON to evaluate or predict, as dev-v1.1.json; may be gzipped."
    )
    data_dir: str = setting(
        "",
        "A folder with train-v1.1.json and dev-v1.1.json (or -v2.0, with version_2_with_negative), "
        "for files that are not named.",
    )


def make(
    variant: str | None, options: Options, labels: tuple[str, ...] | None = None
) -> SpanExtraction:
    """The task `squad`; see `bert_tf.tasks.task`."""
    return SpanExtraction("squad", options, SquadFiles(options), metric="f1")


@dataclasses.dataclass(frozen=True)
class SquadFiles:
    """SQuAD's files, and its official figures.

    Args:
        options: where the files are, and what version.
    """

    options: Options

    def splits(self, purpose: str) -> tuple[str, ...]:
        """`train` to train on, else `eval`.

        Raises:
            ValueError: if there is no file; or, to evaluate on, none with answers.
        """
        split = TRAIN if purpose == "train" else _EVAL
        path = self.sources(split)[0]
        if purpose == "eval" and not _has_answers(path):
            raise ValueError(f"{path}: no question has answers: it can be predicted, not scored.")
        return (split,)

    def sources(self, split: str) -> list[str]:
        """The one file of a split.

        Raises:
            ValueError: if it is neither named nor in the folder.
        """
        option, prefix = ("train_file", "train") if split == TRAIN else ("predict_file", "dev")
        path = getattr(self.options, option)
        usual = f"{prefix}-{'v2.0' if self.options.version_2_with_negative else 'v1.1'}.json"
        if not path and self.options.data_dir:
            candidates = [
                files.join_path(self.options.data_dir, usual + end) for end in ("", ".gz")
            ]
            path = next(filter(files.exists, candidates), "")
        if not path or not files.exists(path):
            raise ValueError(
                f"There is no file for the split {split!r}: {option} must name one, or data_dir a "
                f"folder with {usual} or {usual}.gz. Received: {option}="
                f"{getattr(self.options, option)!r}, data_dir={self.options.data_dir!r}"
            )
        return [path]

    def read(self, split: str) -> list[SpanExample]:
        """The questions, in the file's order; those to train on as the original shuffles them.

        Raises:
            ValueError: for what is no SQuAD file, with the place in it.
        """
        path = self.sources(split)[0]
        if split != TRAIN:
            examples = [_to_answer(question) for question in _questions(path)]
            if any(example.answers is None for example in examples):
                # A figure over some of the questions would be one of another data set.
                examples = [example._replace(answers=None) for example in examples]
            return examples
        examples = self.read_training_examples(path)
        random.Random(_SHUFFLE_SEED).shuffle(examples)
        return examples

    def read_training_examples(self, path: str) -> list[SpanExample]:
        """The questions of a file whose answers can be found in their passages, in its order."""
        examples: list[SpanExample] = []
        skipped: list[str] = []
        for question in _questions(path):
            example = _to_train_on(question, self.options.version_2_with_negative)
            if example.is_impossible or example.first_word is not None:
                examples.append(example)
                continue
            skipped.append(example.id)
            if self.options.verbose_logging:
                logger.warning("%s: could not find %r", example.id, example.answers[0])
        if skipped:
            logger.warning(
                "%s: %d of %d questions are left out, as their answer is not in their passage: %s",
                *(path, len(skipped), len(skipped) + len(examples), first_three(skipped)),
            )
        return examples

    def score(
        self, examples: Sequence[SpanExample], answers: Sequence[SpanAnswer]
    ) -> dict[str, float]:
        """The official figures, in percent; see `bert_tf.metrics.squad.evaluate`.

        Of version 2.0 the null odds say what a better threshold would bring. They do not change
        `exact` and `f1`, which are those of the answers.
        """
        if any(example.answers is None for example in examples):
            return {}
        null_odds, threshold = None, 1.0
        if self.options.version_2_with_negative:
            null_odds = {e.id: a.null_odds for e, a in zip(examples, answers, strict=True)}
            threshold = max(threshold, self.options.null_score_diff_threshold)
        articles = [{"paragraphs": [{"qas": [_as_json(example) for example in examples]}]}]
        return metrics.evaluate(articles, _texts(examples, answers), null_odds, threshold)

    def write(
        self,
        split: str,
        examples: Sequence[SpanExample],
        answers: Sequence[SpanAnswer],
        folder: str,
    ) -> list[str]:
        """Writes `predictions.json`, `nbest_predictions.json` and, of 2.0, `null_odds.json`.

        Each is an object by the questions' ids: of texts, of lists of objects, of numbers.

        Returns: the paths.
        """
        pairs = list(zip(examples, answers, strict=True))
        contents: dict[str, dict] = {
            "predictions.json": _texts(examples, answers),
            "nbest_predictions.json": {e.id: [n._asdict() for n in a.nbest] for e, a in pairs},
        }
        if self.options.version_2_with_negative:
            contents["null_odds.json"] = {e.id: a.null_odds for e, a in pairs}
        paths = [files.join_path(folder, name) for name in contents]
        with files.atomic_writes(paths, "w") as opened:
            for file, content in zip(opened, contents.values(), strict=True):
                file.write(json.dumps(content, indent=4) + "\n")
        return paths


class _Item(NamedTuple):
    """A part of a SQuAD file: the whole, or an item of a list in another part."""

    content: Any
    path: str = ""
    owner: Optional["_Item"] = None
    place: tuple[str, int] | None = None

    @property
    def where(self) -> str:
        """The place in the file: `data[0].paragraphs[3]`."""
        if self.owner is None:
            return ""
        return f"{self.owner.where}.{self.place[0]}[{self.place[1]}]".removeprefix(".")

    def field(self, name: str, kind: type | tuple[type, ...]) -> Any:
        """A field of an object, which must be there and of that kind."""
        value = self.content.get(name) if isinstance(self.content, dict) else None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self._refuse(name, kind)
        return value

    def truth(self, name: str) -> bool:
        """A field that is true or false, or 1 or 0."""
        value = self.content.get(name)
        if not isinstance(value, int):  # As bool is.
            self._refuse(name, bool)
        return bool(value)

    def has(self, name: str) -> bool:
        """Whether it is an object that has such a field."""
        return isinstance(self.content, dict) and self.content.get(name) is not None

    def items(self, name: str) -> Iterator["_Item"]:
        """The items of a list in the field `name`."""
        for number, content in enumerate(self.field(name, list)):
            yield _Item(content, self.path, self, (name, number))

    def _refuse(self, name: str, kind: type | tuple[type, ...]) -> NoReturn:
        kinds = {dict: "an object", list: "a list", bool: "true or false", int: "a whole number"}
        where, received = self.where or "the whole", f"{self.content!r:.60}"
        if isinstance(self.content, dict):
            received = f"{self.content[name]!r:.60}" if name in self.content else "nothing"
            where += f" (question {self.content['id']})" if "id" in self.content else ""
        raise ValueError(
            f"{self.path}: {where} must be an object whose {name!r} is {kinds.get(kind, 'a text')}."
            f" Received: {received}"
        )


def _questions(path: str) -> Iterator[tuple[_Item, str]]:
    """The questions of a file, each with its passage."""
    try:
        content = json.loads("\n".join(files.open_text_lines(path)).removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}:{error.lineno}: no JSON: {error.msg} at character {error.colno} of the line."
        ) from error
    for article in _Item(content, path).items("data"):
        for paragraph in article.items("paragraphs"):
            context = paragraph.field("context", str)
            for question in paragraph.items("qas"):
                yield question, context


def _to_answer(pair: tuple[_Item, str]) -> SpanExample:
    """A question to be answered; with the right answers where the file has them in this form."""
    question, context = pair
    is_impossible = question.content.get("is_impossible") if question.has("id") else None
    return SpanExample(
        question.field("id", (str, int)),
        question.field("question", str),
        context,
        _right_answers(question.content.get("answers")),
        is_impossible if isinstance(is_impossible, bool) else None,
    )


def _right_answers(answers: Any) -> tuple[str, ...] | None:
    """Their texts. What is no list of answers is none: it is not needed to answer a question."""
    if not isinstance(answers, list):
        return None
    texts = tuple(answer.get("text") for answer in answers if isinstance(answer, dict))
    is_whole = len(texts) == len(answers) and all(isinstance(text, str) for text in texts)
    return texts if is_whole else None


def _to_train_on(pair: tuple[_Item, str], version_2: bool) -> SpanExample:
    """A question with the place of its answer; `first_word` is None if it cannot be found."""
    question, context = pair
    example = _to_answer(pair)._replace(is_impossible=False)
    if version_2 and question.truth("is_impossible"):
        return example._replace(is_impossible=True, answers=())
    answers = list(question.items("answers"))
    if len(answers) != 1:
        hint = "" if version_2 or answers else " Of SQuAD 2.0, give version_2_with_negative."
        raise ValueError(
            f"{question.path}: {question.where} (question {example.id}): to be trained on, it must "
            f"have one answer.{hint} Received: {len(answers)} answers"
        )
    (answer,) = answers
    words = answer_words(context, answer.field("text", str), answer.field("answer_start", int))
    first, last = words or (None, None)
    return example._replace(first_word=first, last_word=last)


@functools.lru_cache(maxsize=8)
def _has_answers(path: str) -> bool:
    """Whether a file has answers; what is in a text has a backslash before its quotes."""
    return any('"answers"' in line for line in files.open_text_lines(path))


def _as_json(example: SpanExample) -> Mapping[str, Any]:
    """A question as it stands in its file, for the figures."""
    question = {"id": example.id, "answers": [{"text": text} for text in example.answers]}
    if example.is_impossible is not None:
        question["is_impossible"] = example.is_impossible
    return question


def _texts(examples: Sequence[SpanExample], answers: Sequence[SpanAnswer]) -> dict[str, str]:
    return {example.id: answer.text for example, answer in zip(examples, answers, strict=True)}
