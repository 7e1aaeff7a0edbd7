"""SavedModels in folders of versions, which a server sees only when they are complete.

EXPORT_DIR/3/saved_model.pb, variables/     what TensorFlow Serving loads
EXPORT_DIR/3/assets.extra/serving.json      describes the model, its signatures and outputs
EXPORT_DIR/3/assets.extra/vocab.txt, bert_config.json
EXPORT_DIR/3/assets.extra/tf_serving_warmup_requests
"""

import contextlib
import re
import secrets
from collections.abc import Iterator

import tensorflow as tf

from bert_tf import files

DESCRIPTION = "assets.extra/serving.json"


def _versions(export_dir: str) -> list[int]:
    """Returns the numbers of the versions, the highest one first."""
    if not files.is_directory(export_dir):
        return []
    names = (name.rstrip("/") for name in tf.io.gfile.listdir(export_dir))
    return sorted((int(name) for name in names if re.fullmatch("[0-9]+", name)), reverse=True)


def find_saved_model(path: str) -> str | None:
    """Returns the SavedModel at `path`: itself, or its newest version; None if there is none."""
    folders = [path, *(files.join_path(path, str(number)) for number in _versions(path))]
    found = (f for f in folders if files.exists(files.join_path(f, "saved_model.pb")))
    return next(found, None)


def next_version(export_dir: str) -> int:
    """Returns one above the highest version; 1 in an empty or missing folder."""
    return 1 + max(_versions(export_dir), default=0)


@contextlib.contextmanager
def new_version(export_dir: str, version: int) -> Iterator[str]:
    """Yields a folder that becomes `export_dir/version` unless an error removes it.

    Until then its name is none that a server looks at.

    Raises:
        ValueError: if the version exists already.
    """
    final = files.join_path(export_dir, str(version))
    if files.exists(final):
        raise ValueError(
            f"{final} is there already. A server may be using it: take another --version, or 0 for "
            "the next one."
        )
    files.make_directories(export_dir)
    temporary = files.join_path(export_dir, f".{version}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        tf.io.gfile.rename(temporary, final)
    finally:
        if files.exists(temporary):
            tf.io.gfile.rmtree(temporary)
