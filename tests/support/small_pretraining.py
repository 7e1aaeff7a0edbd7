"""Pre-training runs that take seconds: records, a teacher, and training on them."""

import io
import json

import numpy as np
import tensorflow as tf

import bert_tf
from bert_tf.data import schema
from bert_tf.model.encoders import make_encoder
from bert_tf.pretraining.objectives.masked_lm import MaskedLMModel
from bert_tf.pretraining.run import run_pretraining
from bert_tf.settings import PretrainingSettings
from bert_tf.training.checkpoint import save_checkpoint

CONFIG = {
    "vocab_size": 40,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 16,
    "type_vocab_size": 2,
    "initializer_range": 0.3,
}
MASK, LENGTH, PREDICTIONS = 4, 12, 3


def make_examples(num_examples, seed, next_sentence=True):
    """Records of 7 to 12 tokens, two or three of which are masked; and the tokens before that."""
    rng = np.random.default_rng(seed)
    examples, originals = [], []
    for _ in range(num_examples):
        size, num_masked = rng.integers(7, LENGTH + 1), rng.integers(2, PREDICTIONS + 1)
        tokens = np.zeros(LENGTH, np.int64)
        tokens[:size] = rng.integers(5, 40, size)
        positions = np.sort(rng.choice(np.arange(1, size), num_masked, replace=False))
        missing = [0, PREDICTIONS - num_masked]
        masked = tokens.copy()
        masked[positions] = MASK
        example = {
            "input_ids": masked,
            "input_mask": (np.arange(LENGTH) < size).astype(np.int64),
            "segment_ids": ((np.arange(LENGTH) >= 4) & (np.arange(LENGTH) < size)).astype(np.int64),
            "masked_lm_positions": np.pad(positions, missing),
            "masked_lm_ids": np.pad(tokens[positions], missing),
            "masked_lm_weights": np.pad(np.ones(num_masked, np.float32), missing),
        }
        if next_sentence:
            example["next_sentence_labels"] = rng.integers(0, 2, 1)
        examples.append(example)
        originals.append(tokens)
    return examples, np.array(originals)


def make_batch(examples):
    arrays = {name: np.stack([example[name] for example in examples]) for name in examples[0]}
    return {
        name: tf.constant(value, tf.float32 if value.dtype == np.float32 else tf.int32)
        for name, value in arrays.items()
    }


def write_files(folder):
    """Records with and without sentence pairs, configs with and without dropout, a teacher."""
    for name, next_sentence in (("pairs", True), ("segments", False)):
        with tf.io.TFRecordWriter(str(folder / f"{name}.tfrecord")) as writer:
            for example in make_examples(40, seed=7, next_sentence=next_sentence)[0]:
                writer.write(schema.encode_example(example))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    without = {**CONFIG, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "no_dropout.json").write_text(json.dumps(without))
    write_teacher(folder / "teacher")
    return folder


def write_teacher(folder, **changes):
    """A masked-LM model of three layers; `changes` of its config."""
    folder.mkdir()
    config = {**CONFIG, "num_hidden_layers": 3, **changes}
    (folder / "bert_config.json").write_text(json.dumps(config))
    tf.keras.utils.set_random_seed(11)
    model = MaskedLMModel(make_encoder(bert_tf.BertConfig.from_dict(config)))
    save_checkpoint(model, str(folder / "bert_model.ckpt"))


# Of a run of two checkpoints.
SETTINGS = {
    "max_seq_length": LENGTH,
    "max_predictions_per_seq": PREDICTIONS,
    "train_batch_size": 4,
    "num_train_steps": 8,
    "num_warmup_steps": 2,
    "learning_rate": 1e-2,
    "log_steps": 1,
}


def train(files, output, objective, records="pairs", config="config", **values):
    values = {
        "input_file": (f"{files}/{records}.tfrecord",),
        **SETTINGS,
        "save_checkpoints_steps": 4,
        "do_eval": True,
        **({"teacher": f"{files}/teacher"} if objective == "distillation" else {}),
        **values,
    }
    settings = PretrainingSettings(
        bert_config_file=f"{files}/{config}.json",
        output_dir=str(output),
        objective=objective,
        do_train=True,
        **values,
    )
    return run_pretraining(settings, io.StringIO())


def checkpoint(folder, step):
    reader = tf.train.load_checkpoint(str(folder / f"model.ckpt-{step}"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
