"""The panels of the explorer's page: what each asks for, and the model's answer as JSON.

    fill_mask        text with [MASK]       candidates for each mask
    classification   a text or pair         classes or a number, and what each word contributes
    answer           question, context      where in the context the answer is
    nearest          query, sentences       the sentences, most similar first
    attention        a text or pair         what each token attends to, in all layers and heads

A page has the panels whose method of `Predictor` the model has.
"""

import base64
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bert_tf.inference.predictor import Predictor
from bert_tf.kinds.attributions import KINDS_WITH_ATTRIBUTIONS, Attributions

Inputs = Mapping[str, str]

MAX_CHARACTERS = 20_000  # Of a text.
MAX_SENTENCES = 1_000
MAX_ATTENTION_TOKENS = 128  # 12 layers of 12 heads are 6 MB then.


@dataclasses.dataclass(frozen=True)
class Field:
    """A text that a panel asks for."""

    name: str
    label: str
    example: str
    rows: int = 3
    is_optional: bool = False


@dataclasses.dataclass(frozen=True)
class Panel:
    """A part of the page: its fields, and a function from their texts to what the page shows."""

    name: str
    ability: str  # One of `Predictor.abilities`.
    title: str
    about: str
    fields_of: Callable[[Predictor], tuple[Field, ...]]
    answer: Callable[[Predictor, Inputs], dict[str, Any]]
    # An input without a field. With it the answer takes longer and has more.
    slow_input: str = ""

    def checked(self, predictor: Predictor, inputs: Any) -> dict[str, str]:
        """Returns the texts of all fields; raises a ValueError for others than these."""
        fields = self.fields_of(predictor)
        known = {field.name for field in fields} | {self.slow_input} - {""}
        if not isinstance(inputs, Mapping) or not set(inputs) <= known:
            received = ", ".join(map(str, inputs)) if isinstance(inputs, Mapping) else repr(inputs)
            names = ", ".join(sorted(known))
            raise ValueError(f"{self.title} takes {names}. Received: {received:.200}")
        texts = {field.name: inputs.get(field.name, "") for field in fields}
        for field in fields:
            text = texts[field.name]
            if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
                size = f"{len(text):,} characters" if isinstance(text, str) else repr(text)
                raise ValueError(
                    f"{field.label} must be a text of at most {MAX_CHARACTERS:,} characters. "
                    f"Received: {size:.200}"
                )
            if not (field.is_optional or text.strip()):
                raise ValueError(f"{field.label} is empty. Type a text.")
        if self.slow_input in inputs:
            texts[self.slow_input] = str(inputs[self.slow_input])
        return texts


def panels_of(predictor: Predictor) -> list[Panel]:
    """Returns the panels that a model can answer; there may be none."""
    abilities = predictor.abilities
    return [
        panel
        for panel in _PANELS
        if panel.ability in abilities
        and (panel.name != "classification" or predictor.kind in KINDS_WITH_ATTRIBUTIONS)
    ]


def _fill_mask(predictor: Predictor, inputs: Inputs) -> dict[str, Any]:
    filled = predictor.fill_mask(inputs["text"])
    masks = [[dataclasses.asdict(candidate) for candidate in some] for some in filled.candidates]
    return {"best": filled.best, "masks": masks}


def _classify(predictor: Predictor, inputs: Inputs) -> dict[str, Any]:
    texts = tuple(inputs[name] for name in predictor.inputs)
    (found,) = predictor.predict([texts])
    answer: dict[str, Any] = {"value": None, "labels": [], "attributions": None, "note": ""}
    if predictor.kind == "regression":
        answer["value"] = found
    else:
        chosen = found.labels if predictor.kind == "multi_label" else (found.label,)
        answer["labels"] = [
            {"label": label, "probability": value, "is_chosen": label in chosen}
            for label, value in found.probabilities.items()
        ]
    if "label" not in inputs:
        return answer
    try:
        explained = predictor.attributions(texts, inputs["label"] or None)
    except ValueError as error:  # The classes are shown nevertheless.
        return {**answer, "note": str(error)}
    answer["attributions"] = {
        "label": explained.label,
        "score": explained.score,
        "baseline_score": explained.baseline_score,
        "sum": float(np.sum(explained.values, dtype=np.float64)),
        "error": explained.error,
        "texts": [_marked(text, explained, number) for number, text in enumerate(texts)],
    }
    return answer


def _marked(text: str, found: Attributions, number: int) -> list[dict[str, Any]]:
    """Returns a text in parts: its words with their values, and what is between them."""
    parts, place = [], 0
    for word in found.words:
        if word.text == number:
            parts.append({"text": text[place : word.start], "value": None, "is_read": True})
            parts.append({"text": text[word.start : word.end], "value": word.value})
            place = word.end
    parts.append({"text": text[place:], "value": None, "is_read": not text[place:].strip()})
    return [part for part in parts if part["text"] or part["value"] is not None]


def _answer(predictor: Predictor, inputs: Inputs) -> dict[str, Any]:
    found = predictor.answer(inputs["question"], inputs["context"])
    entries = [dataclasses.asdict(entry) for entry in found.nbest]
    best = next(place for place, entry in enumerate(found.nbest) if entry.text == found.text)
    return {"best": best, "nbest": entries, "null_odds": found.null_odds}


def _attention(predictor: Predictor, inputs: Inputs) -> dict[str, Any]:
    maps = predictor.attention(inputs["text"], inputs["text_b"])
    num_layers, num_heads, length, _ = maps.probabilities.shape
    if length > MAX_ATTENTION_TOKENS:
        raise ValueError(
            f"The text has {length} tokens or more; attention is shown for at most "
            f"{MAX_ATTENTION_TOKENS}. Type a shorter text."
        )
    # In the order of bytes that the page reads, whatever this machine's.
    numbers = np.round(maps.probabilities * 65535).astype("<u2")
    return {
        "tokens": maps.tokens,
        "num_layers": num_layers,
        "num_heads": num_heads,
        "probabilities": base64.b64encode(numbers.tobytes()).decode("ascii"),
    }


def _nearest(predictor: Predictor, inputs: Inputs) -> dict[str, Any]:
    sentences = [line.strip() for line in inputs["sentences"].splitlines() if line.strip()]
    if len(sentences) > MAX_SENTENCES:
        raise ValueError(f"At most {MAX_SENTENCES:,} sentences. Received: {len(sentences):,}")
    hits = predictor.search(inputs["query"], sentences, top_k=len(sentences))
    return {"hits": [dataclasses.asdict(hit) for hit in hits]}


def _class_fields(predictor: Predictor) -> tuple[Field, ...]:
    if len(predictor.inputs) == 1:
        return (Field("text", "Text", "A lovely film, and a very good cast."),)
    return (
        Field("text_a", "First text", "The company bought the mill in 1998."),
        Field("text_b", "Second text", "In 1998 the mill was bought by the company."),
    )


_PANELS = (
    Panel(
        "fill_mask",
        "fill_mask",
        "Fill mask",
        "The most probable word pieces for each mask. Choose others to see them in the sentence.",
        lambda predictor: (
            Field("text", "Text with masks", f"The cat sat on the {predictor.mask_token}."),
        ),
        _fill_mask,
    ),
    Panel(
        "classification",
        "predict",
        "Classify",
        "What the model says of a text, and what each word contributes to it. Choose a class to "
        "explain it.",
        _class_fields,
        _classify,
        slow_input="label",
    ),
    Panel(
        "answer",
        "answer",
        "Answer a question",
        "The part of a passage, of any length, that answers a question.",
        lambda _: (
            Field("question", "Question", "Who was the leader of the expedition?", rows=2),
            Field(
                "context",
                "Passage",
                "The leader of the expedition was John Smith (1895-1943). It left the harbour in "
                "spring, and came back a year later with maps of the northern coast.",
                rows=8,
            ),
        ),
        _answer,
    ),
    Panel(
        "nearest",
        "search",
        "Nearest sentences",
        "The sentences that are most similar to a query, by the model's vectors.",
        lambda _: (
            Field("query", "Query", "How do I get my money back?", rows=2),
            Field(
                "sentences",
                "Sentences, one per line",
                "Refunds are paid within a week.\nThe shop opens at nine.\n"
                "You can return what you bought, and get the price back.\nOur train was late.\n"
                "The film was about a bank robbery.\nPlease take your shoes off.",
                rows=9,
            ),
        ),
        _nearest,
    ),
    Panel(
        "attention",
        "attention",
        "Attention",
        "What each token looks at in every layer and head. Attention shows what a head reads, not "
        "by itself why the model answers as it does.",
        lambda _: (
            Field("text", "Text", "The animal did not cross the street because it was too tired."),
            Field("text_b", "Second text, if it is a pair", "", rows=2, is_optional=True),
        ),
        _attention,
    ),
)
