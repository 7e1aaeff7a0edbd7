"""Finds the data sets of tensorflow-datasets, whose library is imported only then."""

import contextlib
from typing import Any

from bert_tf import files


def find_builder(name: str, data_dir: str | None = None) -> Any:
    """What reads a data set's files, of whatever version. They are got and made if there are none.

    Args:
        name: as `tfds.load` takes it.
        data_dir: the folder of the data sets, or of this one; None or "": that of
            tensorflow-datasets.

    Returns: a `tfds.core.DatasetBuilder`.

    Raises:
        ValueError: if there is no such data set and it cannot be got, with what would do.
    """
    import tensorflow_datasets as tfds

    if data_dir and files.exists(files.join_path(data_dir, "dataset_info.json")):
        return tfds.builder_from_directory(data_dir)
    with contextlib.suppress(tfds.core.registered.DatasetNotFoundError):
        return tfds.core.read_only_builder.builder_from_files(name, data_dir=data_dir or None)
    try:
        builder = tfds.builder(name, data_dir=data_dir or None)
        builder.download_and_prepare()
    except Exception as error:  # Of many kinds: no network, no such data set, a full disk.
        raise ValueError(
            f"tensorflow-datasets has no {name} in {data_dir or 'its folder'}, and could not get "
            f"it ({type(error).__name__}: {error}). Prepare it where it can, with: tfds build "
            f"{name} --data_dir=FOLDER"
        ) from error
    return builder
