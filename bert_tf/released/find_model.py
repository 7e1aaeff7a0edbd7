"""Finds a model's files by its name or path.

    find_model("bert_base_uncased")             # downloaded unless it is in the cache
    find_model("uncased_L-12_H-768_A-12.zip")   # extracted into the cache
    find_model("models/uncased_L-12_H-768_A-12")
    find_model("output/model.ckpt-343")         # a prefix; or an output directory of training
    find_model("bert-base-uncased-pytorch")     # another format: converted into the cache
    find_model("hf://FacebookAI/roberta-base")  # of the Hugging Face Hub: downloaded, converted

Local paths take precedence over released names.
"""

import dataclasses
import hashlib
import logging
import os
import re
from pathlib import Path

from bert_tf import files
from bert_tf.files.checkpoints import BEST_FOLDER, find_prefix
from bert_tf.formats import tokenizer_files
from bert_tf.formats.source import (
    CONFIG_NAME,
    find_beside,
    find_config,
    folders_of,
    is_object_based,
    read_pretrained,
)
from bert_tf.released import model_folder
from bert_tf.released.cache import cache_folder, cached, plain_name
from bert_tf.released.download import KEY_DIGITS, DownloadOptions, download_model, unpack_archive
from bert_tf.released.hub import PREFIX, download_from_hub
from bert_tf.released.models import find_released_model
from bert_tf.text.vocabulary import case_of_vocabulary

logger = logging.getLogger(__name__)

# Matches the files of a model of any format.
_MODEL_FILE = re.compile(
    r"\.(json|txt|model|yaml|safetensors|bin|ckpt|pth?|h5|keras|index|data-\d{5}-of-\d{5})$"
)


@dataclasses.dataclass(frozen=True)
class ModelFiles:
    """A model's files and text normalization."""

    bert_config_file: str
    vocab_file: str | None  # None if it has none.
    init_checkpoint: str  # The prefix of its weights.
    # See `bert_tf.text.tokenization.FullTokenizer`; None where its files do not say.
    do_lower_case: bool | None = None
    strip_accents: bool | None = None


def find_model(model: str, options: DownloadOptions | None = None) -> ModelFiles:
    """Returns a model's files, after downloading, extracting or converting it if needed.

    `model` is a released name; `hf://OWNER/NAME` in the Hugging Face Hub; or the path of a folder,
    a checkpoint's prefix, a zip of these, or another format's folder or file (see
    `bert_tf.formats.source`). Raises a ValueError if there is no such model, or it is damaged; an
    OSError if it cannot be downloaded or read, or the cache cannot be written.
    """
    options = options or DownloadOptions()
    path = local_path(model, options)
    with files.naming_damage(model):
        if is_zip(path):
            return _files_in(unpack_archive(path, options.cache_dir))
        return _files_in(path) or _files_in(_convert(path, options.cache_dir))


def local_path(model: str, options: DownloadOptions | None = None) -> str:
    """Returns the path of a model in its own format, after downloading it if it is named.

    Arguments and errors are those of `find_model`.
    """
    options = options or DownloadOptions()
    if model.startswith(PREFIX):
        return download_from_hub(model, options.cache_dir)
    if is_zip(model) or files.exists(model) or files.exists(f"{model}.index"):
        return model
    try:
        find_released_model(model)
    except ValueError as error:
        raise ValueError(
            f"There is no file or folder {model!r} (working directory: {Path.cwd()}). {error}"
        ) from None
    return download_model(model, options)


def find_init_checkpoint(path: str) -> str:
    """Returns a checkpoint's path unchanged, or that of the checkpoint in a zip."""
    return _files_in(unpack_archive(path)).init_checkpoint if is_zip(path) else path


def is_zip(path: str) -> bool:
    """Returns whether `path` is that of a local zip."""
    return path.lower().endswith(".zip") and Path(path).is_file()


def _files_in(path: str) -> ModelFiles | None:
    """Returns the files of the name-based checkpoint at `path`, if any."""
    prefix = find_prefix(path)
    if prefix is None or is_object_based(prefix):
        return None
    folder = files.split_path(prefix)[0]
    if path != prefix and files.split_path(folder)[1] == BEST_FOLDER:
        logger.info("%s: the best weights are used, %s", path, prefix)
    folder = next(filter(find_config, folders_of(prefix)), folder)
    config_file = find_config(folder)
    if files.split_path(prefix)[1] == "variables":  # As other layouts, it is converted.
        return None
    if config_file is None:
        if find_beside(folder, "config.json"):
            return None
        raise ValueError(
            f"{folder}: there is no {CONFIG_NAME} beside the checkpoint {prefix}. Put it there, or "
            "give --bert_config_file, --vocab_file and --init_checkpoint instead of --model."
        )
    if not _has_plain_names(prefix):
        return None
    vocab_file = tokenizer_files.find_vocabulary(folder)
    return ModelFiles(config_file, vocab_file, prefix, *_normalization(folder, vocab_file))


def _has_plain_names(prefix: str) -> bool:
    """Returns whether a checkpoint's first embeddings, whose name its index has whole, are ours.

    If something else stands before `embeddings/`, reading the checkpoint as another format tells.
    """
    first = re.search(rb"([\w./-]*)embeddings/", files.read_bytes(f"{prefix}.index"))
    # ELECTRA's are not the first names, so that a byte of the index may stand before them.
    return first is None or re.fullmatch(rb"bert/|.?electra/", first[1]) is not None


def _normalization(folder: str, vocab_file: str | None) -> tuple[bool | None, bool | None]:
    """Returns do_lower_case and strip_accents from the first source that has them."""
    if description := model_folder.read_description(folder):
        return description.do_lower_case, description.strip_accents
    if vocab_file and tokenizer_files.is_byte_bpe(vocab_file):
        return False, None
    known = tokenizer_files.read_tokenizer_config(folder)
    if "do_lower_case" in known:
        return known["do_lower_case"], known.get("strip_accents")
    do_lower_case = tokenizer_files.case_of_folder(folder)
    if do_lower_case is None and vocab_file:
        do_lower_case = case_of_vocabulary(tokenizer_files.read_vocabulary(vocab_file))
    return do_lower_case, None


def _convert(path: str, cache_dir: str | None) -> str:
    """Returns the cache folder with another format's model, converted to google-research's."""
    from bert_tf.formats import google  # Imports TensorFlow.

    def make(folder: Path) -> None:
        model = read_pretrained(path)
        logger.info("Converting %s from %s to %s", path, model.format, final)
        for name, reason in model.dropped.items():
            logger.warning("%s: %s is left out: %s", path, name, reason)
        for note in model.notes:
            logger.info("%s: %s", path, note)
        google.write(model, str(folder))
        if model_folder.needs_description(model):
            model_folder.write_description(str(folder), model_folder.description_of(model))

    source = Path(path)
    name = plain_name(source.resolve().name)
    final = cache_folder(cache_dir) / "translated" / _key(source) / name
    return cached(final, path, make)


def _key(source: Path) -> str:
    """Returns a hash of a model's path and of its files' names, sizes and modification times."""
    if source.is_dir():
        folder = source
        found = {*source.glob("*"), *source.glob("*/*"), *source.glob("assets/**/*")}
    else:
        folder = source.parent
        found = [
            path
            for path in folder.iterdir()
            if path.name.startswith(source.name) or path.suffix in (".json", ".txt")
        ]
    total = hashlib.sha256(os.fsencode(source.resolve()))
    for path in sorted(path for path in found if path.is_file() and _MODEL_FILE.search(path.name)):
        stat = path.stat()
        line = f"\n{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}"
        total.update(os.fsencode(line))
    return total.hexdigest()[:KEY_DIGITS]
