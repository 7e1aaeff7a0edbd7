"""A released model into the cache, and a zip of one: whole, verified, and only once.

    zip ── fetch ──> .part ── sizes, MD5 ──> unpack ── CRC, SHA-256, structure ──> rename
                       |                        |                                    |
              stays, to be continued      a temporary folder                   the cache

Killed anywhere, the same command goes on; whatever is wrong is removed, with a message that says
what it was. A model that is there needs no network.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from bert_tf.formats.structure import check_folder, check_release
from bert_tf.released.archive import checkpoint_name, extract_checkpoint
from bert_tf.released.cache import cache_folder, is_whole, new_folder, one_at_a_time, plain_name
from bert_tf.released.models import ReleasedModel, find_released_model, mirror_url
from bert_tf.released.transfer import Patience, digest, discard, fetch_zip

logger = logging.getLogger(__name__)

# Digits of a sum that name a folder of the cache.
_KEY_DIGITS = 16


def download_model(
    name: str,
    cache_dir: str | None = None,
    mirror: str | None = None,
    stream: TextIO | None = None,
    patience: Patience | None = None,
    zoo: Sequence[ReleasedModel] | None = None,
) -> str:
    """The folder of a released model, which is downloaded if it is not in the cache.

    Args:
        name: see `bert_tf.released.models.find_released_model`.
        cache_dir: see `bert_tf.released.cache.cache_folder`.
        mirror: see `bert_tf.released.models.mirror_url`.
        stream: where progress is shown; nowhere if None.
        patience: how long to bear with the server.
        zoo: the models to look among; all that were released if None.

    Returns: a folder with bert_config.json, vocab.txt and bert_model.ckpt.*.

    Raises:
        ValueError: if there is no such model, or what was downloaded is not it.
        OSError: if it cannot be downloaded or written, with what would do.
    """
    model = find_released_model(name, zoo)
    final = cache_folder(cache_dir) / model.path.removesuffix(".zip")
    if is_whole(final):
        return str(final)
    url = mirror_url(model, mirror)
    part = final.with_name(f"{final.name}.zip.part")
    with one_at_a_time(final):
        if not is_whole(final):
            logger.info("Downloading %s to %s", url, final)
            fetch_zip(url, part, patience, stream, model.zip_bytes)
            try:
                _unpack(part, final, url, model)
            except ValueError as error:
                discard(part)
                raise ValueError(
                    f"What {url} gave is not {model.name}, and was removed: {error}"
                ) from error
            discard(part)
    return str(final)


def unpack_archive(zip_path: str, cache_dir: str | None = None) -> str:
    """The folder of a checkpoint that was given as a zip, unpacked into the cache.

    The zip's content is its key: the same zip is unpacked once, wherever it lies, and another one
    of the same name is another model.

    Raises:
        ValueError: if the zip holds no whole checkpoint, see `extract_checkpoint` and
            `check_folder`.
        OSError: if it cannot be read, or the cache not be written.
    """
    path = Path(zip_path)
    key = digest(path, "sha256")[:_KEY_DIGITS]
    final = cache_folder(cache_dir) / "archives" / key / plain_name(checkpoint_name(path))
    if is_whole(final):
        return str(final)
    with one_at_a_time(final):
        if not is_whole(final):
            logger.info("Unpacking %s to %s", path, final)
            _unpack(path, final, str(path))
    return str(final)


def _unpack(path: Path, final: Path, source: str, model: ReleasedModel | None = None) -> None:
    """Makes `final` of a zip, which must hold a model that was released, or any model if None."""
    with new_folder(final, source) as folder:
        extract_checkpoint(path, folder)
        try:
            if model is None:
                check_folder(folder)
            else:
                _check_sums(folder, model)
                check_release(folder, model.config)
        except ValueError as error:
            # The temporary folder's name would say nothing.
            raise ValueError(f"{path}: {str(error).replace(f'{folder}/', '')}") from error


def _check_sums(folder: Path, model: ReleasedModel) -> None:
    for name, expected in model.sha256.items():
        path = folder / name
        found = digest(path, "sha256") if path.exists() else "no such file"
        if found != expected:
            raise ValueError(f"{name}: its SHA-256 is {expected}. Received: {found}")
