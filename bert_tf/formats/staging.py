"""Writes several files to a folder so that either all of them appear or none.

with new_files("model") as folder:      # model/.9f2c01aa.tmp
    ...                                 # written files move to model/ at the end
"""

import contextlib
import secrets
from collections.abc import Iterable, Iterator

import tensorflow as tf

from bert_tf.files.paths import exists, join_path


@contextlib.contextmanager
def new_files(folder: str, overwrite: bool = False) -> Iterator[str]:
    """Yields a temporary folder; its files move to `folder`, or are removed after an error."""
    was_there = tf.io.gfile.isdir(folder)
    temporary = join_path(folder, f".{secrets.token_hex(4)}.tmp")
    tf.io.gfile.makedirs(temporary)
    try:
        yield temporary
        names = tf.io.gfile.listdir(temporary)
        check_free(folder, sorted(names), overwrite)
        # An index moves last, after the files that it lists.
        for name in sorted(names, key=lambda name: ".index" in name):
            tf.io.gfile.rename(join_path(temporary, name), join_path(folder, name), overwrite=True)
        tf.io.gfile.rmtree(temporary)
    except BaseException:
        tf.io.gfile.rmtree(temporary if was_there else folder)
        raise


def check_free(folder: str, names: Iterable[str], overwrite: bool) -> None:
    """Raises a ValueError if one of `names` exists in `folder`, unless `overwrite` is set."""
    there = [name for name in names if exists(join_path(folder, name))]
    if there and not overwrite:
        raise ValueError(
            f"{folder}: {', '.join(there)} would be overwritten. Choose another folder, or give "
            "--overwrite."
        )
