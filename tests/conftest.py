"""Where tests find the scripts, the golden values and, where present, the real data sets."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Values that the original release's own code computed."""
    return REPOSITORY / "tests" / "golden"


@pytest.fixture(scope="session")
def scripts_dir() -> Path:
    """The folder of the command line programs, which are run as a user runs them."""
    return REPOSITORY / "run_scripts"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real data sets, which are not part of the repository: the test is skipped without them."""
    folder = Path(os.environ.get("BERT_TF_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data sets at {folder}; set BERT_TF_DATA to where they are")
    return folder
