"""A pre-training run: PretrainingSettings."""

import dataclasses

from bert_tf.settings.setting import check_choices, check_whole_numbers, setting
from bert_tf.settings.training import TrainingSettings

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
        "training files, as the original does.",
    )
    on_corrupt: str = setting(
        "fail", "What to do about damaged records: fail, naming the file, or skip and count them."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.input_file:
            raise ValueError("--input_file is needed.")
        if not self.do_train and not self.do_eval:
            raise ValueError("Nothing to do: at least one of --do_train and --do_eval is needed.")
        check_whole_numbers(self, _LOWEST)
        check_choices(self, {"on_corrupt": ("fail", "skip")})
        if self.do_train and self.num_warmup_steps > self.num_train_steps:
            raise ValueError(
                f"The warm-up is longer than the training, so the learning rate would never reach "
                f"its peak. Received: --num_warmup_steps={self.num_warmup_steps}, "
                f"--num_train_steps={self.num_train_steps}; a tenth or a hundredth of the "
                "training is usual."
            )
