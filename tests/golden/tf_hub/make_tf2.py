"""Writes modules with tensorflow/models' exporter itself: python make_tf2.py (see README.md)."""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import shutil
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from official.legacy.bert import configs
from official.nlp.tools import export_tfhub_lib

HERE = Path(__file__).parent
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "The", "cat", "sat", "##s", "é", "a", "."]
SHAPE = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 12,
}


def main():
    random = np.random.default_rng(0)
    config = configs.BertConfig(vocab_size=len(WORDS), **SHAPE)
    _, pretrainer = export_tfhub_lib._create_model(bert_config=config, with_mlm=True)
    for weight in pretrainer.weights:
        weight.assign(weight + random.normal(0, 0.2, weight.shape))
    with tempfile.TemporaryDirectory() as folder:
        vocab = f"{folder}/vocab.txt"
        Path(vocab).write_text("\n".join(WORDS) + "\n", encoding="utf-8")
        items = tf.train.Checkpoint(**pretrainer.checkpoint_items)
        export_tfhub_lib.export_model(
            f"{folder}/encoder",
            bert_config=config,
            model_checkpoint_path=items.save(f"{folder}/checkpoint"),
            with_mlm=True,
            vocab_file=vocab,
            do_lower_case=False,
        )
        export_tfhub_lib.export_preprocessing(
            f"{folder}/preprocess",
            vocab_file=vocab,
            do_lower_case=False,
            tokenize_with_offsets=False,
            default_seq_length=8,
        )
        module = tf.saved_model.load(f"{folder}/encoder")
        for name in ("encoder", "preprocess"):
            shutil.make_archive(HERE / f"tf2_{name}", "gztar", f"{folder}/{name}")
    ids = random.integers(1, len(WORDS), (3, 8)).astype("int32")
    mask, segments = np.ones_like(ids), np.zeros_like(ids)
    ids[1, 6:] = mask[1, 6:] = 0
    segments[:, 4:] = 1
    positions = np.array([[1, 2], [3, 4], [5, 0]], "int32")
    outputs = module.mlm(
        {
            "input_word_ids": ids,
            "input_mask": mask,
            "input_type_ids": segments,
            "masked_lm_positions": positions,
        }
    )
    names = ("sequence_output", "pooled_output", "mlm_logits")
    np.savez(
        HERE / "tf2_encoder.npz",
        input_ids=ids,
        input_mask=mask,
        segment_ids=segments,
        masked_lm_positions=positions,
        **{name: outputs[name] for name in names},
    )


if __name__ == "__main__":
    main()
