"""A small model as google-research releases them: a folder, its zip, and its line in the zoo."""

import zipfile
from pathlib import Path

from bert_tf import BertEncoder, PretrainingModel, save_checkpoint
from bert_tf.released.released_model import ReleasedModel

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "man", "went", "##ing", "."]

MODEL = ReleasedModel(
    name="bert_small_test",
    path="2018_10_18/uncased_L-1_H-8_A-2.zip",
    num_hidden_layers=1,
    hidden_size=8,
    num_attention_heads=2,
    vocab_size=len(WORDS),
    do_lower_case=True,
)


def write_release(
    folder: Path, model: ReleasedModel = MODEL, heads: bool = True, words: list[str] | None = None
) -> Path:
    """bert_config.json, vocab.txt and bert_model.ckpt.* with random weights. Returns: `folder`."""
    folder.mkdir(parents=True)
    (folder / "bert_config.json").write_text(model.config.to_json_string())
    (folder / "vocab.txt").write_text("\n".join(words or WORDS) + "\n")
    encoder = BertEncoder(model.config)
    network = PretrainingModel(encoder) if heads else encoder
    save_checkpoint(network, str(folder / "bert_model.ckpt"))
    return folder


def write_zip(path: Path, folder: Path, root: str | None = None) -> Path:
    """A zip of a folder's files, which lie in `root` in it. Returns: `path`."""
    root = f"{folder.name}/" if root is None else root
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"{root}{file.name}")
    return path
