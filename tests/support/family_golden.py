"""Finds what the original authors' code of BERT's successors computed."""

import os
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).resolve().parent.parent.parent


def family_file(name: str) -> Path:
    """The path of a golden file, such as albert/forward.npz.

    The larger ones are not part of the repository: without them the test is skipped.
    """
    data = Path(os.environ.get("BERT_TF_DATA") or _REPOSITORY.parent / "shared" / "data")
    for folder in (_REPOSITORY / "tests" / "golden" / "family", data.parent / "golden" / "family"):
        if (folder / name).exists() or (folder / f"{name}.index").exists():
            return folder / name
    return pytest.skip(f"no {name} among the golden values; they lie in ../shared/golden/family")
