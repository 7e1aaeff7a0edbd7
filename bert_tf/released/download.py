"""Downloads a released model into the cache, or extracts a zip of one there.

    zip ── fetch ──> .part ── size, MD5 ──> extract ── CRC, SHA-256, structure ──> rename
                       |                       |                                     |
             kept, to be resumed       a temporary folder                        the cache

After an interruption the same command resumes. Wrong data is removed. A cached model needs no
network.
"""

import contextlib
import functools
import logging
from pathlib import Path

from bert_tf import files
from bert_tf.formats.source import CONFIG_NAME, TokenizerFiles
from bert_tf.formats.tokenizer_files import VOCAB_NAME, write_tokenizer
from bert_tf.released.archive import checkpoint_name, extract_checkpoint
from bert_tf.released.cache import cache_folder, cached, plain_name
from bert_tf.released.hub import PREFIX, download_from_hub
from bert_tf.released.models import find_released_model, mirror_url
from bert_tf.released.released_model import ReleasedModel
from bert_tf.released.transfer import DownloadOptions, discard, fetch_zip

logger = logging.getLogger(__name__)

# The number of hash digits in a cache folder's name.
KEY_DIGITS = 16


def download_model(name: str, options: DownloadOptions | None = None) -> str:
    """Returns the folder of a released model, after downloading it unless it is cached.

    The folder holds bert_config.json, vocab.txt and bert_model.ckpt.*; or, of a model in the Hub,
    what Hugging Face's libraries read.

    Raises a ValueError if there is no such model, or the downloaded file is not that model; an
    OSError if it cannot be downloaded or written.
    """
    options = options or DownloadOptions()
    model = find_released_model(name)
    if model.is_on_hub:
        return download_from_hub(f"{PREFIX}{model.path}", options.cache_dir)
    path = model.path.removesuffix(".zip").removesuffix(".tar.gz")
    final = cache_folder(options.cache_dir) / path
    part = final.with_name(f"{final.name}.zip.part")

    def make(folder: Path) -> None:
        url = mirror_url(model, options.mirror)
        logger.info("Downloading %s to %s", url, final)
        fetch_zip(url, part, options, model.max_zip_bytes)
        try:
            _extract(part, model, folder)
        except ValueError as error:
            discard(part)
            raise ValueError(f"{url}: it is not {model.name}, and was removed: {error}") from error
        discard(part)

    return cached(final, model.url, make)


def unpack_archive(zip_path: str, cache_dir: str | None = None) -> str:
    """Returns the cache folder with a zip's checkpoint, after extracting it once by its content."""
    path = Path(zip_path)
    model = _released_without_config(path.name)
    key = files.file_digest(zip_path)[:KEY_DIGITS]
    name = checkpoint_name(path, _found_by(model))
    final = cache_folder(cache_dir) / "archives" / key / plain_name(name)
    return cached(final, str(path), functools.partial(_extract, path, model))


def _released_without_config(name: str) -> ReleasedModel | None:
    """Returns the released model of an archive's name, if it is one without a configuration."""
    with contextlib.suppress(ValueError):
        model = find_released_model(name.removesuffix(".zip"))
        return None if model.has_config else model
    return None


def _found_by(model: ReleasedModel | None) -> str:
    """Returns the name of a file that the folder of a model has in its archive."""
    return CONFIG_NAME if model is None or model.has_config else VOCAB_NAME


def _extract(path: Path, model: ReleasedModel | None, folder: Path) -> None:
    """Extracts a zip to `folder`, and checks that it is `model`, or any model for None."""
    from bert_tf.formats.google import check_folder  # Imports TensorFlow.

    extract_checkpoint(path, folder, _found_by(model))
    if model and not model.has_config and not (folder / CONFIG_NAME).exists():
        (folder / CONFIG_NAME).write_text(model.config.to_json_string(), encoding="utf-8")
        case = TokenizerFiles(do_lower_case=model.do_lower_case)
        write_tokenizer(str(folder), case, model.config.longest_sequence)
    try:
        for name, expected in (model.sha256 if model else {}).items():
            file = folder / name
            found = files.file_digest(str(file)) if file.exists() else "no such file"
            if found != expected:
                raise ValueError(f"{name}: its SHA-256 is {expected}. Received: {found}")
        check_folder(str(folder), model.config if model and model.is_config_known else None)
    except ValueError as error:
        # Leaves out the temporary folder.
        raise ValueError(f"{path}: {str(error).replace(f'{folder}/', '')}") from error
