"""Makes the texts that a model takes of the objects in SuperGLUE's files.

    task      text a                      text b
    boolq     passage                     question
    cb, rte   premise                     hypothesis
    copa      premise and its question    each of two choices
    multirc   passage                     question and an answer, for each answer
    record    passage                     query with an entity in it, for each entity
    wic       sentence with a *word*      another with that *word*
    wsc       text with #a noun#          (none)
              and *a pronoun*

Source: the toolkit jiant of SuperGLUE's authors, except in wic and wsc: there it has heads of its
own, and this file marks the words in the text.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bert_tf.tasks.choice import ChoiceExample
from bert_tf.tasks.json_items import JsonItem
from bert_tf.tasks.text_examples import TextExample

_PLACEHOLDER = "@placeholder"
_COPA_QUESTIONS = {"cause": "What was the cause of this?", "effect": "What happened as a result?"}


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate(TextExample):
    """A text, or a candidate answer to a question, with its place in the official file."""

    idx: tuple[int, ...] = ()  # Of the example; or of passage, question and candidate.
    entity: str = ""  # ReCoRD's candidate.
    answers: tuple[str, ...] | None = None  # ReCoRD's correct answers; None if unknown.


def input_texts(variant: str, content: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Returns the texts that a model takes for an object of the official files.

    One tuple for `Predictor.predict`, or one for each candidate answer of multirc and record.
    Raises a ValueError if a field is missing or of another type.

    Example:

        wic = {"word": "ball", "sentence1": "Play ball.", "sentence2": "A ball.", ...}
        superglue_inputs.input_texts("wic", wic)    # [("Play *ball*.", "A *ball*.")]
    """
    if variant not in READERS:
        raise ValueError(f"SuperGLUE's tasks are {', '.join(READERS)}. Received: {variant!r}")
    item = JsonItem(content, f"superglue:{variant}", whole="an example")
    if variant == "copa":
        return [_copa_texts(item)]
    examples = READERS[variant](item)
    return [(e.text_a,) if e.text_b is None else (e.text_a, e.text_b) for e in examples]


def _read_pair(name_a: str, name_b: str) -> Callable[[JsonItem], Iterator[Candidate]]:
    def read(item: JsonItem) -> Iterator[Candidate]:
        yield _example(item, item.field(name_a, str), item.field(name_b, str))

    return read


def _read_copa(item: JsonItem) -> Iterator[ChoiceExample]:
    index = str(item.field("idx", int))
    label = item.field("label", int) if "label" in item.content else None
    yield ChoiceExample(index, *_copa_texts(item), label, where=item.path)


def _copa_texts(item: JsonItem) -> tuple[str, tuple[str, str]]:
    """Returns the context and the choices."""
    kind = item.field("question", str)
    if kind not in _COPA_QUESTIONS:
        raise ValueError(f"{item.path}: 'question' must be cause or effect. Received: {kind!r}")
    context = f"{item.field('premise', str)} {_COPA_QUESTIONS[kind]}"
    return context, (item.field("choice1", str), item.field("choice2", str))


def _read_multirc(item: JsonItem) -> Iterator[Candidate]:
    passage = item.item("passage")
    text = passage.field("text", str)
    for question in passage.items("questions"):
        for answer in question.items("answers"):
            idx = tuple(each.field("idx", int) for each in (item, question, answer))
            text_b = f"{question.field('question', str)} {answer.field('text', str)}"
            yield _example(answer, text, text_b, idx)


def _read_record(item: JsonItem) -> Iterator[Candidate]:
    passage = item.item("passage")
    text = passage.field("text", str)
    spans = (
        (each.field("start", int), each.field("end", int)) for each in passage.items("entities")
    )
    entities = sorted({text[start : end + 1] for start, end in spans})  # On a tie, the first wins.
    if not entities or "" in entities:
        raise ValueError(
            f"{item.path}: a passage needs entities that lie in it. Received: {entities!r:.60}"
        )
    for query in item.items("qas"):
        query_text = query.field("query", str)
        if _PLACEHOLDER not in query_text:
            raise ValueError(f"{item.path}: no {_PLACEHOLDER} in the query {query_text!r:.60}")
        answers = None
        if "answers" in query.content:
            answers = tuple(each.field("text", str) for each in query.items("answers"))
        for number, entity in enumerate(entities):
            yield Candidate(
                guid="",
                text_a=text,
                text_b=query_text.replace(_PLACEHOLDER, entity, 1),
                label=None if answers is None else str(int(entity in answers)),
                where=item.path,
                idx=(item.field("idx", int), query.field("idx", int), number),
                entity=entity,
                answers=answers,
            )


def _read_wic(item: JsonItem) -> Iterator[Candidate]:
    marked = []
    for number in "12":
        text = item.field(f"sentence{number}", str)
        span = item.field(f"start{number}", int), item.field(f"end{number}", int)
        if not 0 <= span[0] < span[1] <= len(text):
            raise ValueError(
                f"{item.path}: start{number} and end{number} must lie in sentence{number}, which "
                f"has {len(text)} characters. Received: {span[0]}, {span[1]}"
            )
        marked.append(_mark(text, (*span, "*")))
    yield _example(item, *marked)


def _read_wsc(item: JsonItem) -> Iterator[Candidate]:
    text, target = item.field("text", str), item.item("target")
    spans = []
    for number, mark in (("1", "#"), ("2", "*")):
        words = target.field(f"span{number}_text", str)
        index = target.field(f"span{number}_index", int)
        span = _span_of_words(text, words, index)
        if span is None:
            raise ValueError(
                f"{item.path}: the text has no {len(words.split())} words from span{number}_index "
                f"= {index} on (counted from 0), which span{number}_text = {words!r} needs."
            )
        spans.append((*span, mark))
    yield _example(item, _mark(text, *spans), None)


def _span_of_words(text: str, words: str, index: int) -> tuple[int, int] | None:
    """Returns the characters of some words, the first of which is word `index` of a text.

    Words end at white space. Punctuation around the words is left out, unless the text has other
    words there: the official file has some in another case or spelling.
    """
    size, places, start = len(words.split()), [], 0
    for word in text.split():
        start = text.index(word, start)
        places.append((start, start + len(word)))
        start += len(word)
    if not size or index < 0 or index + size > len(places):
        return None
    first, last = places[index][0], places[index + size - 1][1]
    found = text[first:last].lower().find(words.lower().rstrip("."))
    if found < 0:
        return first, last
    return first + found, first + found + len(words.rstrip("."))


def _mark(text: str, *spans: tuple[int, int, str]) -> str:
    """Puts marks around spans: ("He ran.", (0, 2, "*")) -> "*He* ran."."""
    marks = sorted(((place, mark) for *ends, mark in spans for place in ends), reverse=True)
    for place, mark in marks:
        text = text[:place] + mark + text[place:]
    return text


def _example(
    item: JsonItem, text_a: str, text_b: str | None, idx: tuple[int, ...] = ()
) -> Candidate:
    label = None
    if "label" in item.content:
        value = item.field("label", str, bool, int)
        label = str(value).lower() if isinstance(value, bool) else str(value)
    idx = idx or (item.field("idx", int),)
    return Candidate("", text_a, text_b, label, item.path, idx)


_read_nli = _read_pair("premise", "hypothesis")
READERS: dict[str, Callable[[JsonItem], Iterator[Any]]] = {
    "boolq": _read_pair("passage", "question"),
    "cb": _read_nli,
    "copa": _read_copa,
    "multirc": _read_multirc,
    "record": _read_record,
    "rte": _read_nli,
    "wic": _read_wic,
    "wsc": _read_wsc,
    "axb": _read_pair("sentence1", "sentence2"),
    "axg": _read_nli,
}
