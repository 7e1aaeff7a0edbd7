"""Where tests find the scripts, the golden values and, where present, the real data sets; and a
small task that can be learned: a vocabulary, a config, and reviews that are good or bad.
"""

import gc
import json
import os
import random
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

# Fixtures that the tests of several packages share, in tests/support.
pytest_plugins = ["browser", "record_fixtures", "served_model_fixtures"]

REPOSITORY = Path(__file__).resolve().parent.parent
# A shell has what it starts in the background ignore Ctrl-C, and so would all that is started here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="module")
def _little_garbage():
    """Hides what there is already, graphs of other tests above all, from the garbage collector.

    Keras calls it for every weight that it quantizes, and it would look at millions of objects.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _forked_validation(monkeypatch):
    """Has exports validated by a process that need not import TensorFlow.

    Scripts that tests run validate in a fresh one, as users do.
    """
    if validation := sys.modules.get("bert_tf.serving.validation"):
        from forked_python import run

        by_fork = SimpleNamespace(run=lambda command, cwd, **_: run(command, cwd=cwd))
        monkeypatch.setattr(validation, "subprocess", by_fork)


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
    folder = Path(os.environ.get("BERT_TF_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data sets at {folder}; set BERT_TF_DATA to where they are")
    return folder


WORDS = {"1": ["good", "fine", "great", "lovely"], "0": ["bad", "poor", "awful", "dull"]}
FILLERS = ["the", "film", "is", "was", "a", "very", "plot", "and", "cast", "story"]
CONFIG = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
    "type_vocab_size": 2,
    "initializer_range": 0.1,
}


def write_small_model(folder: Path) -> dict[str, str]:
    """vocab.txt and bert_config.json. Returns: the flags that name them."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [*WORDS["0"], *WORDS["1"], *FILLERS]
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, ".", "?"]
    (folder / "vocab.txt").write_text("\n".join(vocab) + "\n")
    (folder / "bert_config.json").write_text(json.dumps({**CONFIG, "vocab_size": len(vocab)}))
    return {
        "vocab_file": str(folder / "vocab.txt"),
        "bert_config_file": str(folder / "bert_config.json"),
    }


def review(label: str, rng: random.Random) -> str:
    """A sentence of 2 to 15 words with one that tells."""
    words = rng.choices(FILLERS, k=rng.randint(1, 14))
    words.insert(rng.randint(0, len(words)), rng.choice(WORDS[label]))
    return " ".join(words)


def write_reviews(folder: Path, num_train: int = 256, num_dev: int = 40) -> str:
    """train.tsv, dev.tsv and test.tsv as GLUE has them for SST-2. Returns: the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(5)
    for name, size in (("train", num_train), ("dev", num_dev)):
        labels = [rng.choice("01") for _ in range(size)]
        rows = [f"{review(label, rng)}\t{label}" for label in labels]
        (folder / f"{name}.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
    labels = [rng.choice("01") for _ in range(11)]
    rows = [f"{i}\t{review(label, rng)}" for i, label in enumerate(labels)]
    (folder / "test.tsv").write_text("\n".join(["index\tsentence", *rows]) + "\n")
    (folder / "test_labels.txt").write_text("\n".join(labels))
    return str(folder)


@pytest.fixture(scope="session")
def small_model(tmp_path_factory) -> dict[str, str]:
    """Flags that name a small model's vocabulary and config."""
    return write_small_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def reviews(tmp_path_factory) -> str:
    """A folder with train.tsv, dev.tsv and test.tsv in the layout of GLUE's SST-2."""
    return write_reviews(tmp_path_factory.mktemp("reviews"))
