"""Writes several files to a folder so that either all of them appear or none.

with new_files("model") as folder:      # model/.9f2c01aa.tmp
    ...                                 # write the files, check them
                                        # now they are in model/
"""

import contextlib
import secrets
from collections.abc import Iterator

import tensorflow as tf

from bert_tf.files.paths import join_path


@contextlib.contextmanager
def new_files(folder: str, overwrite: bool = False) -> Iterator[str]:
    """Yields a temporary folder whose files move to `folder` if the block ends without an error.

    After an error they are removed, and `folder` is as before.

    Args:
        folder: the folder for the files; it need not exist.
        overwrite: whether existing files may be overwritten.

    Raises:
        ValueError: if files exist and `overwrite` is not set.
    """
    was_there = tf.io.gfile.isdir(folder)
    temporary = join_path(folder, f".{secrets.token_hex(4)}.tmp")
    tf.io.gfile.makedirs(temporary)
    try:
        yield temporary
        names = sorted(tf.io.gfile.listdir(temporary))
        there = [name for name in names if tf.io.gfile.exists(join_path(folder, name))]
        if there and not overwrite:
            raise ValueError(_refusal(folder, there))
        # An index comes last, when the files that it lists are in place.
        for name in sorted(names, key=lambda name: ".index" in name):
            source, target = (join_path(place, name) for place in (temporary, folder))
            tf.io.gfile.rename(source, target, overwrite=True)
        tf.io.gfile.rmtree(temporary)
    except BaseException:
        tf.io.gfile.rmtree(temporary if was_there else folder)
        raise


def check_free(folder: str, names: tuple[str, ...], overwrite: bool) -> None:
    """Refuses to overwrite files in `folder`, before any work is done.

    Raises:
        ValueError: if one of `names` exists and `overwrite` is not set.
    """
    there = [name for name in names if tf.io.gfile.exists(join_path(folder, name))]
    if there and not overwrite:
        raise ValueError(_refusal(folder, there))


def _refusal(folder: str, names: list[str]) -> str:
    return (
        f"{folder}: {', '.join(names)} would be overwritten. Choose another folder, or give "
        "--overwrite."
    )
