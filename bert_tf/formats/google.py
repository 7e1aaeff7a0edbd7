"""Reads and writes google-research's checkpoints.

bert_model.ckpt.index, .data-00000-of-00001     all variables, Adam's moments and `global_step`
bert_config.json, vocab.txt
tokenizer_config.json                           the case, if known; the original ignores it

or a TF-Hub module of TensorFlow 1: `hub_module`.
"""

import dataclasses
import warnings

import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.config import BertConfig, read_json
from bert_tf.files.checkpoints import BEST_FOLDER, CHECKPOINT_NAME, find_prefix
from bert_tf.formats import hub_module, huggingface_config, names
from bert_tf.formats.source import (
    CONFIG_NAME,
    CONFIG_NAMES,
    Head,
    PretrainedModel,
    find_beside,
    find_config,
    folders_of,
    is_object_based,
    removed_prefix,
)
from bert_tf.formats.tokenizer_files import (
    case_of_folder,
    find_vocabulary,
    is_byte_bpe,
    is_sentencepiece,
    read_tokenizer,
    read_vocabulary,
    write_tokenizer,
)
from bert_tf.kinds.table import MASKED_LM, NEXT_SENTENCE, kind_of_weights
from bert_tf.training.checkpoint import damage_in, find_checkpoint, write_tensors

# Raised by TensorFlow for damaged files.
READ_ERRORS = (tf.errors.OpError, RuntimeError, ValueError, IndexError)


def recognizes(path: str) -> bool:
    """Returns whether `path` is or contains a name-based checkpoint."""
    prefix = find_prefix(str(path))
    return prefix is not None and not is_object_based(prefix)


def read(path: str) -> PretrainedModel:
    """Reads a checkpoint and the files beside it; `find_prefix` says what `path` may be."""
    prefix = find_checkpoint(str(path))
    folder = files.split_path(prefix)[0]
    places = folders_of(prefix)
    found = [find_beside(place, *CONFIG_NAMES, "config.json") for place in places]
    config_file, module = next(filter(None, found), None), hub_module.module_of(prefix)
    if config_file is None and module is None:
        raise ValueError(
            f"{folder}: there is no {CONFIG_NAME} beside the checkpoint {prefix}. Put the model's "
            "there: the weights do not show the number of attention heads."
        )
    config = _read_config(config_file) if config_file else None
    stored = read_weights(prefix)
    renamed, removed = {name: name for name in stored}, ""
    # Beside ELECTRA's encoder there may be the generator's.
    if config is None or config.model_type != "electra":
        renamed, removed = names.without_prefix(prefix, stored)
    weights = {new: stored[old] for old, new in renamed.items()}
    notes = removed_prefix(removed)
    if config is None:
        config = hub_module.read_config(module, {n: w.shape for n, w in weights.items()})
        notes += (f"the configuration is that of its graph, {module}, with BERT's dropout of 0.1.",)
    names.check_shapes(prefix, config, weights)
    vocab_folder = next(filter(find_vocabulary, places), folder)
    tokenizer, dropped = read_tokenizer(vocab_folder)
    if tokenizer.do_lower_case is None:
        case = hub_module.read_case(module) if module else case_of_folder(vocab_folder)
        tokenizer = dataclasses.replace(tokenizer, do_lower_case=case)
    head = Head(kind_of_weights(weights))
    if files.split_path(folder)[1] == BEST_FOLDER:
        notes += ("these are the best weights of the training, which are not always the newest.",)
    return PretrainedModel("google", prefix, config, weights, head, tokenizer, dropped, notes=notes)


def _read_config(path: str) -> BertConfig:
    content = read_json(path, dict)
    if (
        files.split_path(path)[1] not in CONFIG_NAMES and "model_type" in content
    ):  # transformers' words.
        return huggingface_config.read_config(path, content)
    return BertConfig.from_json_file(path)


def read_weights(prefix: str) -> dict[str, np.ndarray]:
    """Returns all tensors of a checkpoint by name, the optimizer's too; 16-bit ones as float32."""
    try:
        reader = tf.train.load_checkpoint(prefix)
        weights = {n: reader.get_tensor(n) for n in sorted(reader.get_variable_to_shape_map())}
    except READ_ERRORS as error:
        raise damage_in(prefix, error) from error
    return {name: _widened(np.asarray(value)) for name, value in weights.items()}


def _widened(value: np.ndarray) -> np.ndarray:
    is_half = value.dtype.itemsize == 2 and value.dtype.kind in "fV"
    return value.astype(np.float32) if is_half else value


def check_folder(folder: str, released: BertConfig | None = None) -> None:
    """Raises a ValueError unless a folder holds a complete checkpoint and its config.

    If `released` is given, the config must equal it, and the vocabulary and, of a BERT, both
    pre-training heads must be there.
    """
    path = find_config(folder) or files.join_path(folder, CONFIG_NAME)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Released configs have unused keys.
        config = BertConfig.from_json_file(path)
    expected, found = (released or config).to_dict(), config.to_dict()
    wrong = [
        f"{name} is {found.get(name)!r}, the model's is {value!r}"
        for name, value in expected.items()
        if found.get(name) != value
    ]
    if wrong:
        raise ValueError(f"{path}: it is another model's: {'; '.join(wrong)}")
    vocab = find_vocabulary(folder)
    num_rows = 0
    if vocab:
        is_plain = not (is_sentencepiece(vocab) or is_byte_bpe(vocab))
        rows = files.open_text_lines if is_plain else read_vocabulary
        num_rows = sum(1 for _ in rows(vocab))
    if num_rows > config.vocab_size or (released and num_rows < config.vocab_size):
        raise ValueError(
            f"{vocab}: it has {num_rows:,} rows, the model's vocabulary {config.vocab_size:,}."
        )
    prefix = find_prefix(folder)
    if prefix is None:
        raise ValueError(f"{folder}: there is no checkpoint (*.index).")
    weights = read_weights(prefix)
    heads = (MASKED_LM, NEXT_SENTENCE) if released and released.model_type == "bert" else ()
    missing = [name for name in names.weight_shapes(config, heads) if name not in weights]
    if missing:
        raise ValueError(
            f"{prefix}: {len(missing)} of the model's variables are not in it: "
            f"{files.some(missing)}. It has: {files.some(weights)}"
        )
    names.check_shapes(prefix, config, weights)


def without_place(model: PretrainedModel) -> dict[str, str]:
    """Returns {}: a checkpoint may have variables of any name."""
    return {}


def write(model: PretrainedModel, folder: str, overwrite: bool = False) -> None:
    """Writes the original's files, with any optimizer state; the original refuses `gelu_erf`."""
    names.check_shapes(model.path, model.config, model.weights)
    with files.new_files(folder, overwrite) as temporary:
        tensors = {name: tf.constant(value) for name, value in model.weights.items()}
        write_tensors(files.join_path(temporary, CHECKPOINT_NAME), tensors)
        with files.open_file(files.join_path(temporary, CONFIG_NAME), "w") as file:
            file.write(model.config.to_json_string())
        write_tokenizer(temporary, model.tokenizer, model.config.longest_sequence)
