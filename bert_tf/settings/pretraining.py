"""A pre-training run: PretrainingSettings."""

import dataclasses
import math

from bert_tf.config import check_range
from bert_tf.settings.setting import (
    MIXED_PRECISIONS,
    check_choices,
    check_whole_numbers,
    setting,
)

_LOWEST = {
    "max_seq_length": 1,
    "max_predictions_per_seq": 1,
    "train_batch_size": 1,
    "eval_batch_size": 1,
    "num_train_steps": 1,
    "num_warmup_steps": 0,
    "save_checkpoints_steps": 1,
    "iterations_per_loop": 1,
    "max_eval_steps": 0,
    "eval_steps": 0,
    "gradient_accumulation_steps": 1,
    "log_steps": 1,
    "keep_checkpoint_max": 0,
}
_CHOICES = {
    "mixed_precision": MIXED_PRECISIONS,
    "on_corrupt": ("fail", "skip"),
    "learning_rate_schedule": ("original", "continuous"),
}


@dataclasses.dataclass(frozen=True)
class PretrainingSettings:
    """A pre-training run: the 22 flags of the original's run_pretraining.py, and what it lacked.

    Raises:
        ValueError: for values that no run can have, or that contradict each other.

    Source: google-research/bert, run_pretraining.py.
    """

    bert_config_file: str = setting("", "JSON file with the shape of the model.")
    input_file: tuple[str, ...] = setting(
        (), "TFRecord files of examples: paths or patterns, separated by commas."
    )
    output_dir: str = setting("", "Folder for checkpoints, logs and results. A run goes on there.")
    init_checkpoint: str | None = setting(
        None, "Checkpoint whose weights the model starts from (a prefix, or a folder)."
    )
    max_seq_length: int = setting(128, "Tokens in an example, as the records have them.")
    max_predictions_per_seq: int = setting(
        20, "Hidden tokens in an example at most, as the records have them."
    )
    do_train: bool = setting(False, "Whether to train.")
    do_eval: bool = setting(False, "Whether to evaluate.")
    train_batch_size: int = setting(32, "Examples in a training step, over all devices.")
    eval_batch_size: int = setting(8, "Examples in an evaluation batch.")
    learning_rate: float = setting(5e-5, "Peak of the learning rate.")
    num_train_steps: int = setting(100_000, "Steps at which training ends.")
    num_warmup_steps: int = setting(10_000, "Steps over which the learning rate rises from 0.")
    save_checkpoints_steps: int = setting(1000, "Steps between two checkpoints.")
    iterations_per_loop: int = setting(1000, "Most steps inside one call of the graph.")
    max_eval_steps: int = setting(100, "Most batches in an evaluation; 0 for all there are.")
    use_tpu: bool = setting(False, "Whether to train on a TPU.")
    tpu_name: str | None = setting(
        None, "The Cloud TPU: its name, a grpc:// address, or local on a TPU VM."
    )
    tpu_zone: str | None = setting(
        None, "The TPU's Google Cloud zone; that of this machine if empty."
    )
    gcp_project: str | None = setting(
        None, "The TPU's Google Cloud project; that of this machine if empty."
    )
    master: str | None = setting(None, "The TPU's grpc:// address, where there is no --tpu_name.")
    num_tpu_cores: int = setting(8, "Cores that the TPU is expected to have.")
    # Beyond the original.
    eval_file: tuple[str, ...] = setting(
        (),
        "TFRecord files to evaluate on, each example once. Without them evaluation reads the "
        "training files, as the original does.",
    )
    eval_steps: int = setting(0, "Steps between two evaluations during training; 0 for none.")
    seed: int = setting(
        12345, "Of weights, order of examples and dropout: the same seed gives the same run."
    )
    gradient_accumulation_steps: int = setting(
        1, "Parts in which a batch is computed, to save memory; the result is the same."
    )
    mixed_precision: str = setting(
        "", "bfloat16 (TPU, recent GPUs and CPUs) or float16 (older GPUs); float32 if empty."
    )
    xla: bool = setting(False, "Whether to compile the training step with XLA.")
    log_steps: int = setting(
        100, "Steps between two lines of metrics.jsonl and TensorBoard points."
    )
    keep_checkpoint_max: int = setting(5, "How many checkpoints are kept; 0 for all.")
    on_corrupt: str = setting(
        "fail", "What to do about damaged records: fail, naming the file, or skip and count them."
    )
    learning_rate_schedule: str = setting(
        "original",
        "original: linear decay from step 0, hidden by the warm-up. continuous: linear decay from "
        "the end of the warm-up, without the original's jump there.",
    )
    bias_correction: bool = setting(
        False, "Whether Adam corrects the bias of its averages; the original's does not."
    )
    allow_changed_settings: bool = setting(
        False, "Whether a run in --output_dir may go on with other settings than it began with."
    )

    def __post_init__(self) -> None:
        for name in ("bert_config_file", "input_file", "output_dir"):
            if not getattr(self, name):
                raise ValueError(f"--{name} is needed.")
        if not self.do_train and not self.do_eval:
            raise ValueError("Nothing to do: at least one of --do_train and --do_eval is needed.")
        check_whole_numbers(self, _LOWEST)
        check_choices(self, _CHOICES)
        check_range("learning_rate", self.learning_rate, 0.0, math.inf, True, False)
        if self.do_train and self.num_warmup_steps > self.num_train_steps:
            raise ValueError(
                f"The warm-up is longer than the training, so the learning rate would never reach "
                f"its peak. Received: --num_warmup_steps={self.num_warmup_steps}, "
                f"--num_train_steps={self.num_train_steps}; a tenth or a hundredth of the "
                "training is usual."
            )
        if self.train_batch_size % self.gradient_accumulation_steps:
            raise ValueError(
                f"--train_batch_size must be a multiple of --gradient_accumulation_steps. "
                f"Received: {self.train_batch_size} and {self.gradient_accumulation_steps}"
            )
