"""Runs the training loop, and yields events such as that a checkpoint is due."""

import dataclasses
import time
from collections.abc import Callable, Iterator

from bert_tf.settings import TrainingSettings
from bert_tf.training.trainer import Trainer

_SECONDS_PER_CALL = 1.0  # Graph calls are short, so that signals are answered soon.


@dataclasses.dataclass(frozen=True)
class Steps:
    """A graph call ran `count` steps; `metrics` are their means."""

    count: int
    metrics: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Log:
    """Metrics, as means over the steps since the last log, are due to be logged."""

    step: int
    metrics: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """The model is due to be evaluated."""

    step: int


@dataclasses.dataclass(frozen=True)
class Save:
    """A checkpoint is due to be saved."""

    step: int


def train(
    trainer: Trainer,
    batches: Iterator,
    last_step: int,
    settings: TrainingSettings,
    evaluate_last: bool = False,
    agree: Callable[[int], int] = lambda num_steps: num_steps,
) -> Iterator[Steps | Log | Evaluate | Save]:
    """Trains until step `last_step`, and yields the events that are due.

    `Evaluate` comes before `Save`, so that a run that is killed in between repeats the evaluation.
    The last event is the `Save` of the last step.

    Args:
        batches: from the trainer's current step on.
        settings: the batch size, and the number of steps between two events.
        agree: given the number of steps that can be run now, returns how many to run, 0 to stop.
            Called about once a second. Processes that train together must return the same.
    """
    step = logged_at = saved_at = int(trainer.optimizer.step.numpy())
    periods = (settings.log_steps, settings.save_checkpoints_steps, settings.eval_steps)
    chunk, sums = 1, {}
    while step < last_step:
        to_next_event = min(period - step % period for period in periods if period)
        count = agree(min(chunk, last_step - step, to_next_event))
        if not count:
            break
        start = time.monotonic()
        totals = trainer.run(batches, count)
        totals["seconds"] = seconds = time.monotonic() - start
        step += count
        chunk = min(2 * chunk, int(_SECONDS_PER_CALL / (seconds / count)))
        chunk = max(1, min(chunk, settings.iterations_per_loop))
        yield Steps(count, _means(totals, count, settings.train_batch_size))
        sums = {name: sums.get(name, 0.0) + value for name, value in totals.items()}
        is_last = step == last_step
        if step % settings.log_steps == 0 or is_last:
            yield Log(step, _means(sums, step - logged_at, settings.train_batch_size))
            sums, logged_at = {}, step
        if settings.eval_steps and (step % settings.eval_steps == 0 or (evaluate_last and is_last)):
            yield Evaluate(step)
        if step % settings.save_checkpoints_steps == 0:
            yield Save(step)
            saved_at = step
    if saved_at != step:
        yield Save(step)


def _means(sums: dict[str, float], num_steps: int, batch_size: int) -> dict[str, float]:
    sums = dict(sums)
    seconds = max(sums.pop("seconds"), 1e-9)
    rates = {
        "examples_per_second": batch_size * num_steps / seconds,
        "tokens_per_second": sums.pop("tokens") / seconds,
    }
    return {**{name: value / num_steps for name, value in sums.items()}, **rates}
