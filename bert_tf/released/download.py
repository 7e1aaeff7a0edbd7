"""Downloads a released model into the cache, or extracts a zip of one there.

    zip ── fetch ──> .part ── size, MD5 ──> extract ── CRC, SHA-256, structure ──> rename
                       |                       |                                     |
             kept, to be resumed       a temporary folder                        the cache

After an interruption the same command resumes. Wrong data is removed with a message that says what
was wrong. A model in the cache needs no network.
"""

import dataclasses
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

# How many digits of a hash name a folder of the cache.
KEY_DIGITS = 16


@dataclasses.dataclass(frozen=True)
class DownloadOptions:
    """Says how models are downloaded and where they are kept.

    cache_dir: see `bert_tf.released.cache.cache_folder`.
    mirror: see `bert_tf.released.models.mirror_url`.
    stream: where progress is shown; None for nowhere.
    patience: when to give up on a server; None for the usual limits.
    models: the models to choose from; None for all released ones.
    """

    cache_dir: str | None = None
    mirror: str | None = None
    stream: TextIO | None = None
    patience: Patience | None = None
    models: Sequence[ReleasedModel] | None = None


def download_model(name: str, options: DownloadOptions | None = None) -> str:
    """Returns the folder of a released model, after downloading it unless it is in the cache.

    The folder holds bert_config.json, vocab.txt and bert_model.ckpt.*.

    Args:
        name: see `bert_tf.released.models.find_released_model`.
        options: see DownloadOptions.

    Raises:
        ValueError: if there is no such model, or the downloaded file is not that model.
        OSError: if it cannot be downloaded or written, with what to do.
    """
    options = options or DownloadOptions()
    model = find_released_model(name, options.models)
    final = cache_folder(options.cache_dir) / model.path.removesuffix(".zip")
    if is_whole(final):
        return str(final)
    url = mirror_url(model, options.mirror)
    part = final.with_name(f"{final.name}.zip.part")
    with one_at_a_time(final):
        if not is_whole(final):
            logger.info("Downloading %s to %s", url, final)
            fetch_zip(url, part, options.patience, options.stream, model.zip_bytes)
            try:
                _extract(part, final, url, model)
            except ValueError as error:
                discard(part)
                raise ValueError(
                    f"What {url} gave is not {model.name}, and was removed: {error}"
                ) from error
            discard(part)
    return str(final)


def unpack_archive(zip_path: str, cache_dir: str | None = None) -> str:
    """Returns the folder in the cache with the checkpoint of a zip, after extracting it once.

    The folder is found by the zip's content: where the zip is and what it is called do not matter.

    Raises:
        ValueError: if the zip holds no complete checkpoint; see `extract_checkpoint` and
            `check_folder`.
        OSError: if the zip cannot be read or the cache cannot be written.
    """
    path = Path(zip_path)
    key = digest(path, "sha256")[:KEY_DIGITS]
    final = cache_folder(cache_dir) / "archives" / key / plain_name(checkpoint_name(path))
    if is_whole(final):
        return str(final)
    with one_at_a_time(final):
        if not is_whole(final):
            logger.info("Extracting %s to %s", path, final)
            _extract(path, final, str(path))
    return str(final)


def _extract(path: Path, final: Path, source: str, model: ReleasedModel | None = None) -> None:
    """Extracts a zip to `final`, and checks that it is `model`, or any model if None."""
    with new_folder(final, source) as folder:
        extract_checkpoint(path, folder)
        try:
            if model is None:
                check_folder(folder)
            else:
                _check_sums(folder, model)
                check_release(folder, model.config)
        except ValueError as error:
            # The name of the temporary folder would not help.
            raise ValueError(f"{path}: {str(error).replace(f'{folder}/', '')}") from error


def _check_sums(folder: Path, model: ReleasedModel) -> None:
    for name, expected in model.sha256.items():
        path = folder / name
        found = digest(path, "sha256") if path.exists() else "no such file"
        if found != expected:
            raise ValueError(f"{name}: its SHA-256 is {expected}. Received: {found}")
