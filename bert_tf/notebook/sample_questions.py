"""Questions on short passages about countries, in the format of SQuAD 2.0.

The capital of Peru is Lima. People pay with the sol. ...
    What is the capital of Peru?        Lima
    Who is the president of Peru?       (no answer)
"""

import json
import random
from collections.abc import Mapping
from typing import Any

from bert_tf import files
from bert_tf.notebook.sample_data import read_table, sample_file

# What the passage says, in several wordings, and how one asks for it.
_FACTS = {
    "capital": (
        ("The capital of {country} is {value}.", "{value} is the seat of its government."),
        ("What is the capital of {country}?", "Which city is the seat of the government?"),
    ),
    "currency": (
        ("People there pay with the {value}.", "Its currency is the {value}."),
        ("What do people in {country} pay with?", "Which currency does {country} have?"),
    ),
    "language": (
        ("Most people there speak {value}.", "Its most widely spoken language is {value}."),
        ("Which language do most people speak?", "What is spoken in {country}?"),
    ),
    "neighbour": (
        ("It has a border with {value}.", "One of its neighbours is {value}."),
        ("Which country borders {country}?", "What is a neighbour of {country}?"),
    ),
}
_INTRODUCTION = "{country} is a country that many travellers visit."
_DEV_SHARE = 4  # The questions on every fourth country are for evaluation.


def write_questions(folder: str, seed: int = 12345) -> tuple[str, str]:
    """Writes `train.json` and `dev.json`, and returns their paths.

    Each passage lacks one of the facts, so that one question in four has no answer. The countries
    in `dev.json` are not in `train.json`.
    """
    generator = random.Random(seed)
    table = read_table(sample_file("countries.csv"))
    parts: dict[str, list[dict[str, Any]]] = {"train": [], "dev": []}
    for number, row in enumerate(zip(*table.values(), strict=True)):
        country = dict(zip(table, row, strict=True))
        article = {"title": country["country"], "paragraphs": [_paragraph(country, generator)]}
        parts["train" if (number + 1) % _DEV_SHARE else "dev"].append(article)
    files.make_directories(folder)
    paths = tuple(files.join_path(folder, f"{name}.json") for name in parts)
    for path, articles in zip(paths, parts.values(), strict=True):
        with files.atomic_write(path, "w") as file:
            file.write(json.dumps({"version": "v2.0", "data": articles}, indent=1))
    return paths


def _paragraph(country: Mapping[str, str], generator: random.Random) -> dict[str, Any]:
    name, facts = country["country"], list(_FACTS)
    generator.shuffle(facts)
    context, starts = _INTRODUCTION.format(country=name), {}
    for fact in facts[1:]:  # The first one is left out.
        sentence = generator.choice(_FACTS[fact][0])
        before = sentence.partition("{value}")[0].format(country=name)
        starts[fact] = len(context) + 1 + len(before)
        context += " " + sentence.format(country=name, value=country[fact])
    questions = []
    for fact in sorted(facts):
        answers = []
        if fact in starts:
            answers = [{"text": country[fact], "answer_start": starts[fact]}]
        questions.append(
            {
                "id": f"{name}-{fact}".replace(" ", "_"),
                "question": generator.choice(_FACTS[fact][1]).format(country=name),
                "is_impossible": not answers,
                "answers": answers,
            }
        )
    return {"context": context, "qas": questions}
