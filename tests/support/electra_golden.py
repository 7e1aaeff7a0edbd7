"""The small ELECTRA of which google-research's code computed the golden values."""

import json
import shutil

import numpy as np
import tensorflow as tf
from family_golden import family_file

import bert_tf

ENCODER_FEATURES = ("input_ids", "input_mask", "segment_ids")


def golden(name):
    return np.load(family_file(f"electra/{name}.npz"))


def config():
    settings = json.loads(family_file("electra/pretraining_config.json").read_text())
    return bert_tf.BertConfig(
        vocab_size=settings["vocab_size"],
        type_vocab_size=2,
        model_type="electra",
        embedding_size=settings["embedding_size"],
        generator_hidden_size=settings["generator_hidden_size"],
        generator_layers=settings["generator_layers"],
        **settings["model_hparam_overrides"],
    )


def write_folder(folder):
    """Writes the checkpoint of both models as a training leaves it. Returns the folder's path."""
    source = family_file("electra/model.ckpt")
    for part in ("index", "data-00000-of-00001"):
        shutil.copy(f"{source}.{part}", folder / f"bert_model.ckpt.{part}")
    (folder / "bert_config.json").write_text(config().to_json_string())
    shutil.copy(family_file("electra/vocab.txt"), folder / "vocab.txt")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    return str(folder)


def load(model):
    """Loads the checkpoint; all weights of the model must be in it."""
    report = bert_tf.load_checkpoint(model, str(family_file("electra/model.ckpt")))
    assert not report.missing
    return model


def tensors(values, prefix, names=None, step=...):
    """The tensors under a prefix by the rest of their names."""
    found = {name.removeprefix(prefix): values[name] for name in values.files if prefix in name}
    return {name: tf.constant(found[name][step]) for name in names or found}
