"""Finds TensorFlow's checkpoints by the names of their files.

output/best/          the weights with the best evaluation
output/checkpoint     names the newest of output/model.ckpt-STEP
"""

import re
from collections.abc import Iterator

from bert_tf.files.paths import exists, is_directory, join_path, list_folder, read_bytes, split_path

BEST_FOLDER = "best"
CHECKPOINT_NAME = "bert_model.ckpt"  # As released.
_PART = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")


def find_prefix(path: str) -> str | None:
    """Returns the prefix of the checkpoint at `path`; None if there is none.

    `path` is a prefix (`.../bert_model.ckpt`), one of its files, or a folder, where the order is:
    the one in `best/` (training keeps its best weights there), `variables/variables`, the one named
    in the file `checkpoint`, `bert_model.ckpt`, the newest `model.ckpt-STEP`, the only checkpoint.
    Several others raise a ValueError.
    """
    prefix = _PART.sub("", path)
    if exists(f"{prefix}.index"):
        return prefix
    if not is_directory(path):
        return None
    best, variables = join_path(path, BEST_FOLDER), join_path(path, "variables/variables")
    if exists(join_path(best, "checkpoint")):
        return find_prefix(best)
    if exists(f"{variables}.index"):  # A TF-Hub module or another SavedModel.
        return variables
    names = [name[: -len(".index")] for name in list_folder(path) if name.endswith(".index")]
    if CHECKPOINT_NAME in names and not exists(join_path(path, "checkpoint")):
        return join_path(path, CHECKPOINT_NAME)
    if newest := next(newest_first(path), None):
        return newest
    if len(names) > 1:
        raise ValueError(
            f"{path}: there are {len(names)} checkpoints. Name one of them: {', '.join(names)}"
        )
    return join_path(path, names[0]) if names else None


def newest_first(folder: str) -> Iterator[str]:
    """Yields the prefixes of a folder's checkpoints, the one that `checkpoint` names first."""
    named, state = None, join_path(folder, "checkpoint")
    if exists(state):
        text = read_bytes(state).decode(errors="replace")  # A damaged file names nothing.
        match = re.search(r'^model_checkpoint_path: "(.*)"', text, re.MULTILINE)
        named = match and join_path(folder, split_path(match[1])[1])
    if named and exists(f"{named}.index"):
        yield named
    for step in sorted(saved_steps(folder), reverse=True):
        prefix = join_path(folder, f"model.ckpt-{step}")
        if prefix != named:
            yield prefix


def saved_steps(folder: str) -> list[int]:
    """Returns the steps of the numbered checkpoints of a folder."""
    matches = (re.fullmatch(r"model\.ckpt-(\d+)\.index", name) for name in list_folder(folder))
    return [int(match[1]) for match in matches if match]
