"""A folder's files, which get their names together, when all of them are whole and checked.

with new_files("model") as folder:      # model/.9f2c01aa.tmp
    ...                                 # write the files, read them back, compare
                                        # now they lie in model/
"""

import contextlib
import secrets
from collections.abc import Iterator

import tensorflow as tf

from bert_tf.files.paths import join_path


@contextlib.contextmanager
def new_files(folder: str, overwrite: bool = False) -> Iterator[str]:
    """A temporary folder whose files move into `folder` when the block ends without an error.

    If it ends with one, nothing is left of them, and `folder` is as it was.

    Args:
        folder: where they shall lie; it need not exist.
        overwrite: whether they may take the place of files of the same names.

    Raises:
        ValueError: if such files are there, and `overwrite` is not set.
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
        # An index last: what it names is there then.
        for name in sorted(names, key=lambda name: ".index" in name):
            source, target = (join_path(place, name) for place in (temporary, folder))
            tf.io.gfile.rename(source, target, overwrite=True)
        tf.io.gfile.rmtree(temporary)
    except BaseException:
        tf.io.gfile.rmtree(temporary if was_there else folder)
        raise


def check_free(folder: str, names: tuple[str, ...], overwrite: bool) -> None:
    """Refuses at once, before any work, to write over files in `folder`.

    Raises:
        ValueError: if one of `names` is there, and `overwrite` is not set.
    """
    there = [name for name in names if tf.io.gfile.exists(join_path(folder, name))]
    if there and not overwrite:
        raise ValueError(_refusal(folder, there))


def _refusal(folder: str, names: list[str]) -> str:
    return (
        f"{folder}: {', '.join(names)} would be overwritten. Choose another folder, or allow it "
        "with --overwrite."
    )
