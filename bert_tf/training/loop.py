"""The training loop: from a model, an objective and batches to weights. Knows no task.

A step's losses are sums over the *global* batch divided by the *global* weight; gradients are
summed over replicas and over the parts of an accumulated batch, then clipped, then applied. So one
device and many, and a batch taken whole or in parts, give the same weights up to rounding.

What is random in a step comes from (seed, step, replica, part of the batch) and from nothing else.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import tensorflow as tf

from bert_tf.training.optimizer import AdamWeightDecay, LossScale, clip_by_global_norm

Batch = dict[str, tf.Tensor]
# Steps run inside one graph call for about this long, so that signals are answered soon.
_SECONDS_PER_CALL = 1.0
_ADVICE = (
    "A lower learning rate or a longer warm-up helps most often; with float16, bfloat16 does. "
    "Started again, the run goes on from its last checkpoint."
)


class Objective(Protocol):
    """What training lowers: the sum over parts k of sum_k / (weight_k + epsilon_k)."""

    epsilons: dict[str, float]

    def weights(self, batch: Batch) -> dict[str, tf.Tensor]:
        """What each part of the loss is divided by, as far as this batch has it."""

    def sums(self, batch: Batch, outputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Each part of the loss, summed over this batch."""

    def counts(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Whatever else is to be counted, as floats: it comes back among the figures of a step."""


class NonFiniteLoss(ValueError):
    """The loss became NaN or infinite."""


@dataclasses.dataclass
class Trainer:
    """One optimizer step, and several of them inside one graph.

    model: called with a batch and `training=True`.
    objective: the loss, in parts.
    optimizer: updates the model's weights.
    seed: of everything random in a step.
    random_scope: a context manager, given a function from a place (int) to a seed; the model draws
        its random numbers from it.
    accumulation_steps: in how many parts a batch is computed, to save memory.
    clip_norm: largest joint norm of the gradients.
    loss_scale: for float16; None otherwise.
    jit_compile: compile a step with XLA.
    strategy: the devices.
    """

    model: Callable
    objective: Objective
    optimizer: AdamWeightDecay
    seed: int
    random_scope: Callable[[Callable], contextlib.AbstractContextManager]
    accumulation_steps: int = 1
    clip_norm: float = 1.0
    loss_scale: LossScale | None = None
    jit_compile: bool = False
    strategy: tf.distribute.Strategy = dataclasses.field(default_factory=tf.distribute.get_strategy)

    def __post_init__(self) -> None:
        # XLA has no exchange between replicas: of several, each compiles what lies in between.
        is_alone = self.strategy.num_replicas_in_sync == 1
        self._step = tf.function(
            self._replica_step, jit_compile=(self.jit_compile and is_alone) or None
        )
        self._compute = self._losses_and_gradients
        if self.jit_compile and not is_alone:
            self._compute = tf.function(self._losses_and_gradients, jit_compile=True)
        self._run = tf.function(self._run_steps)

    def state(self) -> dict[str, tf.Variable]:
        """All variables that the next step depends on, by name."""
        scale = self.loss_scale.named_variables() if self.loss_scale else {}
        return {**self.optimizer.variables, **self.optimizer.named_variables(), **scale}

    def run(self, iterator: Iterator, num_steps: int) -> dict[str, float]:
        """Runs `num_steps` steps in the graph. Returns each figure's sum over the steps.

        Raises:
            NonFiniteLoss: naming the step, as soon as the loss is no finite number.
        """
        sums, bad_step = self._run(iterator, tf.constant(num_steps, tf.int64))
        if int(bad_step) >= 0:
            raise NonFiniteLoss(
                f"The loss of step {int(bad_step)} or its gradient is not a finite number; "
                f"training stopped there, and nothing of it was saved. {_ADVICE}"
            )
        return {name: float(value) for name, value in sums.items()}

    def check_weights(self) -> None:
        """Raises NonFiniteLoss if a weight is NaN or infinite, so that none such is saved."""
        for name, weight in self.optimizer.variables.items():
            if not bool(tf.reduce_all(tf.math.is_finite(weight))):
                step = int(self.optimizer.step.numpy()) - 1
                raise NonFiniteLoss(
                    f"After step {step} values of {name} are not finite "
                    f"numbers; training stopped there, and nothing of it was saved. {_ADVICE}"
                )

    def _run_steps(self, iterator: Iterator, num_steps: tf.Tensor):
        # All steps are one and the same piece of the graph. TensorFlow would optimize a first step
        # outside the loop otherwise than those inside, and round otherwise; then the weights would
        # depend on how many steps a call has.
        sums = {name: tf.constant(0.0) for name in self._figure_names(iterator)}
        bad_step = tf.constant(-1, tf.int64)
        done = tf.constant(0, tf.int64)
        while done < num_steps and bad_step < 0:
            figures = self._distributed_step(next(iterator))
            bad_step = self._bad_step(figures, bad_step)
            sums = {name: sums[name] + figures[name] for name in sums}
            done += 1
        return sums, bad_step

    def _figure_names(self, iterator: Iterator) -> list[str]:
        """The names of a step's figures: those of a step that is traced and not run."""
        step = tf.function(lambda: self._distributed_step(next(iterator)))
        return list(step.get_concrete_function().structured_outputs)

    def _bad_step(self, figures: dict[str, tf.Tensor], bad_step: tf.Tensor) -> tf.Tensor:
        is_finite = tf.math.is_finite(figures["loss"])
        if self.loss_scale is None:  # With one, a step whose gradient overflowed is left out.
            is_finite &= tf.math.is_finite(figures["gradient_norm"])
        return tf.where(is_finite, bad_step, self.optimizer.step - 1)

    def _distributed_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        figures = self.strategy.run(self._step, args=(batch,))
        # All replicas hold the same figures.
        return {name: self.strategy.experimental_local_results(f)[0] for name, f in figures.items()}

    def _replica_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        context = tf.distribute.get_replica_context()
        scale = self.loss_scale.scale + 0.0 if self.loss_scale else None
        weights, counts = context.all_reduce(
            tf.distribute.ReduceOp.SUM,
            (self.objective.weights(batch), self.objective.counts(batch)),
        )
        divisors = {
            name: weight + self.objective.epsilons.get(name, 0.0)
            for name, weight in weights.items()
        }
        losses, gradients = self._compute(batch, divisors, scale)
        losses, gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, (losses, gradients))
        if scale is not None:
            gradients = [gradient / scale for gradient in gradients]
        gradients, norm = clip_by_global_norm(gradients, self.clip_norm)
        rate = self.optimizer.learning_rate()
        if self.loss_scale is None:
            self.optimizer.apply(gradients)
        else:
            is_finite = tf.math.is_finite(norm)
            self.optimizer.apply(gradients, is_finite)
            self.loss_scale.update(is_finite)
            counts["skipped_steps"] = 1.0 - tf.cast(is_finite, tf.float32)
            norm = tf.where(is_finite, norm, 0.0)
        loss = tf.add_n(list(losses.values()))
        return {"loss": loss, **losses, **counts, "learning_rate": rate, "gradient_norm": norm}

    def _losses_and_gradients(self, batch: Batch, divisors: dict, scale: tf.Tensor | None):
        if self.accumulation_steps == 1:
            return self._part(batch, divisors, scale, tf.constant(0, tf.int64))
        parts = tf.nest.map_structure(self._split, batch)

        def part(number: tf.Tensor):
            rows = tf.nest.map_structure(lambda x: x[number], parts)
            return self._part(rows, divisors, scale, number)

        weights = self.optimizer.variables.values()
        zeros = {name: tf.constant(0.0) for name in divisors}, [tf.zeros_like(w) for w in weights]
        _, total = tf.while_loop(
            lambda number, _: number < self.accumulation_steps,
            lambda number, total: (
                number + 1,
                tf.nest.map_structure(tf.add, total, part(number)),
            ),
            (tf.constant(0, tf.int64), zeros),
            parallel_iterations=1,
        )
        return total

    def _split(self, x: tf.Tensor) -> tf.Tensor:
        if x.shape[0] % self.accumulation_steps:
            raise ValueError(
                f"A replica's batch of {x.shape[0]} examples cannot be computed in "
                f"{self.accumulation_steps} equal parts (gradient_accumulation_steps)."
            )
        return tf.reshape(x, [self.accumulation_steps, -1, *x.shape[1:]])

    def _part(self, batch: Batch, divisors: dict, scale: tf.Tensor | None, number: tf.Tensor):
        weights = list(self.optimizer.variables.values())
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            with self.random_scope(self._seeds(number)):
                outputs = self.model(batch, training=True)
            sums = self.objective.sums(batch, outputs)
            losses = {name: sums[name] / divisors[name] for name in sums}
            target = tf.add_n(list(losses.values()))
            if scale is not None:
                target *= scale
        gradients = tape.gradient(target, weights, unconnected_gradients="zero")
        return losses, [tf.convert_to_tensor(gradient) for gradient in gradients]

    def _seeds(self, part_number: tf.Tensor) -> Callable[[int], tf.Tensor]:
        # By name: what TensorFlow chooses by itself is another one under XLA.
        fold_in = functools.partial(tf.random.experimental.stateless_fold_in, alg="philox")
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        base = fold_in(tf.constant([self.seed % 2**31, 0], tf.int32), self.optimizer.step + 0)
        base = fold_in(fold_in(base, tf.cast(replica, tf.int64)), part_number)
        return lambda place: fold_in(base, tf.constant(place, tf.int64))


def train(
    trainer: Trainer,
    iterator: Iterator,
    num_steps: int,
    *,
    events: Sequence[tuple[int, Callable[[int], None]]],
    log_steps: int,
    on_log: Callable[[int, dict[str, float]], None],
    on_progress: Callable[[int, dict[str, float]], None],
    should_stop: Callable[[], bool],
    max_steps_per_call: int,
    agree: Callable[[bool, int], tuple[bool, int]] = lambda stop, num_steps: (stop, num_steps),
    watched: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext,
) -> int:
    """Trains until `num_steps` steps are counted, or `should_stop()`.

    Args:
        trainer: runs the steps.
        iterator: batches, from the trainer's present step on.
        num_steps: the step at which training ends.
        events: (period in steps, what is done at each multiple of it, given the step), in the
            order in which they are done where they meet.
        log_steps: period of `on_log`, in steps.
        on_log: given the step and each figure's mean over the steps since the last call; `seconds`
            among them.
        on_progress: given how many steps were just done, and the mean figures of these.
        should_stop: asked between graph calls, about once a second.
        max_steps_per_call: most steps inside one graph call.
        agree: given whether to stop and how many steps to do otherwise, says what is done: where
            several processes train, all must do the same.
        watched: gives a context in which each graph call is made.

    Returns: the step that was reached.
    """
    step = int(trainer.optimizer.step.numpy())
    chunk = 1
    sums: dict[str, float] = {}
    logged_at = step
    while step < num_steps:
        ends = [
            num_steps,
            *((step // period + 1) * period for period in (*(p for p, _ in events), log_steps)),
        ]
        stop, count = agree(should_stop(), min(chunk, min(ends) - step))
        if stop:
            break
        start = time.monotonic()
        with watched():
            figures = trainer.run(iterator, count)
        figures["seconds"] = seconds = time.monotonic() - start
        step += count
        chunk = max(
            1, min(2 * chunk, int(_SECONDS_PER_CALL / (seconds / count)), max_steps_per_call)
        )
        sums = {name: sums.get(name, 0.0) + value for name, value in figures.items()}
        on_progress(count, {name: value / count for name, value in figures.items()})
        if step % log_steps == 0 or step == num_steps:
            on_log(step, {name: value / (step - logged_at) for name, value in sums.items()})
            sums, logged_at = {}, step
        for period, event in events:
            if step % period == 0:
                event(step)
    return step


class Evaluator:
    """Weighted means over finite streams of batches.

    Args:
        step: a batch -> sums over this replica's part of it, in whatever structure.
        figures: these sums over the whole batch -> name -> (sum, weight).
        strategy: the devices.
    """

    def __init__(
        self,
        step: Callable[[Batch], Any],
        figures: Callable[[Any], dict[str, tuple[tf.Tensor, tf.Tensor]]],
        strategy: tf.distribute.Strategy,
    ):
        self._step = step
        self._figures = figures
        self._strategy = strategy
        self._run = tf.function(self._distributed_step, reduce_retracing=True)

    def run(
        self, iterator: Iterator, on_progress: Callable[[int], None] = lambda count: None
    ) -> dict[str, float]:
        """Goes through the batches. Returns: name -> sum of the sums / sum of the weights.

        A mean over nothing is 0. `on_progress` is told the number of batches just done, and may
        raise to end it.
        """
        sums: dict[str, float] = {}
        weights: dict[str, float] = {}
        for batch in iterator:
            for name, (value, weight) in self._run(batch).items():
                sums[name] = sums.get(name, 0.0) + float(value)
                weights[name] = weights.get(name, 0.0) + float(weight)
            on_progress(1)
        return {name: sums[name] / weights[name] if weights[name] else 0.0 for name in sums}

    def _distributed_step(self, batch: Batch):
        totals = self._strategy.run(self._replica_step, args=(batch,))
        return tf.nest.map_structure(
            lambda x: self._strategy.experimental_local_results(x)[0], totals
        )

    def _replica_step(self, batch: Batch):
        context = tf.distribute.get_replica_context()
        return self._figures(context.all_reduce(tf.distribute.ReduceOp.SUM, self._step(batch)))
