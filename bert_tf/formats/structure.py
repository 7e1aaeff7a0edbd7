"""Whether a folder holds a whole checkpoint by name: its config, vocabulary and every variable.

Only the index is read, which lists names, shapes and types: the data's size follows from it.
"""

import dataclasses
import re
from pathlib import Path

import numpy as np

from bert_tf.config import BertConfig, read_json_object
from bert_tf.files.paths import open_text_lines
from bert_tf.formats.names import MASKED_LM, NEXT_SENTENCE, encoder_shapes, head_shapes, some

CONFIG_NAME = "bert_config.json"
VOCAB_NAME = "vocab.txt"

_SHARD = re.compile(r"(.*)\.data-(\d{5})-of-(\d{5})")


def check_release(folder: Path, config: BertConfig) -> None:
    """Refuses a folder that is not the released model of a known shape, with its two heads.

    Raises:
        ValueError: with the file, what is there, and what should be.
    """
    path = folder / CONFIG_NAME
    found, expected = _read_config(path), config.to_dict()
    wrong = [
        f"{name} is {found.get(name)!r}, the model's is {value!r}"
        for name, value in expected.items()
        if found.get(name) != value
    ]
    if wrong:
        raise ValueError(f"{path}: another model's: {'; '.join(wrong)}")
    num_rows = _count_rows(folder / VOCAB_NAME)
    if num_rows != config.vocab_size:
        raise ValueError(
            f"{folder / VOCAB_NAME}: it has {num_rows:,} rows, the model's vocabulary "
            f"{config.vocab_size:,}."
        )
    shapes = encoder_shapes(config)
    for head in (MASKED_LM, NEXT_SENTENCE):
        shapes |= head_shapes(config, head)
    _check_variables(find_index(folder), shapes)


def check_folder(folder: Path) -> None:
    """Refuses a folder whose checkpoint lacks any of the encoder that its own config describes.

    The heads may be any, and there need be no vocabulary.

    Raises:
        ValueError: with the file, and what is wrong with it.
    """
    path = folder / CONFIG_NAME
    known = {field.name for field in dataclasses.fields(BertConfig)} - {"unknown_keys"}
    content = {name: value for name, value in _read_config(path).items() if name in known}
    try:
        config = BertConfig.from_dict(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    vocab = folder / VOCAB_NAME
    if vocab.exists() and _count_rows(vocab) > config.vocab_size:
        raise ValueError(
            f"{vocab}: it has {_count_rows(vocab):,} rows, more than the model's vocab_size, "
            f"{config.vocab_size:,}."
        )
    _check_variables(find_index(folder), encoder_shapes(config))


def find_index(folder: Path) -> Path:
    """The index of the one checkpoint in a folder.

    Raises:
        ValueError: if there is none, or more than one.
    """
    indices = sorted(folder.glob("*.index"))
    if len(indices) != 1:
        names = ", ".join(path.name for path in indices) or "none"
        raise ValueError(f"{folder}: one checkpoint (*.index) is needed. There: {names}")
    return indices[0]


def _read_config(path: Path) -> dict:
    if not path.exists():
        raise ValueError(f"{path}: there is no such file.")
    return read_json_object(str(path))


def _count_rows(path: Path) -> int:
    if not path.exists():
        raise ValueError(f"{path}: there is no such file.")
    return sum(1 for _ in open_text_lines(str(path)))


def _check_variables(index: Path, expected: dict[str, tuple[int, ...]]) -> None:
    """Holds an index to the shapes of variables, and the data beside it to the index."""
    import tensorflow as tf  # Takes seconds to load, and whoever only looks does not need it.

    prefix = str(index).removesuffix(".index")
    try:
        reader = tf.train.load_checkpoint(prefix)
        shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    except (tf.errors.OpError, RuntimeError, ValueError, IndexError) as error:
        raise ValueError(f"{index}: it cannot be read: {error}") from error
    missing = [name for name in expected if name not in shapes]
    if missing:
        raise ValueError(
            f"{index}: {len(missing)} of the model's {len(expected)} variables are not in it: "
            f"{some(missing)}. It has: {some(sorted(shapes))}"
        )
    wrong = [
        f"{name} is {shapes[name]}, the model's is {list(shape)}"
        for name, shape in expected.items()
        if tuple(shapes[name]) != shape
    ]
    if wrong:
        raise ValueError(f"{index}: {some(wrong, '; ')}")
    # Numbers lie one behind the other. Of texts, which no model here has, the size is not told.
    needed = sum(int(np.prod(shapes[name])) * types[name].size for name in shapes)
    there = _data_bytes(Path(prefix))
    if there < needed:
        raise ValueError(
            f"{prefix}.data-*: {there:,} bytes, where the variables in its index need {needed:,}: "
            "it is truncated."
        )


def _data_bytes(prefix: Path) -> int:
    """The size of all parts of a checkpoint's data."""
    sizes, num_parts = {}, 0
    for path in prefix.parent.iterdir():
        match = _SHARD.fullmatch(path.name)
        if match and match[1] == prefix.name:
            sizes[int(match[2])] = path.stat().st_size
            num_parts = int(match[3])
    if sorted(sizes) != list(range(num_parts)) or not sizes:
        raise ValueError(f"{prefix}.data-*: the data beside the index is missing, or parts of it.")
    return sum(sizes.values())
