"""Defines settings by which a student learns from a teacher, in pre-training and fine-tuning."""

import dataclasses
import functools

from bert_tf.settings.setting import setting
from bert_tf.settings.training import TrainingSettings

_with_teacher = functools.partial(setting, only_with="teacher")
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
    """Settings that change nothing without a `teacher`; each program has its own."""

    def __post_init__(self) -> None:
        super().__post_init__()
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

    teacher: str = setting("", f"{_TEACHER} It implies --objective=distillation.")
    init_from_teacher: bool = _with_teacher(False, _FROM_TEACHER)
    temperature: float = _with_teacher(2.0, "By which logits are divided.", interval="(0, inf)")
    soft_loss_weight: float = _with_teacher(
        5.0, "Weight of the divergence from the teacher's probabilities.", interval=_INTERVAL
    )
    soft_loss_on: str = _with_teacher(
        "all",
        "all: on all tokens. masked: on the masked ones, in less time and memory.",
        choices=("all", "masked"),
    )
    masked_lm_weight: float = _with_teacher(
        2.0, "Weight of the masked-LM loss.", interval=_INTERVAL
    )
    cosine_weight: float = _with_teacher(
        1.0, "Weight of the angle between the last hidden states.", interval=_INTERVAL
    )
    logit_mse_weight: float = _with_teacher(
        0.0, "Weight of the squared distance of the logits.", interval=_INTERVAL
    )


@dataclasses.dataclass(frozen=True)
class FinetuningDistillation(DistillationSettings):
    """Distillation in fine-tuning; the defaults are those of DistilBERT's on SQuAD.

    Source: `run_squad_w_distillation.py` of DistilBERT's repository.
    """

    teacher: str = setting("", f"{_TEACHER} It is fine-tuned for the same task.")
    init_from_teacher: bool = _with_teacher(False, _FROM_TEACHER)
    temperature: float = _with_teacher(
        2.0, "By which the logits of classes are divided.", interval="(0, inf)"
    )
    soft_loss_weight: float = _with_teacher(
        0.5,
        "Share of the loss on the teacher's answers; the rest is that on the labels.",
        interval="[0, 1]",
    )
    hidden_loss_weight: float = _with_teacher(
        0.0,
        "Weight of the mean squared difference of the hidden states, which is added.",
        interval=_INTERVAL,
    )
    attention_loss_weight: float = _with_teacher(
        0.0,
        "Weight of the mean squared difference of the attention scores, which is added.",
        interval=_INTERVAL,
    )
    unlabelled_file: tuple[str, ...] = _with_teacher(
        (),
        "Files to train on instead of the training files, in the format of the files to predict: "
        "any labels are ignored, and only the teacher's answers are learned.",
    )
    teacher_in_each_step: bool = _with_teacher(
        False,
        "Whether the teacher runs in each step, instead of once before training; the results are "
        "the same up to rounding.",
    )
