"""FINDING A MODEL: from one name or path to the files that a program needs.

    find_model("bert_base_uncased")             # downloaded, if it is not in the cache
    find_model("uncased_L-12_H-768_A-12.zip")   # unpacked into the cache
    find_model("models/uncased_L-12_H-768_A-12")
    find_model("output/model.ckpt-343")         # a prefix; or the folder that training wrote, or
                                                # output/best
    find_model("bert-base-uncased-pytorch")     # another format: translated into the cache

What is on the disk goes before a released model of the same name.
"""

import dataclasses
import hashlib
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from bert_tf import files
from bert_tf.formats.structure import CONFIG_NAME, VOCAB_NAME
from bert_tf.formats.tokenizer_files import read_tokenizer_config
from bert_tf.released.archive import is_checkpoint_zip
from bert_tf.released.cache import cache_folder, is_whole, new_folder, one_at_a_time, plain_name
from bert_tf.released.download import download_model, unpack_archive
from bert_tf.released.models import RELEASED_MODELS, ReleasedModel, find_released_model
from bert_tf.text.vocabulary import check_vocabulary, load_vocab

logger = logging.getLogger(__name__)

_RELEASED_PREFIX = "bert_model.ckpt"
# Training keeps its best weights in this folder, and the rest of the model beside it.
_BEST = "best"
_SUFFIX = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
# In the index of a checkpoint of Keras objects, whose variables have no names of their own.
_OBJECT_GRAPH = b"_CHECKPOINTABLE_OBJECT_GRAPH"
# Files that a model of any format consists of: others come and go beside them.
_MODEL_FILE = re.compile(r"\.(json|txt|safetensors|bin|h5|keras|index|data-\d{5}-of-\d{5})$")
_KEY_DIGITS = 16


@dataclasses.dataclass(frozen=True)
class ModelFiles:
    """Where a model's files are, and how its text is normalized.

    bert_config_file, init_checkpoint: its shape and its weights, a checkpoint's prefix.
    vocab_file: None if it has none beside it.
    do_lower_case, strip_accents: see `bert_tf.text.tokenization.FullTokenizer`; None where its
        files do not say.
    """

    bert_config_file: str
    vocab_file: str | None
    init_checkpoint: str
    do_lower_case: bool | None = None
    strip_accents: bool | None = None


def find_model(
    model: str,
    cache_dir: str | None = None,
    mirror: str | None = None,
    stream: TextIO | None = None,
    zoo: Sequence[ReleasedModel] | None = None,
) -> ModelFiles:
    """The files of a model.

    Args:
        model: the name of a released model; or the path of a folder, a checkpoint's prefix, a zip
            of these, or a folder or file of another format (see `bert_tf.formats.source`).
        cache_dir, mirror, stream, zoo: see `bert_tf.released.download.download_model`.

    Raises:
        ValueError: if there is no such model, or it is damaged.
        OSError: if it cannot be downloaded, read, or written to the cache.
    """
    prefix = _find_prefix(model)
    if prefix is not None and _is_by_name(prefix):
        return _files_beside(prefix)
    if prefix is not None or files.exists(model):
        if _is_zip(model):
            return _files_in(unpack_archive(model, cache_dir))
        return _files_in(_translate(model, cache_dir))
    try:
        find_released_model(model, zoo)
    except ValueError as error:
        raise ValueError(
            f"There is no file or folder {model!r} (from {Path.cwd()}). {error}"
        ) from None
    return _files_in(download_model(model, cache_dir, mirror, stream, zoo=zoo))


def find_init_checkpoint(path: str, cache_dir: str | None = None) -> str:
    """A checkpoint's path as it is, or that of the checkpoint in a zip."""
    if _is_zip(path):
        return _files_in(unpack_archive(path, cache_dir)).init_checkpoint
    return path


def _is_zip(path: str) -> bool:
    if files.is_remote(path) or not Path(path).is_file():
        return False
    return path.lower().endswith(".zip") or is_checkpoint_zip(Path(path))


def _find_prefix(path: str) -> str | None:
    """The prefix of the TensorFlow checkpoint that `path` means; None if there is none."""
    prefix = _SUFFIX.sub("", path)
    if files.exists(f"{prefix}.index"):
        return prefix
    if not files.is_directory(path):
        return None
    best = files.join_path(path, _BEST)
    if files.exists(files.join_path(best, "checkpoint")):  # Fine-tuning kept some on its way.
        path = best
    released = files.join_path(path, _RELEASED_PREFIX)
    has_numbered = files.exists(files.join_path(path, "checkpoint"))
    if files.exists(f"{released}.index") and not has_numbered:
        return released
    # Loads TensorFlow, without which a released model is found.
    from bert_tf.training.checkpoint import find_checkpoint

    try:
        return find_checkpoint(path)
    except ValueError:
        return None


def _is_by_name(prefix: str) -> bool:
    """Whether a checkpoint's variables have google-research's names, not those of Keras objects."""
    with files.open_file(f"{prefix}.index") as file:
        return _OBJECT_GRAPH not in file.read()


def _files_in(folder: str) -> ModelFiles:
    prefix = _find_prefix(folder)
    assert prefix is not None, folder  # Only for folders of the cache.
    return _files_beside(prefix)


def _files_beside(prefix: str) -> ModelFiles:
    """The files in a checkpoint's folder."""
    folder = files.split_path(prefix)[0]
    config_file = files.join_path(folder, CONFIG_NAME)
    parent, name = files.split_path(folder)
    if name == _BEST and not files.exists(config_file):
        folder, config_file = parent, files.join_path(parent, CONFIG_NAME)
    if not files.exists(config_file):
        raise ValueError(
            f"{folder}: there is no {CONFIG_NAME} beside the checkpoint {prefix}. It says the "
            "shape of the model: put it there, or give --bert_config_file, --vocab_file and "
            "--init_checkpoint instead of --model."
        )
    vocab_file = files.join_path(folder, VOCAB_NAME)
    vocab_file = vocab_file if files.exists(vocab_file) else None
    do_lower_case, strip_accents = _normalization(folder, vocab_file)
    return ModelFiles(config_file, vocab_file, prefix, do_lower_case, strip_accents)


def _normalization(folder: str, vocab_file: str | None) -> tuple[bool | None, bool | None]:
    """do_lower_case and strip_accents, of the first that tells: what training or a translation
    wrote beside the model, the name of a released folder, the vocabulary."""
    if files.exists(files.join_path(folder, "task.json")):
        from bert_tf.released.model_folder import read_description  # Loads TensorFlow.

        description = read_description(folder)
        return description.do_lower_case, description.strip_accents
    known = read_tokenizer_config(folder)
    if "do_lower_case" in known:
        return known["do_lower_case"], known.get("strip_accents")
    name = os.path.basename(os.path.normpath(folder)) if folder != "." else Path.cwd().name
    for model in RELEASED_MODELS:
        if model.folder == name:
            return model.do_lower_case, None
    return (_case_of_vocabulary(vocab_file) if vocab_file else None), None


def _case_of_vocabulary(vocab_file: str) -> bool | None:
    """Whether a vocabulary is one of lower-cased text; None if it does not tell."""
    vocab = load_vocab(vocab_file)
    for do_lower_case in (True, False):
        try:
            check_vocabulary(vocab, vocab_file, do_lower_case)
        except ValueError:
            return not do_lower_case
    return None


def _translate(path: str, cache_dir: str | None) -> str:
    """The folder, in the cache, of a model of another format in google-research's."""
    source = Path(path)
    final = (
        cache_folder(cache_dir) / "translated" / _key(source) / plain_name(source.resolve().name)
    )
    if is_whole(final):
        return str(final)
    from bert_tf.formats import google
    from bert_tf.formats.source import read_pretrained
    from bert_tf.released.model_folder import KINDS, description_of, write_description

    with one_at_a_time(final):
        if not is_whole(final):
            model = read_pretrained(path)
            logger.info("Translating %s from %s to %s", path, model.format, final)
            for name, reason in model.dropped.items():
                logger.warning("%s: %s is left out: %s", path, name, reason)
            with new_folder(final, path) as folder:
                google.write(model, str(folder))
                if model.head.kind in KINDS:
                    write_description(str(folder), description_of(model))
    return str(final)


def _key(source: Path) -> str:
    """A sum of a model's path and of the names, sizes and times of its files."""
    if source.is_dir():
        folder, found = source, [*source.iterdir(), *source.glob("assets/**/*")]
    else:
        folder = source.parent
        found = [
            path
            for path in folder.iterdir()
            if path.name.startswith(source.name) or path.suffix in (".json", ".txt")
        ]
    found = sorted(path for path in found if path.is_file() and _MODEL_FILE.search(path.name))
    total = hashlib.sha256(os.fsencode(source.resolve()))
    for path in found:
        there = path.stat()
        line = f"\n{path.relative_to(folder)} {there.st_size} {there.st_mtime_ns}"
        total.update(os.fsencode(line))
    return total.hexdigest()[:_KEY_DIGITS]
