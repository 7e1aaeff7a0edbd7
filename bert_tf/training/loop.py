"""The training loop: yields what is due after some steps, such as to save a checkpoint."""

import dataclasses
import time
from collections.abc import Callable, Iterator

from bert_tf.settings import TrainingSettings
from bert_tf.training.trainer import Trainer

# A graph call takes about this long, so that signals are answered soon.
_SECONDS_PER_CALL = 1.0


@dataclasses.dataclass(frozen=True)
class Steps:
    """Some steps were run in one graph call; `metrics` are their means."""

    count: int
    metrics: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Log:
    """Metrics are due to be logged: their means over the steps since the last time."""

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
    """Trains until `last_step` steps are counted, and yields what is due on the way.

    At the same step, `Evaluate` comes before `Save`: a run that is killed in between repeats the
    evaluation. The last event is the `Save` of the last step.

    Args:
        batches: from the trainer's present step on.
        settings: the batch size, and how many steps lie between two events.
        agree: given how many steps could be run now, returns how many are run, 0 to stop. Called
            about once a second. Processes that train together must return the same.
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
