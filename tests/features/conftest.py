"""A small model for the tests of features, and what it gives for a line that it reads alone."""

import io

import numpy as np
import pytest

import bert_tf
from bert_tf.config import BertConfig
from bert_tf.features.extraction import extract_features
from bert_tf.settings import FeatureExtractionSettings

TOKENS = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "man", "went", "to", "a", "store"),
    *("##s", "is", "he", "?", ".", "|", "jack", "##son", "ville", "dog", "café"),
]
CONFIG = BertConfig(
    vocab_size=24,  # Two rows more than the vocabulary has, as padded tables have.
    hidden_size=8,
    num_hidden_layers=3,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=16,
    type_vocab_size=2,
    initializer_range=0.5,  # So that vectors differ from token to token.
)
LINES = [
    "The man went to the store.",
    "is he jackson? ||| the dog went to a store",
    "",
    "he",
    *("the dogs went " * n for n in (4, 1, 9, 2)),
    "  a dog unknownword  ",
]


@pytest.fixture(scope="session")
def vocabulary() -> list[str]:
    return TOKENS


@pytest.fixture(scope="session")
def lines() -> list[str]:
    """Single sequences and a pair, of many lengths; one is empty, two are too long."""
    return LINES


@pytest.fixture(scope="session")
def encoder():
    return bert_tf.BertEncoder(CONFIG)


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory, encoder):
    folder = tmp_path_factory.mktemp("model")
    (folder / "vocab.txt").write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    (folder / "bert_config.json").write_text(CONFIG.to_json_string(), encoding="utf-8")
    bert_tf.save_checkpoint(encoder, str(folder / "bert_model.ckpt"))
    return folder


@pytest.fixture(scope="session")
def tokenizer(model_dir):
    return bert_tf.FullTokenizer(str(model_dir / "vocab.txt"))


@pytest.fixture
def run(model_dir, tmp_path):
    """Runs the program on lines, and gives the path of what it wrote."""

    def run(lines=LINES, **changes) -> str:
        path = tmp_path / "input.txt"
        if not path.exists():
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        values = {
            "input_file": str(path),
            "output_file": str(tmp_path / "output"),
            "layers": "-1,0",
            "bert_config_file": str(model_dir / "bert_config.json"),
            "init_checkpoint": str(model_dir / "bert_model.ckpt"),
            "vocab_file": str(model_dir / "vocab.txt"),
            "max_seq_length": 16,
            "batch_size": 3,
            **changes,
        }
        extract_features(FeatureExtractionSettings(**values), io.StringIO())
        return values["output_file"]

    return run


@pytest.fixture(scope="session")
def expected_features(encoder):
    """(line, layers, max_seq_length) -> tokens, and the model's <float32>[tokens, layers, H]."""

    return lambda *arguments: _expected_features(encoder, *arguments)


def _expected_features(encoder, line: str, layers=(-1, 0), max_seq_length=16):
    """Tokens, and <float32>[tokens, layers, H], of one line that goes through the model alone."""
    pieces = {"dogs": ["dog", "##s"], "jackson": ["jack", "##son"], "unknownword": ["[UNK]"]}

    def tokenize(text):
        words = text.lower().replace(".", " .").replace("?", " ?").replace("|", " | ").split()
        return [piece for word in words for piece in pieces.get(word, [word])]

    first, _, second = line.strip().rpartition(" ||| ")
    tokens_a, tokens_b = tokenize(first or second), tokenize(second if first else "")
    while len(tokens_a) + len(tokens_b) > max_seq_length - (3 if tokens_b else 2):
        (tokens_a if len(tokens_a) > len(tokens_b) else tokens_b).pop()
    tokens = ["[CLS]", *tokens_a, "[SEP]"]
    segments = [0] * len(tokens)
    if tokens_b:
        tokens += [*tokens_b, "[SEP]"]
        segments += [1] * (len(tokens_b) + 1)
    inputs = {
        "input_ids": np.array([[TOKENS.index(token) for token in tokens]]),
        "segment_ids": np.array([segments]),
    }
    outputs = encoder(inputs)["all_encoder_layers"]
    return tokens, np.stack([np.array(outputs[i])[0] for i in layers], axis=1)
