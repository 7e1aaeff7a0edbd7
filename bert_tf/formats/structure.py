"""Checks that a folder holds a complete checkpoint: its config, vocabulary and every variable.

Only the checkpoint's index is read. It lists names, shapes and types, which give the data's size.
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
    """Refuses a folder that is not the released model with this configuration and both heads.

    Raises:
        ValueError: with the file, what was found, and what was expected.
    """
    path = folder / CONFIG_NAME
    found, expected = _read_config(path), config.to_dict()
    wrong = [
        f"{name} is {found.get(name)!r}, the model's is {value!r}"
        for name, value in expected.items()
        if found.get(name) != value
    ]
    if wrong:
        raise ValueError(f"{path}: it is another model's: {'; '.join(wrong)}")
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
    """Refuses a folder whose checkpoint lacks weights of the encoder that its config describes.

    It may have any heads, and no vocabulary.

    Raises:
        ValueError: with the file and what is wrong with it.
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
    """Returns the index file of the one checkpoint in a folder.

    Raises:
        ValueError: if there is none, or more than one.
    """
    indices = sorted(folder.glob("*.index"))
    if len(indices) != 1:
        names = ", ".join(path.name for path in indices) or "none"
        raise ValueError(f"{folder}: one checkpoint (*.index) is needed. Found: {names}")
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
    """Checks an index against the expected shapes, and the data files against the index."""
    import tensorflow as tf  # Takes seconds to import, and listing models does not need it.

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
    # Tensors are stored without gaps. (Strings have no known size; no model has any.)
    needed = sum(int(np.prod(shapes[name])) * types[name].size for name in shapes)
    there = _data_bytes(Path(prefix))
    if there < needed:
        raise ValueError(
            f"{prefix}.data-*: it is truncated: it has {there:,} bytes, and the variables in its "
            f"index need {needed:,}."
        )


def _data_bytes(prefix: Path) -> int:
    """Returns the total size of a checkpoint's data files."""
    sizes, num_parts = {}, 0
    for path in prefix.parent.iterdir():
        match = _SHARD.fullmatch(path.name)
        if match and match[1] == prefix.name:
            sizes[int(match[2])] = path.stat().st_size
            num_parts = int(match[3])
    if sorted(sizes) != list(range(num_parts)) or not sizes:
        raise ValueError(f"{prefix}.data-*: the data beside the index is missing or incomplete.")
    return sum(sizes.values())
