"""Defines PretrainingSettings: a pre-training run."""

import dataclasses
import math

from bert_tf.settings.distillation import PretrainingDistillation
from bert_tf.settings.phases import Phase, check_sum_of_steps, parse_eval_files, parse_phases
from bert_tf.settings.setting import setting
from bert_tf.settings.training import TrainingSettings

# Objective -> its file in pretraining/objectives/. The first is the original's.
OBJECTIVES = {
    "masked_lm+next_sentence": "masked_lm_next_sentence",
    "masked_lm+sentence_order": "masked_lm_sentence_order",
    "masked_lm": "masked_lm",
    "masked_lm+span_boundary": "masked_lm_span_boundary",
    "left_to_right": "left_to_right",
    "distillation": "distillation",
    "replaced_tokens": "replaced_tokens",
}
_OF_TEACHER = "distillation"
# The fraction of tokens that is masked, rounded up: 20 of 128 and 77 of 512.
_MASKED_FRACTION = 0.15
_SCHEDULE = ("learning_rate", "num_warmup_steps")


@dataclasses.dataclass(frozen=True)
class PretrainingSettings(PretrainingDistillation):
    """Settings of a pre-training run: the 22 flags of the original's run_pretraining.py, and more.

    Source: google-research/bert, run_pretraining.py.
    """

    # The fingerprint of a run has the phases instead of the text --phases.
    MAY_CHANGE = TrainingSettings.MAY_CHANGE | {
        *("input_file", "eval_file", "max_eval_steps", "phases", "vocab_file")
    }

    input_file: tuple[str, ...] = setting((), "TFRecord files to train on, separated by commas.")
    max_seq_length: int = setting(128, "Tokens in an example of the records.", at_least=1)
    max_predictions_per_seq: int = setting(20, "Masked tokens in an example.", at_least=1)
    num_train_steps: int = setting(100_000, "The step at which training ends.", at_least=1)
    num_warmup_steps: int = setting(10_000, "Steps in which the rate rises from 0.", at_least=0)
    max_eval_steps: int = setting(100, "Batches in an evaluation at most; 0: all.", at_least=0)
    # Beyond the original.
    eval_file: tuple[str, ...] = setting(
        (),
        "TFRecord files to evaluate on; default: the training files, as in the original. With "
        "--phases: seq128:FILES,seq512:FILES.",
    )
    vocab_file: str = setting(
        "",
        "The vocabulary of the records, which is copied to --output_dir; default: the one that the "
        "manifest.json beside the records names.",
    )
    objective: str = setting(
        "masked_lm+next_sentence",
        "masked_lm+sentence_order: whether two parts of a text are swapped, as ALBERT learns. "
        "masked_lm: without next sentence prediction. masked_lm+span_boundary: SpanBERT's, on "
        "records of create_pretraining_data.py --do_span_mask. left_to_right: to predict each next "
        "token; bert_config.json in --output_dir then says is_causal. distillation: to give "
        "the answers of --teacher. replaced_tokens: which tokens a small masked LM put in, as "
        "ELECTRA learns.",
        choices=tuple(OBJECTIVES),
    )
    objective_options: tuple[str, ...] = setting(
        (), "Of replaced_tokens, as in mask_prob=0.25,discriminator_weight=50."
    )
    phases: str = setting(
        "",
        "Several sequence lengths, seq128:900000:FILES,seq512:100000:FILES, or a .json file, see "
        "docs/training.md; instead of --input_file, --max_seq_length and "
        "--max_predictions_per_seq.",
    )
    phase_schedule: str = setting(
        "one",
        "one: one schedule over all phases. each: every phase has its own warm-up and decay, and "
        "resets Adam's moments, like the original's runs one after the other.",
        choices=("one", "each"),
    )
    on_corrupt: str = setting("fail", "What to do about corrupt records.", choices=("fail", "skip"))

    def __post_init__(self) -> None:
        super().__post_init__()
        self._choose_objective()
        if not self.do_train and not self.do_eval:
            raise ValueError("Nothing to do: at least one of --do_train and --do_eval is needed.")
        if self.phases:
            self._check_phases(parse_phases(self.phases))
        elif not self.input_file:
            raise ValueError("--input_file is needed.")
        elif self.do_train and self.num_warmup_steps > self.num_train_steps:
            raise ValueError(
                f"The warm-up is longer than the training, so the learning rate would never reach "
                f"its peak. Received: --num_warmup_steps={self.num_warmup_steps} and "
                f"{self.num_train_steps} training steps; a tenth or a hundredth is usual."
            )

    def _choose_objective(self) -> None:
        if not self.teacher and self.objective == _OF_TEACHER:
            raise ValueError("--objective=distillation needs a --teacher.")
        if self.teacher and self.objective == PretrainingSettings.objective:
            object.__setattr__(self, "objective", _OF_TEACHER)
        if self.teacher and self.objective != _OF_TEACHER:
            raise ValueError(
                f"--teacher is for --objective=distillation. Received: --objective={self.objective}"
            )

    @property
    def num_steps(self) -> int:
        """The step at which training ends, with phases or without."""
        if not self.phases:
            return self.num_train_steps
        return sum(phase.num_steps for phase in parse_phases(self.phases))

    def by_phase(self) -> tuple[tuple[int, "PretrainingSettings"], ...]:
        """Returns each phase's number of steps, and its settings as those of a run without phases.

        `max_predictions_per_seq` defaults to 15 % of a phase's length. Without `phases` there is
        one, with all steps and these settings.
        """
        if not self.phases:
            return ((self.num_train_steps, self),)
        return tuple((p.num_steps, self._in_phase(p)) for p in parse_phases(self.phases))

    def given_max_predictions(self, phase: Phase) -> int | None:
        """Returns `max_predictions_per_seq` of the phase or of the flag; None if neither is set."""
        is_default = self.max_predictions_per_seq == PretrainingSettings.max_predictions_per_seq
        from_flag = None if is_default else self.max_predictions_per_seq
        return phase.max_predictions_per_seq or from_flag

    def _in_phase(self, phase: Phase) -> "PretrainingSettings":
        length = phase.max_seq_length
        eval_files = parse_eval_files(self.eval_file)
        values = {
            "max_predictions_per_seq": self.given_max_predictions(phase)
            or math.ceil(_MASKED_FRACTION * length),
            "eval_file": phase.eval_file or eval_files.get(length, eval_files.get(None, ())),
            "num_train_steps": phase.num_steps if self.phase_schedule == "each" else self.num_steps,
            **phase.own_values("max_seq_length", "input_file", "train_batch_size", *_SCHEDULE),
            **phase.own_values("gradient_accumulation_steps"),
        }
        try:
            return dataclasses.replace(self, phases="", phase_schedule="one", **values)
        except ValueError as error:
            raise ValueError(f"--phases, the phase of {length} tokens: {error}") from error

    def _check_phases(self, phases: tuple[Phase, ...]) -> None:
        if self.input_file:
            raise ValueError(
                "Name the records in --phases or in --input_file. Received both: "
                f"--input_file={','.join(self.input_file)}"
            )
        if self.num_train_steps != PretrainingSettings.num_train_steps:
            check_sum_of_steps(phases, self.num_train_steps)
        lengths = {phase.max_seq_length for phase in phases}
        if self.max_seq_length not in {PretrainingSettings.max_seq_length, *lengths}:
            raise ValueError(
                "--phases says the lengths: seqLENGTH:STEPS:FILES. Received beside it: "
                f"--max_seq_length={self.max_seq_length}"
            )
        own = [phase for phase in phases if phase.own_values(*_SCHEDULE)]
        if own and self.phase_schedule == "one":
            raise ValueError(
                "A phase can have a learning_rate and num_warmup_steps of its own only with "
                f"--phase_schedule=each. Received: the phase of {own[0].max_seq_length} tokens"
            )
        unused = {length for length in parse_eval_files(self.eval_file) if length} - lengths
        if unused:
            raise ValueError(
                f"--eval_file names files of {min(unused)} tokens, but the phases have "
                f"{', '.join(map(str, sorted(lengths)))}."
            )
        without = [own.max_seq_length for _, own in self.by_phase() if not own.eval_file]
        evaluates = self.do_eval or self.eval_steps > 0
        if evaluates and 0 < len(without) < len(phases):
            raise ValueError(
                f"--eval_file has nothing for the phase of {without[0]} tokens, but for others. "
                f"Add seq{without[0]}:FILES."
            )
