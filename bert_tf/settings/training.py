"""Defines TrainingSettings, which pre-training and fine-tuning share."""

import dataclasses
from typing import Any

from bert_tf.settings.devices import DeviceSettings
from bert_tf.settings.setting import MIXED_PRECISIONS, setting


@dataclasses.dataclass(frozen=True)
class TrainingSettings(DeviceSettings):
    """Holds the settings that pre-training and fine-tuning share; each adds its own."""

    # Settings that do not affect the trained weights, so they may change on resume.
    MAY_CHANGE = frozenset(
        {
            *(field.name for field in dataclasses.fields(DeviceSettings)),
            *("bert_config_file", "output_dir", "do_train", "do_eval", "eval_batch_size"),
            *("save_checkpoints_steps", "iterations_per_loop", "eval_steps", "xla", "log_steps"),
            *("gradient_accumulation_steps", "keep_checkpoint_max", "allow_changed_settings"),
            *("recompute_activations", "untrained"),
        }
    )

    bert_config_file: str = setting("", "JSON file with the shape of the model.", needed=True)
    output_dir: str = setting("", "Folder of checkpoints and logs, to resume in.", needed=True)
    init_checkpoint: str | None = setting(None, "Checkpoint to start from: a prefix or a folder.")
    do_train: bool = setting(False, "Whether to train.")
    do_eval: bool = setting(False, "Whether to evaluate.")
    train_batch_size: int = setting(32, "Examples in a step, over all devices.", at_least=1)
    eval_batch_size: int = setting(8, "Examples in an evaluation batch.", at_least=1)
    learning_rate: float = setting(5e-5, "Peak of the learning rate.", interval="[0, inf)")
    save_checkpoints_steps: int = setting(1000, "Steps between two checkpoints.", at_least=1)
    iterations_per_loop: int = setting(1000, "Steps in one call of the graph at most.", at_least=1)
    # Beyond the original.
    eval_steps: int = setting(0, "Steps between two evaluations in training; 0: none.", at_least=0)
    seed: int = setting(12345, "Seed of initial weights, order of examples and dropout.")
    gradient_accumulation_steps: int = setting(1, "Parts of a batch, to save memory.", at_least=1)
    mixed_precision: str = setting("", "float16: for older GPUs.", choices=MIXED_PRECISIONS)
    xla: bool = setting(False, "Whether to compile the training step with XLA.")
    log_steps: int = setting(100, "Steps between two lines of metrics.jsonl.", at_least=1)
    keep_checkpoint_max: int = setting(5, "How many checkpoints are kept; 0: all.", at_least=0)
    learning_rate_schedule: str = setting(
        "original",
        "continuous: no jump after the warm-up. product: decay times warm-up, as in ELECTRA.",
        choices=("original", "continuous", "product"),
    )
    learning_rate_power: float = setting(1.0, "Power of the decay; 1: linear.", interval="(0, 10]")
    optimizer: str = setting(
        "adam",
        "lamb: for batches of thousands. albert_lamb: without bias correction, as ALBERT's is.",
        choices=("adam", "lamb", "albert_lamb"),
    )
    bias_correction: bool = setting(False, "Whether Adam corrects its moments' bias, as LAMB does.")
    gradient_norm: str = setting(
        "dense",
        "rows: clip by the norm of the originals off TPUs, where the rows of a lookup count one by "
        "one, even of the same id.",
        choices=("dense", "rows"),
    )
    adam_epsilon: float = setting(
        1e-6, "Added to the root of Adam's second moment; SpanBERT: 1e-8.", interval="(0, inf)"
    )
    adam_beta_2: float = setting(
        0.999, "Decay of Adam's second moment; RoBERTa: 0.98.", interval="(0, 1)"
    )
    weight_decay_rate: float = setting(
        0.01, "Decay of all weights but LayerNorm's and biases.", interval="[0, 1)"
    )
    clip_norm: float = setting(
        1.0, "The largest norm of the gradients; 0: any, as RoBERTa.", interval="[0, inf)"
    )
    recompute_activations: bool = setting(False, "Whether to recompute activations to save memory.")
    allow_changed_settings: bool = setting(False, "Whether a run may resume with other settings.")
    untrained: bool = setting(False, "Whether to evaluate random weights if there are no others.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.xla and self.num_virtual_devices:
            raise ValueError("--xla cannot be combined with --num_virtual_devices.")
        if self.train_batch_size % self.gradient_accumulation_steps:
            raise ValueError(
                f"--train_batch_size must be a multiple of --gradient_accumulation_steps. "
                f"Received: {self.train_batch_size} and {self.gradient_accumulation_steps}"
            )

    def fingerprint(self) -> dict[str, Any]:
        """Returns the settings that the trained weights depend on, which must not change."""
        values = dataclasses.asdict(self)
        return {name: each for name, each in values.items() if name not in self.MAY_CHANGE}
