"""Defines settings by which a student learns from a teacher, in pre-training and fine-tuning."""

import dataclasses

from bert_tf.settings.setting import setting
from bert_tf.settings.training import TrainingSettings

_INTERVAL = "[0, inf)"
_TEACHER = (
    "A model to learn from, by its outputs: as --model, a folder, a checkpoint or a released "
    "model's name. It reads the same vocabulary."
)
_FROM_TEACHER = (
    "Whether the student starts from the teacher's weights: the first layer from the first, the "
    "last from the last, the others evenly in between (0, 2, 4, 7, 9, 11 for 6 of 12)."
)


@dataclasses.dataclass(frozen=True)
class DistillationSettings(TrainingSettings):
    """Refuses settings of a distillation without a teacher; each program adds its own."""

    NEED_TEACHER = ("init_from_teacher", "temperature", "soft_loss_weight")

    def __post_init__(self) -> None:
        super().__post_init__()
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        given = [n for n in self.NEED_TEACHER if getattr(self, n) != defaults[n]]
        if given and not self.teacher:
            raise ValueError(f"--{given[0]} is for distillation: it needs a --teacher.")
        if self.init_from_teacher and self.init_checkpoint:
            raise ValueError(
                "--init_from_teacher starts from the teacher's weights. Received beside it: "
                f"--init_checkpoint={self.init_checkpoint}. With a teacher, give the student's "
                "--bert_config_file and --vocab_file instead of --model."
            )


@dataclasses.dataclass(frozen=True)
class PretrainingDistillation(DistillationSettings):
    """Distillation in pre-training; the defaults are DistilBERT's.

    Source: Sanh et al. 2019, and `train.py` of its repository.
    """

    NEED_TEACHER = (
        *DistillationSettings.NEED_TEACHER,
        *("soft_loss_on", "masked_lm_weight", "cosine_weight", "logit_mse_weight"),
    )

    teacher: str = setting("", f"{_TEACHER} It implies --objective=distillation.")
    init_from_teacher: bool = setting(False, _FROM_TEACHER)
    temperature: float = setting(2.0, "By which logits are divided.", interval="(0, inf)")
    soft_loss_weight: float = setting(
        5.0, "Weight of the divergence from the teacher's probabilities.", interval=_INTERVAL
    )
    soft_loss_on: str = setting(
        "all",
        "all: on all tokens. masked: on the masked ones, in less time and memory.",
        choices=("all", "masked"),
    )
    masked_lm_weight: float = setting(2.0, "Weight of the masked-LM loss.", interval=_INTERVAL)
    cosine_weight: float = setting(
        1.0, "Weight of the angle between the last hidden states.", interval=_INTERVAL
    )
    logit_mse_weight: float = setting(
        0.0, "Weight of the squared distance of the logits.", interval=_INTERVAL
    )


@dataclasses.dataclass(frozen=True)
class FinetuningDistillation(DistillationSettings):
    """Distillation in fine-tuning; the defaults are those of DistilBERT's on SQuAD.

    Source: `run_squad_w_distillation.py` of DistilBERT's repository.
    """

    NEED_TEACHER = (
        *DistillationSettings.NEED_TEACHER,
        *("hidden_loss_weight", "attention_loss_weight"),
        *("unlabelled_file", "teacher_in_each_step"),
    )

    teacher: str = setting("", f"{_TEACHER} It is fine-tuned for the same task.")
    init_from_teacher: bool = setting(False, _FROM_TEACHER)
    temperature: float = setting(
        2.0, "By which the logits of classes are divided.", interval="(0, inf)"
    )
    soft_loss_weight: float = setting(
        0.5,
        "Share of the loss on the teacher's answers; the rest is that on the labels.",
        interval="[0, 1]",
    )
    hidden_loss_weight: float = setting(
        0.0,
        "Weight of the mean squared difference of the hidden states, which is added.",
        interval=_INTERVAL,
    )
    attention_loss_weight: float = setting(
        0.0,
        "Weight of the mean squared difference of the attention scores, which is added.",
        interval=_INTERVAL,
    )
    unlabelled_file: tuple[str, ...] = setting(
        (),
        "Files to train on instead of the training files, in the format of the files to predict: "
        "any labels are ignored, and only the teacher's answers are learned.",
    )
    teacher_in_each_step: bool = setting(
        False,
        "Whether the teacher runs in each step, instead of once before training; the results are "
        "the same up to rounding.",
    )
