"""Reads the text in one field of the examples of a data set of tensorflow-datasets.

    wikipedia/20230601.en, split "train", field "text"  ->  "wikipedia/20230601.en/train:0", "A ..."

A missing data set is downloaded and prepared first.
"""

from collections.abc import Iterator
from typing import Any

from bert_tf.files.tfds import find_builder


def read_texts(
    name: str, split: str, text_field: str, data_dir: str = ""
) -> Iterator[tuple[str, str]]:
    """Yields the place and the text of each example, in the order of the data set's files.

    Args:
        name: as for `tfds.load`.
        split: one split, several, or a slice: `train+test`, `train[:10%]`.
        text_field: the feature with the text.
        data_dir: the folder of all data sets or of this one; "" for the default.

    Raises:
        ValueError: if there is no such data set, split or feature, or the feature is not text.
    """
    import tensorflow_datasets as tfds

    builder = find_builder(name, data_dir)
    _check_split(name, split, builder.info.splits)
    _check_field(name, text_field, builder.info.features)
    rows = builder.as_dataset(split=split, shuffle_files=False)
    for number, row in enumerate(tfds.as_numpy(rows)):
        place = f"{name}/{split}:{number}"
        try:
            yield place, row[text_field].decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{place}: {text_field!r} is not UTF-8: {error}.") from error


def read_version(name: str, data_dir: str = "") -> str:
    """Returns a data set's version and split sizes: "1.0.0, train: 5 examples, 310 bytes".

    Raises:
        ValueError: if there is no such data set.
    """
    info = find_builder(name, data_dir).info
    sizes = [
        f"{split}: {size.num_examples} examples, {int(size.num_bytes)} bytes"
        for split, size in sorted(info.splits.items())
    ]
    return ", ".join([str(info.version), *sizes])


def _check_split(name: str, split: str, splits: Any) -> None:
    try:
        num_examples = splits[split].num_examples
    except ValueError as error:
        problem = str(error).partition("\n")[0]
    else:
        problem = "" if num_examples else "It has no examples."
    if problem:
        raise ValueError(
            f"{name} has no split {split!r}, but {', '.join(splits)}. Give --split one of them, "
            f"several (train+test) or a slice (train[:10%]). {problem}"
        )


def _check_field(name: str, text_field: str, features: Any) -> None:
    kinds = {field: _kind(feature) for field, feature in features.items()}
    if kinds.get(text_field) == "text":
        return
    problem = (
        f"has no text in {text_field!r}, which is {kinds[text_field]}"
        if text_field in kinds
        else f"has no {text_field!r}"
    )
    texts = [field for field, kind in kinds.items() if kind == "text"]
    raise ValueError(
        f"{name} {problem}, but {', '.join(texts) or 'no text at all'}. Name the field that has "
        f"the text with --text_field."
    )


def _kind(feature: Any) -> str:
    """Returns `text` if each example has one string there; otherwise the feature's repr."""
    if feature.shape == () and feature.tf_dtype == "string":
        return "text"
    return repr(feature)
