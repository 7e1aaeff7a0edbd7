"""Caches downloaded, extracted and converted models in a folder.

    $BERT_TF_CACHE, else ~/.cache/bert_tf
        2018_10_18/uncased_L-12_H-768_A-12/     a released model, under its own path
        archives/KEY/NAME/                      a zip given by its path
        translated/KEY/NAME/                    a model converted from another format

A folder is renamed to its final name when complete. Its `files.json` lists the files' sizes, so a
damaged folder is noticed without reading it, and made again.
"""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from bert_tf import files
from bert_tf.config import write_json

CACHE_VARIABLE = "BERT_TF_CACHE"
_INVENTORY_NAME = "files.json"


def cache_folder(cache_dir: str | None = None) -> Path:
    """Returns the cache folder: `cache_dir`, $BERT_TF_CACHE, or ~/.cache/bert_tf."""
    folder = cache_dir or os.environ.get(CACHE_VARIABLE)
    return Path(folder).expanduser() if folder else Path.home() / ".cache" / "bert_tf"


def plain_name(name: str) -> str:
    """Returns a folder name without glob characters."""
    return re.sub(r"[^\w.+-]", "_", name).lstrip(".") or "model"


def cached(final: Path, source: str, make: Callable[[Path], None]) -> str:
    """Returns the folder `final`, which `make` fills unless it is complete.

    One process or thread makes it while others wait; after an error nothing is left. `source` is
    recorded in `files.json`.
    """
    if _is_whole(final):
        return str(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    with files.hold_file(str(final), waits=True):
        if _is_whole(final):  # Another process or thread has made it.
            return str(final)
        with files.new_folder(str(final)) as temporary:
            folder = Path(temporary)
            make(folder)
            sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
            write_json(str(folder / _INVENTORY_NAME), {"source": source, "files": sizes})
            shutil.rmtree(final, ignore_errors=True)  # It is damaged.
    return str(final)


def _is_whole(folder: Path) -> bool:
    try:
        sizes = json.loads((folder / _INVENTORY_NAME).read_text(encoding="utf-8"))["files"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
