"""Questions and passages made up for tests, and the algorithm written the obvious way."""

import importlib.util
from pathlib import Path

from bert_tf.spans.options import SpanOptions
from bert_tf.tasks.span import SpanExample, SpanExtraction

VOCAB = Path(__file__).parents[2] / "vocab" / "english_uncased_2000.txt"
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

WORDS = [
    *("the", "The", "John", "Smith's", "(1895-1943).", "electronics", "Japanese", "$5,000.50"),
    *("café", "CAFE\u0301", "\u0130stanbul", "ﬁn", "ß", "ΟΔΟΣ", "\u0301", "e\u0323\u0307"),
    *("東京タワー", "北京", "ภาษาไทย", "العربية", "हिन्दी", "한국어", "😀", "☃", "\ue000"),
    *("\u200b", "a\u200bb", "x\x00y", "[MASK]", "##ing", "\ufffd", "q" * 250),
    *("\u00a0", "a\u00a0b", "x\u3000y", "\x0b", "\u2028", "\u0085"),
]
SPACES = [" ", " ", "  ", "\n", "\t", "\u202f", "\r\n", ""]


class NoData:
    """A data set of nothing: questions are made in the tests."""

    splits = sources = read = score = write = None


def make_task(**options):
    """A task without data."""
    return SpanExtraction("span", SpanOptions(**options), NoData(), "f1")


def ask(context, question="who?", name="q", **fields):
    """A question to a passage."""
    return SpanExample(name, question, context, **{"answers": None, **fields})


def load(name):
    """A module of benchmarks/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def random_text(rng, num_words):
    """Words of many scripts, with all kinds of white space or none between them."""
    return "".join(rng.choice(WORDS) + rng.choice(SPACES) for _ in range(num_words))
