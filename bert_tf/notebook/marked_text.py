"""Text with marks, as HTML: tokens in their text, and answers in their passage."""

import html
from collections.abc import Sequence
from typing import Any

# Translucent, so that they suit a dark page, too.
_COLOURS = ("rgba(31, 111, 180, 0.28)", "rgba(200, 80, 42, 0.28)")
_ANSWER = "rgba(255, 196, 0, 0.55)"
_STYLE = "font-family: sans-serif; line-height: 1.7; max-width: 60em;"


class MarkedText(str):
    """HTML, which a notebook shows where a cell returns it."""

    def _repr_html_(self) -> str:
        return str(self)


def mark_tokens(text: str, offsets: Sequence[tuple[int, int]]) -> MarkedText:
    """Returns a text in which neighbouring tokens have different colours.

    Args:
        offsets: (start, end) of each token, in characters, as of `tokenize_with_offsets`.
    """
    parts, reached = [], 0
    for number, (start, end) in enumerate(offsets):
        parts.append(html.escape(text[reached:start]))
        parts.append(_mark(text[start:end], _COLOURS[number % 2]))
        reached = max(reached, end)
    parts.append(html.escape(text[reached:]))
    return MarkedText(f'<div style="{_STYLE}">{"".join(parts)}</div>')


def mark_answers(
    examples: Sequence[tuple[str, str]], answers: Sequence[Any], num_best: int = 3
) -> MarkedText:
    """Returns questions, their passages with the answer marked, and the best answers below.

    Args:
        examples: questions and contexts.
        answers: what `Predictor.answer` returned for each.
        num_best: how many of the best answers are listed.
    """
    blocks = []
    for (question, context), answer in zip(examples, answers, strict=True):
        passage = html.escape(context)
        if answer.text:
            before, after = context[: answer.start], context[answer.end :]
            marked = _mark(context[answer.start : answer.end], _ANSWER)
            passage = f"{html.escape(before)}{marked}{html.escape(after)}"
        best = ", ".join(
            f"{html.escape(entry.text) or '<i>no answer</i>'} {entry.probability:.0%}"
            for entry in answer.nbest[:num_best]
        )
        given = "" if answer.text else " <i>no answer</i>"
        blocks.append(
            f"<p><b>{html.escape(question)}</b>{given}<br>{passage}<br><small>{best}</small></p>"
        )
    return MarkedText(f'<div style="{_STYLE}">{"".join(blocks)}</div>')


def _mark(text: str, colour: str) -> str:
    style = f"background: {colour}; color: inherit; border-radius: 3px;"
    return f'<mark style="{style}">{html.escape(text)}</mark>'
