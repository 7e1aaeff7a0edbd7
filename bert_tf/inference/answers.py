"""What a served model says: the same values whether Python or a SavedModel computed them."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, slots=True)
class ClassAnswer:
    """A class.

    label: the likeliest one.
    probability: its probability, a fraction.
    probabilities: those of all classes, by label.
    """

    label: str
    probability: float
    probabilities: Mapping[str, float]


@dataclasses.dataclass(frozen=True, slots=True)
class TaggedWord:
    """A word and its class.

    word: `text[start:end]`.
    label: the likeliest class of its first piece, which stands for the word (section 5.3 of the
        paper).
    probability: of this class, a fraction.
    start, end: where it is in the text, in characters.
    """

    word: str
    label: str
    probability: float
    start: int
    end: int


@dataclasses.dataclass(frozen=True, slots=True)
class AnswerSpan:
    """A possible answer to a question.

    text: `context[start:end]`; "" for no answer.
    probability: among the best answers that were looked at, a fraction.
    start, end: where it is in the context, in characters; -1 for no answer.
    """

    text: str
    probability: float
    start: int
    end: int


@dataclasses.dataclass(frozen=True, slots=True)
class Answer(AnswerSpan):
    """The answer to a question.

    nbest: the best answers, the best one first.
    null_odds: the score of "no answer" above that of the best answer; None where the model was
        trained on questions that all have one.
    """

    nbest: tuple[AnswerSpan, ...]
    null_odds: float | None
