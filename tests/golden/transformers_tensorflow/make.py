"""Writes the files of this folder with transformers itself: python make.py (see README.md)."""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras
import transformers

HERE = Path(__file__).parent
SHAPE = {
    "vocab_size": 24,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 12,
}
LABELS = {0: "no", 1: "perhaps", 2: "yes"}
RANDOM = np.random.default_rng(0)


def inputs(segments=True, padding=0):
    ids = RANDOM.integers(5, SHAPE["vocab_size"], (3, 8)).astype("int32")
    mask = np.ones_like(ids)
    ids[1, 6:], mask[1, 6:] = padding, 0
    types = np.zeros_like(ids)
    types[:, 4:] = segments
    return ids, mask, types


def shake(model):
    """Moves all weights from where biases are 0 and norms are 1."""
    for weight in model.weights:
        if weight.dtype.is_floating:
            weight.assign(weight + tf.constant(RANDOM.normal(0, 0.2, weight.shape), weight.dtype))


def save(name, model, segments=True, **options):
    ids, mask, types = inputs(segments, model.config.pad_token_id)
    features = {"input_ids": ids, "attention_mask": mask}
    if segments:
        features["token_type_ids"] = types
    model(features)
    shake(model)
    outputs = {key: np.asarray(value) for key, value in model(features).items()}
    model.save_pretrained(HERE / name, **options)
    features = {"input_ids": ids, "input_mask": mask, "segment_ids": types}
    np.savez(HERE / f"{name}.npz", **features, **outputs)


def save_keras(name, connect):
    layer = transformers.TFBertModel(transformers.BertConfig(**SHAPE))
    names = ("input_ids", "attention_mask", "token_type_ids")
    keras_inputs = {n: tf_keras.Input((8,), dtype="int32", name=n) for n in names}
    model = tf_keras.Model(keras_inputs, connect(layer, keras_inputs))
    shake(model)
    ids, mask, types = inputs()
    features = dict(zip(names, (ids, mask, types), strict=True))
    model.compile("adam", "mse")
    model.train_on_batch(features, np.zeros(model(features).shape))
    model.save(HERE / f"{name}.h5")
    features = {"input_ids": ids, "input_mask": mask, "segment_ids": types}
    outputs = model(dict(zip(names, (ids, mask, types), strict=True)))
    pooled = layer(ids, attention_mask=mask, token_type_ids=types).pooler_output
    np.savez(HERE / f"{name}.npz", **features, outputs=outputs, pooler_output=pooled)


def main():
    t = transformers
    labels = {"id2label": LABELS, "num_labels": len(LABELS)}
    save("classifier", t.TFBertForSequenceClassification(t.BertConfig(**SHAPE, **labels)))
    save("pretraining", t.TFBertForPreTraining(t.BertConfig(**SHAPE)))
    sharded = t.TFBertForTokenClassification(t.BertConfig(**SHAPE, **labels))
    save("sharded_tagging", sharded, max_shard_size="5KB")
    roberta = t.RobertaConfig(**{**SHAPE, "max_position_embeddings": 14, "type_vocab_size": 1})
    save("roberta_masked_lm", t.TFRobertaForMaskedLM(roberta), segments=False)
    distilbert = t.DistilBertConfig(
        vocab_size=24, dim=8, n_layers=2, n_heads=2, hidden_dim=12, max_position_embeddings=12
    )
    save("distilbert_span", t.TFDistilBertForQuestionAnswering(distilbert), segments=False)
    albert = t.AlbertConfig(**SHAPE, embedding_size=4)
    save("albert_masked_lm", t.TFAlbertForMaskedLM(albert))
    electra = t.ElectraConfig(**SHAPE, embedding_size=4)
    save("electra_masked_lm", t.TFElectraForMaskedLM(electra))
    dense, dropout = tf_keras.layers.Dense, tf_keras.layers.Dropout
    save_keras(
        "keras_pooled", lambda bert, x: dense(3, "softmax", name="stars")(dropout(0.1)(bert(x)[1]))
    )
    save_keras("keras_main_layer", lambda bert, x: dense(3)(bert.bert(**x).pooler_output))
    save_keras("keras_first_token", lambda bert, x: dense(2)(bert(x).last_hidden_state[:, 0]))


if __name__ == "__main__":
    main()
