"""A pre-training run: PretrainingSettings."""

import dataclasses
import math

from bert_tf.settings.phases import Phase, check_sum_of_steps, parse_eval_files, parse_phases
from bert_tf.settings.setting import check_choices, check_whole_numbers, setting
from bert_tf.settings.training import TrainingSettings

# Of the tokens so many are hidden, rounded up: 20 of 128 and 77 of 512.
_MASKED_FRACTION = 0.15
_LOWEST = {
    "max_seq_length": 1,
    "max_predictions_per_seq": 1,
    "num_train_steps": 1,
    "num_warmup_steps": 0,
    "max_eval_steps": 0,
}


@dataclasses.dataclass(frozen=True)
class PretrainingSettings(TrainingSettings):
    """A pre-training run: the 22 flags of the original's run_pretraining.py, and what it lacked.

    Raises:
        ValueError: for values that no run can have, or that contradict each other.

    Source: google-research/bert, run_pretraining.py.
    """

    input_file: tuple[str, ...] = setting(
        (), "TFRecord files of examples: paths or patterns, separated by commas."
    )
    max_seq_length: int = setting(128, "Tokens in an example, as the records have them.")
    max_predictions_per_seq: int = setting(
        20, "Hidden tokens in an example at most, as the records have them."
    )
    num_train_steps: int = setting(100_000, "Steps at which training ends.")
    num_warmup_steps: int = setting(10_000, "Steps over which the learning rate rises from 0.")
    max_eval_steps: int = setting(100, "Most batches in an evaluation; 0 for all there are.")
    # Beyond the original.
    eval_file: tuple[str, ...] = setting(
        (),
        "TFRecord files to evaluate on, each example once. Without them evaluation reads the "
        "training files, as the original does. With --phases: seq128:FILES,seq512:FILES.",
    )
    phases: str = setting(
        "",
        "One run over several lengths, in place of --input_file, --max_seq_length and "
        "--max_predictions_per_seq, which the records then say: "
        "seq128:900000:FILES,seq512:100000:FILES, or the name of a .json file; see "
        "docs/training.md. The steps are counted through.",
    )
    phase_schedule: str = setting(
        "one",
        "Of --phases. one: one learning rate over all steps, and Adam's averages are carried over. "
        "each: every phase has its own warm-up and decay, and averages that begin anew, like the "
        "original's runs one after the other.",
    )
    on_corrupt: str = setting(
        "fail", "What to do about damaged records: fail, naming the file, or skip and count them."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole_numbers(self, _LOWEST)
        check_choices(self, {"on_corrupt": ("fail", "skip"), "phase_schedule": ("one", "each")})
        if not self.do_train and not self.do_eval:
            raise ValueError("Nothing to do: at least one of --do_train and --do_eval is needed.")
        if self.phases:
            self._check_phases()
        elif not self.input_file:
            raise ValueError("--input_file is needed.")
        elif self.do_train:
            self._check_warmup(self.num_train_steps)

    @property
    def num_steps(self) -> int:
        """The step at which training ends, whether there are phases or not."""
        if not self.phases:
            return self.num_train_steps
        return sum(phase.num_steps for phase in parse_phases(self.phases))

    def by_phase(self) -> tuple[tuple[int, "PretrainingSettings"], ...]:
        """Each phase's steps, and settings that say the same in the words of a single run.

        Of a phase that does not say how many tokens its records hide, it is 15 % of the length.
        Without `phases` there is one: all steps, and these settings.
        """
        if not self.phases:
            return ((self.num_train_steps, self),)
        return tuple((p.num_steps, self._in_phase(p)) for p in parse_phases(self.phases))

    def said_max_predictions(self, phase: Phase) -> int | None:
        """How many tokens its records hide, as the phase or else a flag says; None if neither."""
        is_default = self.max_predictions_per_seq == PretrainingSettings.max_predictions_per_seq
        return phase.max_predictions_per_seq or (
            None if is_default else self.max_predictions_per_seq
        )

    def _in_phase(self, phase: Phase) -> "PretrainingSettings":
        eval_files = parse_eval_files(self.eval_file)
        everywhere = eval_files.get(None, ())
        own = {
            name: getattr(phase, name)
            for name in (
                *("train_batch_size", "gradient_accumulation_steps"),
                *("learning_rate", "num_warmup_steps"),
            )
            if getattr(phase, name) is not None
        }
        return dataclasses.replace(
            self,
            phases="",
            phase_schedule="one",
            max_seq_length=phase.max_seq_length,
            max_predictions_per_seq=self.said_max_predictions(phase)
            or math.ceil(_MASKED_FRACTION * phase.max_seq_length),
            input_file=phase.input_file,
            eval_file=phase.eval_file or eval_files.get(phase.max_seq_length, everywhere),
            num_train_steps=phase.num_steps if self.phase_schedule == "each" else self.num_steps,
            **own,
        )

    def _check_phases(self) -> None:
        if self.input_file:
            raise ValueError(
                "The records stand in --phases or in --input_file. Received both: "
                f"--input_file={','.join(self.input_file)}"
            )
        phases = parse_phases(self.phases)
        if self.num_train_steps != PretrainingSettings.num_train_steps:
            check_sum_of_steps(phases, self.num_train_steps)
        lengths = {phase.max_seq_length for phase in phases}
        if self.max_seq_length not in {PretrainingSettings.max_seq_length, *lengths}:
            raise ValueError(
                "--phases says the lengths: seqLENGTH:STEPS:FILES. Received beside it: "
                f"--max_seq_length={self.max_seq_length}"
            )
        if self.phase_schedule == "one":
            own = [phase for phase in phases if phase.has_own_schedule]
            if own:
                raise ValueError(
                    "A phase can have a learning_rate and num_warmup_steps of its own only with "
                    f"--phase_schedule=each. Received: the phase of {own[0].max_seq_length} tokens"
                )
            self._check_warmup(self.num_steps)
        unused = {length for length in parse_eval_files(self.eval_file) if length} - lengths
        if unused:
            raise ValueError(
                f"--eval_file names files of {min(unused)} tokens, but the phases have "
                f"{', '.join(map(str, sorted(lengths)))}."
            )
        without_evaluation = []
        for number, phase in enumerate(phases, start=1):
            try:
                if not self._in_phase(phase).eval_file:  # It checks its own values.
                    without_evaluation.append(phase.max_seq_length)
            except ValueError as error:
                raise ValueError(
                    f"--phases, phase {number} of {phase.max_seq_length} tokens: {error}"
                ) from error
        evaluates = self.do_eval or self.eval_steps > 0
        if evaluates and 0 < len(without_evaluation) < len(phases):
            length = without_evaluation[0]
            raise ValueError(
                f"--eval_file has nothing for the phase of {length} tokens, which would be "
                f"evaluated on its training records, and others not. Add seq{length}:FILES."
            )

    def _check_warmup(self, num_steps: int) -> None:
        if self.do_train and self.num_warmup_steps > num_steps:
            raise ValueError(
                f"The warm-up is longer than the training, so the learning rate would never reach "
                f"its peak. Received: --num_warmup_steps={self.num_warmup_steps} and {num_steps} "
                "training steps; a tenth or a hundredth of the training is usual."
            )
