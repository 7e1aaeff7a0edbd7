"""What pre-training lowers and reports: the losses and accuracies of its two tasks.

Source: google-research/bert, run_pretraining.py, `get_masked_lm_output`,
`get_next_sentence_output` and `metric_fn`.
"""

import tensorflow as tf
from keras import ops

Batch = dict[str, tf.Tensor]
Outputs = dict[str, tf.Tensor]


class PretrainingObjective:
    """Masked-LM loss plus next-sentence loss, as sums over a batch and what to divide them by."""

    # Keeps a batch without hidden tokens from dividing by zero; the original's number.
    epsilons = {"masked_lm_loss": 1e-5}  # noqa: RUF012

    def weights(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The number of hidden tokens, and the number of examples."""
        return {
            "masked_lm_loss": tf.reduce_sum(batch["masked_lm_weights"]),
            "next_sentence_loss": tf.reduce_sum(_example_weights(batch)),
        }

    def sums(self, batch: Batch, outputs: Outputs) -> dict[str, tf.Tensor]:
        """Cross-entropies, summed over hidden tokens and over examples."""
        masked_lm = _cross_entropy(batch["masked_lm_ids"], outputs["masked_lm_logits"])
        next_sentence = _cross_entropy(_labels(batch), outputs["next_sentence_logits"])
        return {
            "masked_lm_loss": tf.reduce_sum(masked_lm * batch["masked_lm_weights"]),
            "next_sentence_loss": tf.reduce_sum(next_sentence * _example_weights(batch)),
        }

    def counts(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The number of tokens that are not padding."""
        return {"tokens": tf.cast(tf.reduce_sum(batch["input_mask"]), tf.float32)}


def evaluation_sums(batch: Batch, outputs: Outputs) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    """What the figures of a batch are made of, each as (sum, weight): sums over its rows."""
    objective = PretrainingObjective()
    sums, weights = objective.sums(batch, outputs), objective.weights(batch)
    num_hidden, num_real = weights["masked_lm_loss"], weights["next_sentence_loss"]
    words = _is_best(outputs["masked_lm_logits"], batch["masked_lm_ids"])
    kinds = _is_best(outputs["next_sentence_logits"], _labels(batch))
    return {
        "masked_lm_accuracy": (tf.reduce_sum(words * batch["masked_lm_weights"]), num_hidden),
        "masked_lm_loss": (sums["masked_lm_loss"], num_hidden),
        "next_sentence_accuracy": (tf.reduce_sum(kinds * _example_weights(batch)), num_real),
        "next_sentence_loss": (sums["next_sentence_loss"], num_real),
    }


def evaluation_metrics(
    sums: dict[str, tuple[tf.Tensor, tf.Tensor]],
) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    """The original's five figures of a batch, each as (sum, weight), from its `evaluation_sums`.

    `loss` is the batch's total loss with its number of examples as weight, so that over full
    batches its mean is the plain mean of their losses; the others are means over hidden tokens
    and over examples.
    """
    epsilons = PretrainingObjective.epsilons
    parts = {name: sums[name] for name in ("masked_lm_loss", "next_sentence_loss")}
    loss = sum(
        value / (weight + epsilons.get(name, 0.0)) for name, (value, weight) in parts.items()
    )
    num_real = parts["next_sentence_loss"][1]
    return {"loss": (loss * num_real, num_real), **sums}


def _cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def _is_best(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.argmax(logits, -1, tf.int32) == tf.cast(labels, tf.int32), tf.float32)


def _labels(batch: Batch) -> tf.Tensor:
    return tf.reshape(batch["next_sentence_labels"], [-1])


def _example_weights(batch: Batch) -> tf.Tensor:
    """float32 [B]: 0 for the rows that only fill up the last batch of an evaluation."""
    rows = tf.ones([tf.shape(batch["input_ids"])[0]], tf.float32)
    return batch.get("is_real_example", rows)
