"""Finds data sets of tensorflow-datasets, which is imported only when needed."""

import contextlib
from typing import Any

from bert_tf import files


def find_builder(name: str, data_dir: str | None = None) -> Any:
    """Returns the `tfds.core.DatasetBuilder` of a data set, which is prepared if needed.

    `data_dir` is the folder of all data sets or of this one; None or "" for the default. Raises a
    ValueError if the data set does not exist or cannot be prepared.
    """
    import tensorflow_datasets as tfds

    if data_dir and files.exists(files.join_path(data_dir, "dataset_info.json")):
        return tfds.builder_from_directory(data_dir)
    with contextlib.suppress(tfds.core.registered.DatasetNotFoundError):
        return tfds.core.read_only_builder.builder_from_files(name, data_dir=data_dir or None)
    try:
        builder = tfds.builder(name, data_dir=data_dir or None)
        builder.download_and_prepare()
    except Exception as error:  # Many classes: no network, no such data set, a full disk.
        raise ValueError(
            f"tensorflow-datasets has no {name} in {data_dir or 'its folder'}, and could not "
            f"prepare it ({type(error).__name__}: {error}). Prepare it where that is possible: "
            f"tfds build {name} --data_dir=FOLDER"
        ) from error
    return builder
