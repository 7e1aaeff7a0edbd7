"""Pre-training steps by google-research's model, losses and optimizer, in a session."""

import original_bert  # noqa: F401  (before bert)
import tensorflow.compat.v1 as tf
from bert import modeling, optimization, run_pretraining
from reporting import read_settings, report_versions
from training_batch import make_batch, time_steps

settings = read_settings()
tf.disable_eager_execution()
tf.set_random_seed(1)
config = modeling.BertConfig(
    vocab_size=settings.vocab_size,
    hidden_size=settings.hidden_size,
    num_hidden_layers=settings.num_hidden_layers,
    num_attention_heads=settings.num_attention_heads,
    intermediate_size=4 * settings.hidden_size,
    type_vocab_size=2,
    hidden_dropout_prob=settings.dropout,
    attention_probs_dropout_prob=settings.dropout,
)
batch = make_batch(settings)
fed = {name: tf.placeholder(array.dtype, array.shape) for name, array in batch.items()}
model = modeling.BertModel(
    config=config,
    is_training=True,
    input_ids=fed["input_ids"],
    input_mask=fed["input_mask"],
    token_type_ids=fed["segment_ids"],
    use_one_hot_embeddings=False,
)
masked_lm_loss, _, _ = run_pretraining.get_masked_lm_output(
    config,
    model.get_sequence_output(),
    model.get_embedding_table(),
    fed["masked_lm_positions"],
    fed["masked_lm_ids"],
    fed["masked_lm_weights"],
)
next_sentence_loss, _, _ = run_pretraining.get_next_sentence_output(
    config, model.get_pooled_output(), fed["next_sentence_labels"]
)
loss = masked_lm_loss + next_sentence_loss
if settings.weights:
    prefix = f"{settings.work_dir}/{settings.weights}/google/bert_model.ckpt"
    names, _ = modeling.get_assignment_map_from_checkpoint(tf.trainable_variables(), prefix)
    tf.train.init_from_checkpoint(prefix, names)
train = optimization.create_optimizer(loss, 1e-4, 1000, 10, use_tpu=False)

with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    values = {fed[name]: array for name, array in batch.items()}
    time_steps(lambda: session.run([loss, train], values)[0], settings)
report_versions("tensorflow", "bert-tensorflow")
