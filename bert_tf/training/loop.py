"""The training loop: yields what is due after some steps, such as to save a checkpoint.

for event in train(trainer, batches, last_step, periods):
    match event:
        case Save(step):
            ...
"""

import dataclasses
import time
from collections.abc import Callable, Iterator

from bert_tf.training.trainer import Trainer

# A graph call takes about this long, so that signals are answered soon.
_SECONDS_PER_CALL = 1.0


@dataclasses.dataclass(frozen=True)
class Steps:
    """Some steps were done in one graph call.

    step: the number of steps behind the weights now.
    count: how many of them are new.
    metrics: each metric's mean over these; `seconds` a step among them.
    """

    step: int
    count: int
    metrics: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Log:
    """Metrics are due to be logged: each one's mean over the steps since the last time."""

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


Event = Steps | Log | Evaluate | Save


@dataclasses.dataclass(frozen=True)
class Periods:
    """How many steps lie between two events of a kind.

    log, save: also done at the last step.
    evaluate: 0 for never.
    evaluate_last: whether to evaluate at the last step, too.
    max_steps_per_call: the most steps inside one graph call, with or without an event.
    """

    log: int
    save: int
    max_steps_per_call: int
    evaluate: int = 0
    evaluate_last: bool = False

    def steps_to_next(self, step: int) -> int:
        """Returns how many steps after `step` the next event is due."""
        periods = [period for period in (self.log, self.save, self.evaluate) if period]
        return min(period - step % period for period in periods)


def train(
    trainer: Trainer,
    batches: Iterator,
    last_step: int,
    periods: Periods,
    agree: Callable[[int], int] = lambda num_steps: num_steps,
) -> Iterator[Event]:
    """Trains until `last_step` steps are counted, and yields what is due on the way.

    At the same step, `Log` comes before `Evaluate`, and `Evaluate` before `Save`: a run that is
    killed in between does the evaluation again. The last event is the `Save` of the last step.

    Args:
        trainer: runs the steps.
        batches: from the trainer's present step on.
        last_step: the step at which training ends.
        periods: when what is due.
        agree: given how many steps could be done now, returns how many are done, 0 to stop. Asked
            about once a second. Several processes that train together must return the same.
    """
    step = logged_at = saved_at = int(trainer.optimizer.step.numpy())
    chunk, sums = 1, {}
    while step < last_step:
        count = agree(min(chunk, last_step - step, periods.steps_to_next(step)))
        if not count:
            break
        start = time.monotonic()
        totals = trainer.run(batches, count)
        totals["seconds"] = seconds = time.monotonic() - start
        step += count
        chunk = min(2 * chunk, int(_SECONDS_PER_CALL / (seconds / count)))
        chunk = max(1, min(chunk, periods.max_steps_per_call))
        yield Steps(step, count, {name: value / count for name, value in totals.items()})
        sums = {name: sums.get(name, 0.0) + value for name, value in totals.items()}
        if step % periods.log == 0 or step == last_step:
            yield Log(step, {name: value / (step - logged_at) for name, value in sums.items()})
            sums, logged_at = {}, step
        if periods.evaluate and (
            step % periods.evaluate == 0 or (periods.evaluate_last and step == last_step)
        ):
            yield Evaluate(step)
        if step % periods.save == 0:
            yield Save(step)
            saved_at = step
    if saved_at != step:
        yield Save(step)
