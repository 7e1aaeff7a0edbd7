"""Masked-LM steps by keras-hub's BertMaskedLM and Keras' AdamW; it has no next-sentence head."""

import keras
import keras_hub
import tensorflow as tf
from reporting import read_settings, report_versions
from training_batch import make_batch, time_steps

settings = read_settings()
keras.utils.set_random_seed(1)
if settings.precision:
    keras.config.set_dtype_policy(f"mixed_{settings.precision}")
backbone = keras_hub.models.BertBackbone(
    vocabulary_size=settings.vocab_size,
    num_layers=settings.num_hidden_layers,
    num_heads=settings.num_attention_heads,
    hidden_dim=settings.hidden_size,
    intermediate_dim=4 * settings.hidden_size,
    dropout=settings.dropout,
)
model = keras_hub.models.BertMaskedLM(backbone, preprocessor=None)
schedule = keras.optimizers.schedules.PolynomialDecay(1e-4, 1000, 0.0)
optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.01, epsilon=1e-6, global_clipnorm=1.0)
optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
model.compile(
    optimizer=optimizer,
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    weighted_metrics=[],
    jit_compile=settings.variant == "xla",
)
batch = make_batch(settings)
inputs = {
    "token_ids": batch["input_ids"],
    "padding_mask": batch["input_mask"],
    "segment_ids": batch["segment_ids"],
    "mask_positions": batch["masked_lm_positions"],
}
example = (inputs, batch["masked_lm_ids"], batch["masked_lm_weights"])
batches = iter(tf.data.Dataset.from_tensors(example).repeat())
model._symbolic_build(data_batch=example)  # As `fit` does before its first step.
model.make_train_function()


def step() -> float:
    model.reset_metrics()
    return model.train_function(batches)["loss"]


time_steps(step, settings)
report_versions("tensorflow", "keras", "keras-hub")
