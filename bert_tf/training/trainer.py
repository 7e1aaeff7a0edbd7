"""Runs training steps: from a model, an objective and a batch to new weights.

A step's losses are sums over the *global* batch divided by the *global* weight. Gradients are
summed over replicas and parts of an accumulated batch, then clipped, then applied. So the weights
do not depend on the number of devices and parts, up to rounding.

All randomness of a step is derived from (seed, step, replica, part of the batch).
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import tensorflow as tf

from bert_tf.model import processors
from bert_tf.model.dropout import dropout_seeds
from bert_tf.training.finite import NonFiniteLoss, check_weights  # noqa: F401 - for callers.
from bert_tf.training.loss_scale import LossScale
from bert_tf.training.optimizer import AdamWeightDecay, clip_scale

Batch = dict[str, tf.Tensor]


class Objective(Protocol):
    """The loss that training minimizes: the sum over terms k of sum_k / (weight_k + epsilon_k).

    All values are float32 scalars, of a replica's rows.
    """

    epsilons: dict[str, float]
    measured: tuple[str, ...]  # Terms that are computed like losses, but not minimized.

    def weights(self, batch: Batch) -> dict[str, tf.Tensor]: ...

    def sums(self, batch: Batch, outputs: Any) -> dict[str, tf.Tensor]: ...


@dataclasses.dataclass
class Trainer:
    """Runs optimizer steps, any number of them inside one graph call."""

    model: Callable  # Called with a batch and `training=True`.
    objective: Objective
    optimizer: AdamWeightDecay
    seed: int  # Of everything random in a step.
    accumulation_steps: int = 1  # Parts of a batch, computed in turn to save memory.
    clip_norm: float = 1.0  # The largest global norm of the gradients; 0: any.
    lookups: Any = None  # If given, see `bert_tf.model.lookup_rows`, the norm counts their rows.
    loss_scale: LossScale | None = None  # For float16.
    dropout_algorithm: str | None = None  # See `dropout_seeds`.
    jit_compile: bool = False  # Whether to compile a step with XLA.
    strategy: tf.distribute.Strategy = dataclasses.field(default_factory=tf.distribute.get_strategy)

    def __post_init__(self) -> None:
        # XLA cannot all-reduce: with several replicas, it compiles only what lies in between.
        is_alone = self.strategy.num_replicas_in_sync == 1
        # No Python statement of a step depends on a tensor: without autograph, tracing is faster.
        self._step = tf.function(
            self._replica_step, jit_compile=(self.jit_compile and is_alone) or None, autograph=False
        )
        self._compute = self._losses_and_gradients
        if self.jit_compile and not is_alone:
            self._compute = processors.compiled(self._losses_and_gradients)
        self._run = tf.function(self._run_steps, autograph=False)
        # TensorFlow's own choice is Philox on a CPU, and makes a far smaller graph than its name;
        # XLA and other devices choose differently.
        is_chosen = processors.is_one_cpu() and not self.jit_compile
        self._philox = "auto_select" if is_chosen else "philox"
        self.dropout_algorithm = self.dropout_algorithm or self._philox

    def state(self) -> dict[str, tf.Variable]:
        """Returns all variables that the next step depends on, by name."""
        scale = self.loss_scale.named_variables() if self.loss_scale else {}
        return {**self.optimizer.variables, **self.optimizer.named_variables(), **scale}

    def run(self, iterator: Iterator, num_steps: int) -> dict[str, float]:
        """Runs steps in the graph. Returns metrics' sums; raises NonFiniteLoss, naming the step."""
        sums, bad_step = self._run(iterator, tf.constant(num_steps, tf.int64))
        if int(bad_step) >= 0:
            raise NonFiniteLoss(f"The loss of step {int(bad_step)} or its gradient")
        return {name: float(value) for name, value in sums.items()}

    def _run_steps(self, iterator: Iterator, num_steps: tf.Tensor):
        # All steps run the same part of the graph. TensorFlow would optimize a first step outside
        # the loop differently and round differently, and weights would depend on `num_steps`.
        # The traced one is not run.
        traced = tf.function(lambda: self._distributed_step(next(iterator)), autograph=False)
        names = traced.get_concrete_function().structured_outputs

        def step(done, bad_step, sums):
            metrics = self._distributed_step(next(iterator))
            is_finite = tf.math.is_finite(metrics["loss"])
            if self.loss_scale is None:  # With one, a step whose gradients overflow is skipped.
                is_finite &= tf.math.is_finite(metrics["gradient_norm"])
            bad_step = tf.where(is_finite, bad_step, self.optimizer.step - 1)
            return done + 1, bad_step, {name: sums[name] + metrics[name] for name in sums}

        _, bad_step, sums = tf.while_loop(
            lambda done, bad_step, _: (done < num_steps) & (bad_step < 0),
            step,
            (tf.constant(0, tf.int64), tf.constant(-1, tf.int64), dict.fromkeys(names, 0.0)),
        )
        return sums, bad_step

    def _distributed_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        metrics = self.strategy.run(self._step, args=(batch,))
        local = self.strategy.experimental_local_results  # All replicas hold the same metrics.
        return {name: local(metric)[0] for name, metric in metrics.items()}

    def _replica_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        context = tf.distribute.get_replica_context()
        scale = self.loss_scale.scale + 0.0 if self.loss_scale else None
        num_tokens = tf.cast(tf.reduce_sum(batch["input_mask"]), tf.float32)
        weights, counts = context.all_reduce(
            tf.distribute.ReduceOp.SUM, (self.objective.weights(batch), {"tokens": num_tokens})
        )
        epsilons = self.objective.epsilons
        divisors = {name: weight + epsilons.get(name, 0.0) for name, weight in weights.items()}
        computed = self._compute(batch, divisors, scale)
        losses, gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, computed)
        rate, measured = self.optimizer.learning_rate(), gradients
        if self.lookups:
            *gradients, squares = gradients
            named = dict(zip(self.optimizer.variables, gradients, strict=True))
            measured = self.lookups.measured(named, squares)
        if scale is None:
            clip, norm = self._clip_scale(measured, 1.0)
            self.optimizer.apply(gradients, scale=clip)
        else:
            clip, norm = self._clip_scale(measured, scale)
            norm /= scale
            is_finite = tf.math.is_finite(norm)
            self.optimizer.apply(gradients, is_finite, clip / scale)
            self.loss_scale.update(is_finite)
            counts["skipped_steps"] = 1.0 - tf.cast(is_finite, tf.float32)
            norm = tf.where(is_finite, norm, 0.0)
        loss = self._total(losses)
        return {"loss": loss, **losses, **counts, "learning_rate": rate, "gradient_norm": norm}

    def _clip_scale(self, gradients: Sequence[tf.Tensor], scale: tf.Tensor | float) -> tuple:
        """Returns the factor that clips gradients, given times `scale`, and their norm."""
        clip, norm = clip_scale(gradients, (self.clip_norm or 1.0) * scale)
        return (clip if self.clip_norm else 1.0), norm

    def _losses_and_gradients(self, batch: Batch, divisors: dict, scale: tf.Tensor | None):
        if self.accumulation_steps == 1:
            return self._part(batch, divisors, scale, tf.constant(0, tf.int64))
        num_parts = self.accumulation_steps
        parts = tf.nest.map_structure(lambda x: tf.stack(tf.split(x, num_parts)), batch)

        def part(number: tf.Tensor):
            rows = tf.nest.map_structure(lambda x: x[number], parts)
            return self._part(rows, divisors, scale, number)

        probes = [tf.constant(0.0)] if self.lookups else []
        weights = [*self.optimizer.variables.values(), *probes]
        zeros = {name: tf.constant(0.0) for name in divisors}, [tf.zeros_like(w) for w in weights]
        return tf.while_loop(
            lambda number, _: number < num_parts,
            lambda number, total: (number + 1, tf.nest.map_structure(tf.add, total, part(number))),
            (tf.constant(0, tf.int64), zeros),
            parallel_iterations=1,
        )[1]

    def _part(self, batch: Batch, divisors: dict, scale: tf.Tensor | None, number: tf.Tensor):
        weights = list(self.optimizer.variables.values())
        probes = [tf.constant(0.0)] if self.lookups else []
        counting = self.lookups.counting(*probes) if probes else contextlib.nullcontext()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([*weights, *probes])
            with dropout_seeds(self._seeds(number), self.dropout_algorithm), counting:
                outputs = self.model(self.model.select_features(batch), training=True)
            sums = self.objective.sums(batch, outputs)
            losses = {name: sums[name] / divisors[name] for name in sums}
            target = self._total(losses)
            if scale is not None:
                target *= scale
        gradients = tape.gradient(target, [*weights, *probes], unconnected_gradients="zero")
        return losses, [tf.convert_to_tensor(gradient) for gradient in gradients]

    def _total(self, losses: dict[str, tf.Tensor]) -> tf.Tensor:
        return tf.add_n([losses[name] for name in losses if name not in self.objective.measured])

    def _seeds(self, part_number: tf.Tensor) -> Callable[[int], tf.Tensor]:
        fold_in = functools.partial(tf.random.experimental.stateless_fold_in, alg=self._philox)
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        base = fold_in(tf.constant([self.seed % 2**31, 0], tf.int32), self.optimizer.step + 0)
        base = fold_in(fold_in(base, tf.cast(replica, tf.int64)), part_number)
        # As `fold_in` of each place gives, whose first half is the same for all.
        first = fold_in(base, tf.constant(0, tf.int64))[0]
        return lambda place: tf.stack([first, tf.cast(place, tf.int64)])
