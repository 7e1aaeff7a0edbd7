"""Logs what labels and texts a split of text classification has, and warns of what is odd in them.

tsv, train: 7 labels: 'negative': 2, 'positive': 1, 'positive\\u200b': 1, ...
tsv, train: the labels 'positive', 'positive\\u200b' differ only in case, ...
"""

import logging
import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from bert_tf.tasks.text_examples import TextExample, to_number
from bert_tf.text.characters import is_blank, is_dropped

logger = logging.getLogger(__name__)

# What programs write for a missing value, in lower case.
_MISSING = {
    *("nan", "null", "none", "na", "n/a", "<na>", "#n/a", "nil", "undefined"),
    *("-", "--", "?", "."),
}
_MAX_SHOWN = 20


def report_examples(
    task: str, split: str, examples: Sequence[TextExample], labels: Sequence[str]
) -> None:
    """Logs a split's labels with their counts, and warns of each kind of oddity in one line.

    Args:
        labels: the classes; () for numbers.
    """
    values = [example.label for example in examples if example.label is not None]
    is_training = split == "train"
    remarks = (
        _blank_texts(examples) if is_training else [*_repeated(examples), *_blank_texts(examples)]
    )
    if values and len(set(values)) == 1:
        remarks.append(f"all {len(values):,} labels are {values[0]!r}: metrics say little")
    if labels and values:
        counts = Counter(dict.fromkeys(labels, 0))
        counts.update(values)
        logger.info("%s, %s: %d labels: %s", task, split, len(labels), _listed(counts))
        remarks += odd_labels(counts) if is_training else []
    elif values:
        shown = min(values), max(values), sum(values) / len(values)
        logger.info("%s, %s: labels from %g to %g, mean %g", task, split, *shown)
    for remark in remarks:
        logger.warning("%s, %s: %s.", task, split, remark)


def odd_labels(counts: Mapping[str, int]) -> list[str]:
    """Returns a remark for each kind of label that is probably not meant as a class."""
    numbers = [label for label in counts if math.isfinite(to_number(label))]
    remarks = [
        f"labels that differ only in case, white space or invisible characters: "
        f"{_names(group, ascii)}"
        for group in _groups(counts, _plain)
    ]
    remarks += [
        f"labels that are the same number: {_names(group)}" for group in _groups(numbers, to_number)
    ]
    kinds = {
        "with invisible characters or too much white space": lambda label: label != _visible(label),
        "as written for a missing value": lambda label: _plain(label) in _MISSING,
        "with a single example": lambda label: counts[label] == 1,
        "without an example": lambda label: not counts[label],
    }
    for kind, is_kind in kinds.items():
        if found := list(filter(is_kind, counts)):
            remarks.append(f"labels {kind}: {_names(found)}")
    num_examples = sum(counts.values())
    if 2 < len(counts) > num_examples / 2:
        remarks.append(
            f"{len(counts):,} labels for {num_examples:,} examples: is this the column of the "
            f"labels? Numbers to predict are a regression"
        )
    return remarks


def _listed(counts: Counter[str]) -> str:
    shown = counts.items() if len(counts) <= _MAX_SHOWN else counts.most_common(_MAX_SHOWN)
    more = f" and {len(counts) - len(shown):,} more" if len(counts) > len(shown) else ""
    return ", ".join(f"{label!r}: {count:,}" for label, count in shown) + more


def _names(labels: Sequence[str], show: Callable[[str], str] = repr) -> str:
    more = f" and {len(labels) - _MAX_SHOWN:,} more" if len(labels) > _MAX_SHOWN else ""
    return ", ".join(map(show, labels[:_MAX_SHOWN])) + more


def _groups(values: Iterable[str], key: Callable[[str], Hashable]) -> list[list[str]]:
    groups = defaultdict(list)
    for value in values:
        groups[key(value)].append(value)
    return [group for group in groups.values() if len(group) > 1]


def _visible(text: str) -> str:
    return " ".join("".join(char for char in text if not is_dropped(char)).split())


def _plain(label: str) -> str:
    return _visible(unicodedata.normalize("NFKC", label).casefold())


def _repeated(examples: Iterable[TextExample]) -> list[str]:
    """Returns a remark if examples have the same id, under which predictions are written."""
    first: dict[str, TextExample] = {}
    repeated = [each for each in examples if first.setdefault(each.guid, each) is not each]
    if not repeated:
        return []
    places = f"{first[repeated[0].guid].where} and {repeated[0].where}"
    return [f"{len(repeated)} examples have another's id, such as {repeated[0].guid!r} at {places}"]


def _blank_texts(examples: Sequence[TextExample]) -> list[str]:
    """Returns a remark if texts are blank or what programs write for a missing value."""
    is_pair = any(example.text_b for example in examples)
    blank = [
        example.where
        for example in examples
        if _is_nothing(example.text_a) or (is_pair and _is_nothing(example.text_b or ""))
    ]
    if not blank:
        return []
    counted = f"{len(blank):,} of {len(examples):,} examples have a text of nothing"
    return [f"{counted}, such as {', '.join(blank[:3])}"]


def _is_nothing(text: str) -> bool:
    return is_blank(text) or (len(text) < 12 and _plain(text) in _MISSING)
