"""Data sets of tensorflow-datasets: what their examples have in one field, as text.

    wikipedia/20230601.en, split "train", field "text"  ->  "wikipedia/20230601.en/train:0", "A ..."

A data set that is not there is got and prepared first.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from bert_tf import files


def read_texts(
    name: str, split: str, text_field: str, data_dir: str = ""
) -> Iterator[tuple[str, str]]:
    """The place and the text of each example, in the order of the data set's files.

    Args:
        name: as `tfds.load` takes it.
        split: also several, or a slice: `train+test`, `train[:10%]`.
        text_field: the feature that has the text.
        data_dir: the folder of the data sets, or of this one; "": that of tensorflow-datasets.

    Raises:
        ValueError: if there is no such data set, split or feature, or the feature is no text.
    """
    import tensorflow_datasets as tfds

    builder = _builder(name, data_dir)
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
    """A data set's version and the sizes of its splits: "1.0.0, train: 5 examples, 310 bytes".

    Raises:
        ValueError: if there is no such data set.
    """
    info = _builder(name, data_dir).info
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
        problem = "" if num_examples else "No example is in it."
    if problem:
        raise ValueError(
            f"{name} has no split {split!r}, but {', '.join(splits)}. With --split one of them, "
            f"several (train+test) or some of one (train[:10%]) can be had. {problem}"
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
        f"{name} {problem}, but {', '.join(texts) or 'no text at all'}. Name the one that has the "
        f"text with --text_field."
    )


def _kind(feature: Any) -> str:
    """`text`, if each example has one string there; else what it has in the library's words."""
    if feature.shape == () and feature.tf_dtype == "string":
        return "text"
    return repr(feature)


def _builder(name: str, data_dir: str) -> Any:
    """What has the files, of whatever version. They are got and made if there are none."""
    import tensorflow_datasets as tfds

    if data_dir and files.exists(files.join_path(data_dir, "dataset_info.json")):
        return tfds.builder_from_directory(data_dir)
    with contextlib.suppress(tfds.core.registered.DatasetNotFoundError):
        return tfds.core.read_only_builder.builder_from_files(name, data_dir=data_dir or None)
    try:
        builder = tfds.builder(name, data_dir=data_dir or None)
        builder.download_and_prepare()
    except Exception as error:  # Of many kinds: no network, no such data set, a full disk.
        raise ValueError(
            f"tensorflow-datasets has no {name} in {data_dir or 'its folder'}, and could not get "
            f"it ({type(error).__name__}: {error}). Prepare it where it can, with: tfds build "
            f"{name} --data_dir=FOLDER"
        ) from error
    return builder
