"""Trains a small model for 50 steps on whatever devices, and writes its weights.

    python train_on_devices.py FOLDER one            one device: a batch whole, and in 4 parts
    python train_on_devices.py FOLDER mirrored 4     so many devices of this process
    python train_on_devices.py FOLDER workers HOSTS INDEX

No dropout; gradients that are clipped at every step; a ragged number of hidden tokens. Then it
evaluates, predicts, and draws the masks that dropout would take.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

import bert_tf
from bert_tf.model.dropout import Dropout, dropout_seeds
from bert_tf.pretraining.evaluation import PretrainingEvaluator
from bert_tf.pretraining.objectives.masked_lm_next_sentence import OBJECTIVE
from bert_tf.settings.devices import DeviceSettings
from bert_tf.training import distribution
from bert_tf.training.checkpoint import named_variables
from bert_tf.training.devices import make_strategy
from bert_tf.training.optimizer import AdamWeightDecay
from bert_tf.training.prediction import IS_REAL, NUMBERS, OutputCollector
from bert_tf.training.schedule import WarmupAndDecay
from bert_tf.training.trainer import Trainer
from bert_tf.training.workers import Workers, together

STEPS, BATCH, LENGTH, HIDDEN = 50, 8, 16, 4
NUM_EVALUATED = 21
CONFIG = bert_tf.BertConfig(
    vocab_size=60,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=LENGTH,
    type_vocab_size=2,
    initializer_range=0.2,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)


def make_batches(num_batches: int, rows: int, seed: int) -> dict[str, np.ndarray]:
    """[num_batches, rows, ...]: sequences of all lengths, 0 to 4 hidden tokens each."""
    rng = np.random.default_rng(seed)
    shape = (num_batches, rows)
    lengths = rng.integers(HIDDEN + 1, LENGTH + 1, shape)
    mask = np.arange(LENGTH) < lengths[..., None]
    hidden = np.arange(HIDDEN) < rng.integers(0, HIDDEN + 1, shape)[..., None]
    return {
        "input_ids": rng.integers(1, 60, (*shape, LENGTH)).astype(np.int32) * mask,
        "input_mask": mask.astype(np.int32),
        "segment_ids": (np.arange(LENGTH) >= lengths[..., None] // 2).astype(np.int32) * mask,
        "masked_lm_positions": np.tile(np.arange(1, HIDDEN + 1, dtype=np.int32), (*shape, 1)),
        "masked_lm_ids": rng.integers(1, 60, (*shape, HIDDEN)).astype(np.int32),
        "masked_lm_weights": hidden.astype(np.float32),
        "next_sentence_labels": rng.integers(0, 2, (*shape, 1)).astype(np.int32),
    }


def share(batches: dict[str, np.ndarray], num_hosts: int, host: int) -> tf.data.Dataset:
    """A host's rows of every batch."""
    size = next(iter(batches.values())).shape[1] // num_hosts
    mine = {name: array[:, host * size : (host + 1) * size] for name, array in batches.items()}
    return tf.data.Dataset.from_tensor_slices(mine)


def make_trainer(strategy, config=CONFIG, parts: int = 1, learning_rate: float = 1e-3):
    keras.utils.set_random_seed(7)
    with strategy.scope():
        model = bert_tf.PretrainingModel(bert_tf.BertEncoder(config))
        optimizer = AdamWeightDecay(named_variables(model), WarmupAndDecay(learning_rate, STEPS, 5))
    return Trainer(
        model, OBJECTIVE, optimizer, 11, accumulation_steps=parts, clip_norm=0.1, strategy=strategy
    )


def train(strategy, folder: str, name: str, parts: int = 1) -> Trainer:
    """Writes the weights after all steps, and after each step whether gradients were clipped."""
    trainer = make_trainer(strategy, parts=parts)
    batches = make_batches(STEPS, BATCH, seed=3)
    iterator = distribution.distribute(strategy, lambda n, i: share(batches, n, i), BATCH)
    norms = [trainer.run(iterator, 1)["gradient_norm"] for _ in range(3)]
    figures = trainer.run(iterator, STEPS - 3)
    weights = {n: v.numpy() for n, v in trainer.optimizer.variables.items()}
    if Workers(strategy).is_chief:
        np.savez(f"{folder}/{name}.npz", norms=norms, loss=figures["loss"], **weights)
    return trainer


def draw_masks(strategy, trainer: Trainer, folder: str, name: str) -> None:
    """Writes, for 2 steps, which values each replica's dropout keeps: [replicas * 2, ...]."""
    masks = []

    dropout = Dropout(0.5, place=3)

    @tf.function
    def of_step():
        def of_replica():
            with dropout_seeds(trainer._seeds(tf.constant(0, tf.int64))):
                kept = dropout(tf.ones([1, 64]), training=True) > 0
            context = tf.distribute.get_replica_context()
            return context.all_gather(tf.cast(kept, tf.float32), axis=0)

        rows = strategy.run(of_replica)
        return strategy.experimental_local_results(rows)[0]

    for step in (0, 1):
        trainer.optimizer.step.assign(step)
        masks.append(of_step().numpy())
    if Workers(strategy).is_chief:
        np.save(f"{folder}/{name}_masks.npy", np.concatenate(masks))


def ordered(batch_size: int, num_rows: int, num_hosts: int, host: int) -> tf.data.Dataset:
    """The evaluated examples in batches that are filled up to `num_rows`."""
    examples = {n: a[0] for n, a in make_batches(1, NUM_EVALUATED, seed=5).items()}
    num_batches = -(-NUM_EVALUATED // batch_size)
    numbers = np.full((num_batches, num_rows), -1)
    for place in range(NUM_EVALUATED):
        numbers[place // batch_size, place % batch_size] = place
    batches = {
        n: np.where((numbers < 0).reshape(*numbers.shape, *[1] * (a.ndim - 1)), 0, a[numbers])
        for n, a in examples.items()
    }
    batches[NUMBERS] = numbers.astype(np.int32)
    batches[IS_REAL] = (numbers >= 0).astype(np.float32)
    return share(
        {n: a.astype(examples.get(n, a).dtype) for n, a in batches.items()}, num_hosts, host
    )


def evaluate(strategy, trainer: Trainer, folder: str, name: str) -> None:
    """Writes the figures and the outputs of batches of 1 and of 5."""
    results = {}

    def outputs(batch):
        return trainer.model(trainer.model.select_features(batch), training=False)

    for batch_size in (1, 5):
        rows = distribution.padded_batch_size(strategy, batch_size)

        def batches(batch_size=batch_size, rows=rows):
            return distribution.distribute(
                strategy, lambda n, i: ordered(batch_size, rows, n, i), rows
            )

        evaluator = PretrainingEvaluator(OBJECTIVE, trainer.model, strategy, None)
        for figure, value in evaluator.means(batches()).items():
            results[f"{batch_size}/{figure}"] = value
        collector = OutputCollector(
            lambda batch: {"out": outputs(batch)["next_sentence_logits"]}, strategy
        )
        results[f"{batch_size}/out"] = collector.run(batches(), NUM_EVALUATED)["out"]
    if Workers(strategy).is_chief:
        np.savez(f"{folder}/{name}_figures.npz", **results)


def run(settings: DeviceSettings, folder: str, name: str) -> None:
    strategy = make_strategy(settings)
    with together(strategy, settings):
        trainer = train(strategy, folder, name)
        evaluate(strategy, trainer, folder, name)
        draw_masks(strategy, trainer, folder, name)


def main(folder: str, kind: str, *arguments: str) -> None:
    if kind == "one":
        run(DeviceSettings(distribution_strategy="one_device"), folder, "one")
        train(tf.distribute.get_strategy(), folder, "parts", parts=4)
    elif kind == "mirrored":
        settings = DeviceSettings(num_virtual_devices=int(arguments[0]))
        run(settings, folder, f"mirrored_{arguments[0]}")
    else:
        hosts, index = arguments
        settings = DeviceSettings(worker_hosts=tuple(hosts.split(",")), task_index=int(index))
        run(settings, folder, "workers")


if __name__ == "__main__":
    main(*sys.argv[1:])
