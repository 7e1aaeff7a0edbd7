"""Writes a module with google-research's code itself: python make_tf1.py (see README.md)."""

import shutil
import tempfile
from pathlib import Path

import comparison.runners.original_bert  # noqa: F401 - makes `bert` importable
import numpy as np
import tensorflow.compat.v1 as tf
from bert import modeling, run_pretraining

HERE = Path(__file__).parent
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "##s", "a", ".", ","]
CONFIG = modeling.BertConfig(
    vocab_size=len(WORDS),
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=12,
    max_position_embeddings=12,
)
INPUTS = ("input_ids", "input_mask", "segment_ids")


def build(vocab, is_training):
    """Returns a module's inputs, outputs and signatures, in the default graph."""
    inputs = {name: tf.placeholder(tf.int32, [None, None], name) for name in INPUTS}
    positions = tf.placeholder(tf.int32, [None, None], "mlm_positions")
    model = modeling.BertModel(CONFIG, is_training, *inputs.values())
    _, _, log_probs = run_pretraining.get_masked_lm_output(
        CONFIG,
        model.get_sequence_output(),
        model.get_embedding_table(),
        positions,
        tf.zeros_like(positions),
        tf.ones_like(positions, tf.float32),
    )
    asset = tf.constant(str(vocab))
    tf.add_to_collection(tf.GraphKeys.ASSET_FILEPATHS, asset)
    outputs = {
        "sequence_output": model.get_sequence_output(),
        "pooled_output": model.get_pooled_output(),
    }
    information = {
        "vocab_file": asset,
        "do_lower_case": tf.constant(True, name="do_lower_case"),
    }
    signatures = {
        name: tf.saved_model.signature_def_utils.build_signature_def(
            *(
                {key: tf.saved_model.utils.build_tensor_info(value) for key, value in part.items()}
                for part in parts
            )
        )
        for name, parts in {
            "tokens": (inputs, outputs),
            "tokenization_info": ({}, information),
        }.items()
    }
    return {**inputs, "masked_lm_positions": positions}, {
        **outputs,
        "mlm_log_probs": log_probs,
    }, signatures


def main():
    random = np.random.default_rng(0)
    ids = random.integers(1, len(WORDS), (3, 8)).astype("int32")
    mask, segments = np.ones_like(ids), np.zeros_like(ids)
    ids[1, 6:] = mask[1, 6:] = 0
    segments[:, 4:] = 1
    positions = np.array([[1, 2], [3, 4], [5, 0]], "int32")
    with tempfile.TemporaryDirectory() as folder:
        vocab, module = Path(folder) / "vocab.txt", Path(folder) / "module"
        vocab.write_text("\n".join(WORDS) + "\n", encoding="utf-8")
        builder = tf.saved_model.builder.SavedModelBuilder(str(module))
        values = {}
        for is_training in (True, False):
            with tf.Graph().as_default(), tf.Session() as session:
                inputs, outputs, signatures = build(vocab, is_training)
                session.run(tf.global_variables_initializer())
                for variable in tf.global_variables():
                    value = session.run(variable)
                    name = variable.op.name
                    values.setdefault(name, value + random.normal(0, 0.2, value.shape))
                    variable.load(values[name], session)
                assets = tf.get_collection(tf.GraphKeys.ASSET_FILEPATHS)
                options = {"signature_def_map": signatures, "assets_collection": assets}
                if is_training:
                    builder.add_meta_graph_and_variables(session, ["train"], **options)
                    continue
                builder.add_meta_graph([], **options)
                fed = dict(
                    zip(inputs.values(), (ids, mask, segments, positions), strict=True)
                )
                computed = session.run(outputs, fed)
        builder.save()
        (module / "tfhub_module.pb").write_bytes(b"\x08\x03")  # As TF-Hub marks its modules.
        shutil.make_archive(HERE / "tf1_encoder", "gztar", module)
    np.savez(
        HERE / "tf1_encoder.npz",
        input_ids=ids,
        input_mask=mask,
        segment_ids=segments,
        masked_lm_positions=positions,
        **computed,
    )


if __name__ == "__main__":
    main()
