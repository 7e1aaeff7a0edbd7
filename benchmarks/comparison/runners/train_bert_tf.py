"""Pre-training steps by this package, with the trainer that run_pretraining.py uses."""

import keras
import tensorflow as tf
from reporting import read_settings, report_versions
from training_batch import make_batch, time_steps

import bert_tf
from bert_tf.pretraining.objectives.masked_lm_next_sentence import OBJECTIVE
from bert_tf.training.checkpoint import load_checkpoint, named_variables
from bert_tf.training.optimizer import AdamWeightDecay
from bert_tf.training.run import precision
from bert_tf.training.schedule import WarmupAndDecay
from bert_tf.training.trainer import Trainer

settings = read_settings()
keras.utils.set_random_seed(1)
config = bert_tf.BertConfig(
    vocab_size=settings.vocab_size,
    hidden_size=settings.hidden_size,
    num_hidden_layers=settings.num_hidden_layers,
    num_attention_heads=settings.num_attention_heads,
    intermediate_size=4 * settings.hidden_size,
    type_vocab_size=2,
    hidden_dropout_prob=settings.dropout,
    attention_probs_dropout_prob=settings.dropout,
)
with precision(settings.precision):
    model = bert_tf.PretrainingModel(bert_tf.BertEncoder(config))
model.encoder.recompute_activations = settings.variant == "recompute"
if settings.weights:
    load_checkpoint(model, f"{settings.work_dir}/{settings.weights}/google/bert_model.ckpt")
optimizer = AdamWeightDecay(named_variables(model), WarmupAndDecay(1e-4, 1000, 10))
trainer = Trainer(model, OBJECTIVE, optimizer, 1, jit_compile=settings.variant == "xla")
batches = iter(tf.data.Dataset.from_tensors(make_batch(settings)).repeat())
time_steps(lambda: trainer.run(batches, 1)["loss"], settings)
report_versions("tensorflow", "keras")
