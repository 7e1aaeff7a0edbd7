"""Finds SavedModels in numbered version folders, the layout of TensorFlow Serving.

EXPORT_DIR/3/saved_model.pb, variables/     what TensorFlow Serving loads
EXPORT_DIR/3/assets.extra/                  serving.json (the description), vocab.txt,
                                            bert_config.json, tf_serving_warmup_requests
"""

import re

import tensorflow as tf

from bert_tf import files

DESCRIPTION = "assets.extra/serving.json"


def _versions(export_dir: str) -> list[int]:
    """Returns the version numbers, highest first."""
    if not files.is_directory(export_dir):
        return []
    names = (name.rstrip("/") for name in tf.io.gfile.listdir(export_dir))
    return sorted((int(name) for name in names if re.fullmatch("[0-9]+", name)), reverse=True)


def find_saved_model(path: str) -> str | None:
    """Returns the SavedModel at `path`: itself, or its newest version; None if there is none."""
    folders = [path, *(files.join_path(path, str(number)) for number in _versions(path))]
    found = (f for f in folders if files.exists(files.join_path(f, "saved_model.pb")))
    return next(found, None)


def version_folder(export_dir: str, version: int) -> str:
    """Returns the path for a new version (0: one above the highest); a ValueError if it exists."""
    version = version or 1 + max(_versions(export_dir), default=0)
    folder = files.join_path(export_dir, str(version))
    if files.exists(folder):
        raise ValueError(f"{folder} exists already. Use another --version, or 0 for the next one.")
    return folder
