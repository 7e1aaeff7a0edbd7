"""Finds a model's files by its name or path.

    find_model("bert_base_uncased")             # downloaded unless it is in the cache
    find_model("uncased_L-12_H-768_A-12.zip")   # extracted into the cache
    find_model("models/uncased_L-12_H-768_A-12")
    find_model("output/model.ckpt-343")         # a prefix; or the output directory of a training
                                                # run, or output/best
    find_model("bert-base-uncased-pytorch")     # another format: converted into the cache

Local paths take precedence over released names.
"""

import dataclasses
import hashlib
import logging
import os
import re
from pathlib import Path

from bert_tf import files
from bert_tf.formats.structure import CONFIG_NAME, VOCAB_NAME
from bert_tf.formats.tokenizer_files import case_of_folder, read_tokenizer_config
from bert_tf.released.archive import is_checkpoint_zip
from bert_tf.released.cache import cache_folder, is_whole, new_folder, one_at_a_time, plain_name
from bert_tf.released.download import (
    KEY_DIGITS,
    DownloadOptions,
    download_model,
    unpack_archive,
)
from bert_tf.released.models import find_released_model
from bert_tf.text.vocabulary import check_vocabulary, load_vocab

logger = logging.getLogger(__name__)

_RELEASED_PREFIX = "bert_model.ckpt"
# Training keeps its best weights in this folder, and the other files one level above.
_BEST = "best"
_SUFFIX = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
# Found in the index of an object-based checkpoint, whose keys are not variable names.
_OBJECT_GRAPH = b"_CHECKPOINTABLE_OBJECT_GRAPH"
# Files that belong to a model of any format; others may come and go beside them.
_MODEL_FILE = re.compile(r"\.(json|txt|safetensors|bin|h5|keras|index|data-\d{5}-of-\d{5})$")


@dataclasses.dataclass(frozen=True)
class ModelFiles:
    """Names a model's files and says how its text is normalized.

    bert_config_file: its configuration.
    vocab_file: its vocabulary; None if it has none.
    init_checkpoint: its weights, as a checkpoint's prefix.
    do_lower_case, strip_accents: see `bert_tf.text.tokenization.FullTokenizer`; None where its
        files do not say.
    """

    bert_config_file: str
    vocab_file: str | None
    init_checkpoint: str
    do_lower_case: bool | None = None
    strip_accents: bool | None = None


def find_model(model: str, options: DownloadOptions | None = None) -> ModelFiles:
    """Returns the files of a model, after downloading, extracting or converting it if needed.

    Args:
        model: a released model's name; or the path of a folder, a checkpoint's prefix, a zip of
            these, or a folder or file of another format (see `bert_tf.formats.source`).
        options: see DownloadOptions.

    Raises:
        ValueError: if there is no such model, or it is damaged.
        OSError: if it cannot be downloaded or read, or the cache cannot be written.
    """
    options = options or DownloadOptions()
    prefix = _find_prefix(model)
    if prefix is not None and _is_name_based(prefix):
        return _files_beside(prefix)
    if _is_zip(model):
        return _files_in(unpack_archive(model, options.cache_dir))
    if prefix is not None or files.exists(model):
        return _files_in(_convert(model, options.cache_dir))
    try:
        find_released_model(model, options.models)
    except ValueError as error:
        raise ValueError(
            f"There is no file or folder {model!r} (working directory: {Path.cwd()}). {error}"
        ) from None
    return _files_in(download_model(model, options))


def find_init_checkpoint(path: str, cache_dir: str | None = None) -> str:
    """Returns a checkpoint's path unchanged, or that of the checkpoint in a zip."""
    if _is_zip(path):
        return _files_in(unpack_archive(path, cache_dir)).init_checkpoint
    return path


def _is_zip(path: str) -> bool:
    if files.is_remote(path) or not Path(path).is_file():
        return False
    return path.lower().endswith(".zip") or is_checkpoint_zip(Path(path))


def _find_prefix(path: str) -> str | None:
    """Returns the prefix of the TensorFlow checkpoint at `path`; None if there is none."""
    prefix = _SUFFIX.sub("", path)
    if files.exists(f"{prefix}.index"):
        return prefix
    if not files.is_directory(path):
        return None
    best = files.join_path(path, _BEST)
    if files.exists(files.join_path(best, "checkpoint")):
        path = best
    released = files.join_path(path, _RELEASED_PREFIX)
    has_numbered = files.exists(files.join_path(path, "checkpoint"))
    if files.exists(f"{released}.index") and not has_numbered:
        return released
    # Imports TensorFlow, which is not needed to find a released model.
    from bert_tf.training.checkpoint import find_checkpoint

    try:
        return find_checkpoint(path)
    except ValueError:
        return None


def _is_name_based(prefix: str) -> bool:
    """Returns whether a checkpoint holds variables by name, not as a graph of Keras objects."""
    with files.open_file(f"{prefix}.index") as file:
        return _OBJECT_GRAPH not in file.read()


def _files_in(folder: str) -> ModelFiles:
    prefix = _find_prefix(folder)
    assert prefix is not None, folder  # Only for folders of the cache.
    return _files_beside(prefix)


def _files_beside(prefix: str) -> ModelFiles:
    """Returns the files of the model whose checkpoint has this prefix."""
    folder = files.split_path(prefix)[0]
    config_file = files.join_path(folder, CONFIG_NAME)
    parent, name = files.split_path(folder)
    if name == _BEST and not files.exists(config_file):
        folder, config_file = parent, files.join_path(parent, CONFIG_NAME)
    if not files.exists(config_file):
        raise ValueError(
            f"{folder}: there is no {CONFIG_NAME} beside the checkpoint {prefix}, so the model's "
            "shape is unknown. Put it there, or give --bert_config_file, --vocab_file and "
            "--init_checkpoint instead of --model."
        )
    vocab_file = files.join_path(folder, VOCAB_NAME)
    vocab_file = vocab_file if files.exists(vocab_file) else None
    return ModelFiles(config_file, vocab_file, prefix, *_normalization(folder, vocab_file))


def _normalization(folder: str, vocab_file: str | None) -> tuple[bool | None, bool | None]:
    """Returns do_lower_case and strip_accents.

    The first source that says so counts: task.json, tokenizer_config.json, the name of a released
    folder, the vocabulary.
    """
    if files.exists(files.join_path(folder, "task.json")):
        from bert_tf.released.model_folder import read_description  # Imports TensorFlow.

        description = read_description(folder)
        return description.do_lower_case, description.strip_accents
    known = read_tokenizer_config(folder)
    if "do_lower_case" in known:
        return known["do_lower_case"], known.get("strip_accents")
    do_lower_case = case_of_folder(folder)
    if do_lower_case is None and vocab_file:
        do_lower_case = _case_of_vocabulary(vocab_file)
    return do_lower_case, None


def _case_of_vocabulary(vocab_file: str) -> bool | None:
    """Returns whether a vocabulary is of lower-cased text; None if it does not show."""
    vocab = load_vocab(vocab_file)
    for do_lower_case in (True, False):
        try:
            check_vocabulary(vocab, vocab_file, do_lower_case)
        except ValueError:
            return not do_lower_case
    return None


def _convert(path: str, cache_dir: str | None) -> str:
    """Returns the folder in the cache with a model of another format as a checkpoint by name."""
    source = Path(path)
    name = plain_name(source.resolve().name)
    final = cache_folder(cache_dir) / "translated" / _key(source) / name
    if is_whole(final):
        return str(final)
    from bert_tf.formats import google
    from bert_tf.formats.source import read_pretrained
    from bert_tf.kinds.table import find_kind
    from bert_tf.released.model_folder import description_of, write_description

    with one_at_a_time(final):
        if not is_whole(final):
            model = read_pretrained(path)
            logger.info("Converting %s from %s to %s", path, model.format, final)
            for name, reason in model.dropped.items():
                logger.warning("%s: %s is left out: %s", path, name, reason)
            with new_folder(final, path) as folder:
                google.write(model, str(folder))
                if find_kind(model.head.kind).is_finetuned:
                    write_description(str(folder), description_of(model))
    return str(final)


def _key(source: Path) -> str:
    """Returns a hash of a model's path and of its files' names, sizes and modification times."""
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
        stat = path.stat()
        line = f"\n{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}"
        total.update(os.fsencode(line))
    return total.hexdigest()[:KEY_DIGITS]
