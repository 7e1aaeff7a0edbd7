"""The settings that pre-training and fine-tuning share: TrainingSettings."""

import dataclasses
import math

from bert_tf.config import check_range
from bert_tf.settings.devices import DeviceSettings
from bert_tf.settings.setting import (
    MIXED_PRECISIONS,
    check_choices,
    check_whole_numbers,
    setting,
)

_LOWEST = {
    "train_batch_size": 1,
    "eval_batch_size": 1,
    "save_checkpoints_steps": 1,
    "iterations_per_loop": 1,
    "eval_steps": 0,
    "gradient_accumulation_steps": 1,
    "log_steps": 1,
    "keep_checkpoint_max": 0,
}
_CHOICES = {
    "mixed_precision": MIXED_PRECISIONS,
    "learning_rate_schedule": ("original", "continuous"),
    "optimizer": ("adam", "lamb"),
}

# Settings that do not affect the trained weights, so they may change on resume.
NOT_IN_FINGERPRINT = frozenset(
    {
        *("bert_config_file", "output_dir", "do_train", "do_eval", "eval_batch_size"),
        *("save_checkpoints_steps", "iterations_per_loop", "use_tpu", "tpu_name", "tpu_zone"),
        *("gcp_project", "master", "num_tpu_cores", "eval_steps", "xla", "log_steps"),
        *("distribution_strategy", "num_gpus", "num_virtual_devices", "worker_hosts"),
        *("task_index", "worker_timeout"),
        *("gradient_accumulation_steps", "keep_checkpoint_max", "allow_changed_settings"),
        "recompute_activations",
    }
)


@dataclasses.dataclass(frozen=True)
class TrainingSettings(DeviceSettings):
    """The settings that pre-training and fine-tuning share; each adds its own.

    Raises:
        ValueError: for values that no run can have, or that contradict each other.
    """

    bert_config_file: str = setting("", "JSON file with the shape of the model.")
    output_dir: str = setting("", "Folder for checkpoints, logs and results. A run resumes there.")
    init_checkpoint: str | None = setting(
        None, "Checkpoint whose weights the model starts from (a prefix, or a folder)."
    )
    do_train: bool = setting(False, "Whether to train.")
    do_eval: bool = setting(False, "Whether to evaluate.")
    train_batch_size: int = setting(32, "Examples in a training step, over all devices.")
    eval_batch_size: int = setting(8, "Examples in an evaluation batch.")
    learning_rate: float = setting(5e-5, "Peak of the learning rate.")
    save_checkpoints_steps: int = setting(1000, "Steps between two checkpoints.")
    iterations_per_loop: int = setting(1000, "Steps in one call of the graph at most.")
    # Beyond the original.
    eval_steps: int = setting(0, "Steps between two evaluations during training; 0 for none.")
    seed: int = setting(12345, "Seed of initial weights, order of examples and dropout.")
    gradient_accumulation_steps: int = setting(
        1, "In how many parts a batch is computed, to save memory; the result is the same."
    )
    mixed_precision: str = setting(
        "", "bfloat16 (TPU, recent GPUs and CPUs) or float16 (older GPUs); float32 if empty."
    )
    xla: bool = setting(False, "Whether to compile the training step with XLA.")
    log_steps: int = setting(
        100, "Steps between two lines of metrics.jsonl and TensorBoard points."
    )
    keep_checkpoint_max: int = setting(5, "How many checkpoints are kept; 0 for all.")
    learning_rate_schedule: str = setting(
        "original",
        "original: linear decay counted from step 0, so the rate jumps down after the warm-up. "
        "continuous: linear decay from the end of the warm-up, without a jump.",
    )
    learning_rate_power: float = setting(
        1.0, "The rate decays with the fraction of steps left, to this power. 1 is linear."
    )
    optimizer: str = setting(
        "adam",
        "adam: the original's. lamb: for batches of thousands; the learning rate is then the "
        "fraction of itself by which a layer changes in a step; see docs/training.md.",
    )
    bias_correction: bool = setting(
        False,
        "Whether Adam corrects the bias of its moments; the original's does not, LAMB always does.",
    )
    recompute_activations: bool = setting(
        False,
        "Whether to keep only the input of each Transformer block, and to compute the rest again "
        "for the gradient: a third more time, a fraction of the memory, the same result.",
    )
    allow_changed_settings: bool = setting(
        False, "Whether a run in --output_dir may resume with other settings than it started with."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("bert_config_file", "output_dir"):
            if not getattr(self, name):
                raise ValueError(f"--{name} is needed.")
        check_whole_numbers(self, _LOWEST)
        check_choices(self, _CHOICES)
        check_range("learning_rate", self.learning_rate, 0.0, math.inf, True, False)
        check_range("learning_rate_power", self.learning_rate_power, 0.0, 10.0, False, True)
        if self.xla and self.num_virtual_devices:
            raise ValueError(
                "--xla cannot compile for virtual devices: give it without --num_virtual_devices."
            )
        if self.train_batch_size % self.gradient_accumulation_steps:
            raise ValueError(
                f"--train_batch_size must be a multiple of --gradient_accumulation_steps. "
                f"Received: {self.train_batch_size} and {self.gradient_accumulation_steps}"
            )
