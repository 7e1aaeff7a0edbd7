"""What the tests of the tokenizers share."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture(scope="session")
def straightforward() -> ModuleType:
    """The tokenizer's rules written a second time, without tables and caches."""
    path = Path(__file__).parents[2] / "benchmarks" / "straightforward_tokenizer.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def write_vocab(tmp_path):
    """Writes tokens into a vocabulary file, behind the special ones, and returns its path."""

    def write(tokens, name="vocab.txt"):
        path = tmp_path / name
        path.write_text("\n".join([*SPECIAL_TOKENS, *tokens]) + "\n", encoding="utf-8")
        return str(path)

    return write
