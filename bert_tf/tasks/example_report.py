"""Logs what labels a split of text classification has, and warns of odd labels, texts and ids.

tsv, train: 4 labels: 'negative': 9, 'positive': 8, 'nan': 1, 'positive\\u200b': 1
tsv, train: labels as written for a missing value: 'nan'
"""

import logging
import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from bert_tf import files
from bert_tf.tasks.text_examples import TextExample, to_number
from bert_tf.text.characters import is_blank, is_dropped

logger = logging.getLogger(__name__)

# What programs write for a missing value, in lower case.
_MISSING = {
    *("nan", "null", "none", "na", "n/a", "<na>", "#n/a", "nil", "undefined"),
    *("-", "--", "?", "."),
}
_LONGEST_NORMALIZED = 200  # The time of Unicode's normal forms grows with the square of the length.


def report_examples(
    task: str, split: str, examples: Sequence[TextExample], labels: Sequence[str]
) -> None:
    """Logs a split's labels with their counts, and each kind of oddity in one line.

    Args:
        labels: the classes; () for numbers.
    """
    known = [example.label for example in examples if example.label is not None]
    values = [x for each in known for x in (each if isinstance(each, tuple) else (each,))]
    remarks = _blank_texts(examples) + ([] if split == "train" else _repeated_ids(examples))
    if values and len(set(values)) == 1:
        remarks.append(f"all {len(values):,} labels are {values[0]!r}: metrics say little")
    if labels and values:
        counts = Counter(dict.fromkeys(labels, 0))
        counts.update(values)
        shown = (f"{label!r}: {count:,}" for label, count in counts.most_common())
        text = files.some(shown, listed=20)
        logger.info("%s, %s: %d labels: %s", task, split, len(labels), text)
        remarks += odd_labels(counts) if split == "train" else []
    elif values:
        extent = min(values), max(values), sum(values) / len(values)
        logger.info("%s, %s: labels from %g to %g, mean %g", task, split, *extent)
    for remark in remarks:
        logger.warning("%s, %s: %s", task, split, remark)


def odd_labels(counts: Mapping[str, int]) -> list[str]:
    """Returns a remark for each kind of label that is probably not meant as a class."""
    numbers = [label for label in counts if math.isfinite(to_number(label))]
    kinds = {
        "that differ only in case, white space or invisible characters": _alike(counts, _plain),
        "that are the same number": _alike(numbers, to_number),
        "with invisible characters or too much white space": (x for x in counts if x != _clean(x)),
        "as written for a missing value": (x for x in counts if _plain(x) in _MISSING),
        "with a single example": (x for x in counts if counts[x] == 1),
        "without an example": (x for x in counts if not counts[x]),
    }
    shown = {kind: files.some(map(repr, labels), listed=20) for kind, labels in kinds.items()}
    remarks = [f"labels {kind}: {labels}" for kind, labels in shown.items() if labels]
    num_examples = sum(counts.values())
    if 2 < len(counts) > num_examples / 2:
        remarks.append(
            f"{len(counts):,} labels for {num_examples:,} examples: is this the column of the "
            f"labels? Numbers to predict are a regression"
        )
    return remarks


def _alike(labels: Iterable[str], key: Callable[[str], Hashable]) -> list[str]:
    """Returns the labels that share their key with another one, side by side."""
    labels = list(labels)
    counts = Counter(map(key, labels))
    alike = [label for label in labels if counts[key(label)] > 1]
    return sorted(alike, key=lambda label: (key(label), label))


def _clean(text: str) -> str:
    return " ".join("".join(char for char in text if not is_dropped(char)).split())


def _plain(label: str) -> str:
    if len(label) < _LONGEST_NORMALIZED:
        label = unicodedata.normalize("NFKC", label)
    return _clean(label.casefold())


def _repeated_ids(examples: Iterable[TextExample]) -> list[str]:
    first: dict[str, TextExample] = {}
    repeated = [each for each in examples if first.setdefault(each.guid, each) is not each]
    return [
        f"{len(repeated):,} examples have another's id, such as {each.guid!r} at "
        f"{first[each.guid].where} and {each.where}"
        for each in repeated[:1]
    ]


def _blank_texts(examples: Sequence[TextExample]) -> list[str]:
    is_pair = any(example.text_b for example in examples)
    found = [
        example.where
        for example in examples
        if _is_nothing(example.text_a) or (is_pair and _is_nothing(example.text_b or ""))
    ]
    places = ", ".join(found[:3])
    counted = f"{len(found):,} of {len(examples):,} examples have a text of nothing"
    return [f"{counted}, such as {places}"] if found else []


def _is_nothing(text: str) -> bool:
    return is_blank(text) or (len(text) < 12 and _plain(text) in _MISSING)
