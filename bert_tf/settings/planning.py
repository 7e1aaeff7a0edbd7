"""The pre-training run that is to be planned: PlanningSettings."""

import dataclasses

from bert_tf.config import check_range
from bert_tf.settings.pretraining_data import DUPE_FACTORS
from bert_tf.settings.setting import (
    MIXED_PRECISIONS,
    check_choices,
    check_whole_numbers,
    setting,
)

_LOWEST = {
    "train_batch_size": 1,
    "num_chips": 1,
    "gradient_accumulation_steps": 0,
    "dupe_factor": 0,
}
_CHOICES = {"mixed_precision": MIXED_PRECISIONS, "masking": tuple(DUPE_FACTORS)}


@dataclasses.dataclass(frozen=True)
class PlanningSettings:
    """A pre-training run to be planned. The defaults are the paper's run of BERT-Base.

    Raises:
        ValueError: for values that no run can have, or that contradict each other.
    """

    model: str = setting(
        "bert_base_uncased", "Name of a released model, whose shape is planned for."
    )
    bert_config_file: str | None = setting(
        None, "JSON file with the shape of the model, in place of --model."
    )
    phases: tuple[str, ...] = setting(
        ("seq128:900000", "seq512:100000"),
        "Sequence lengths and steps of all phases, or the name of a .json file of phases, as for "
        "run_pretraining.py; the names of files after a second colon are ignored.",
    )
    train_batch_size: int = setting(256, "Examples in a training step, over all devices.")
    hardware: str = setting("tpu_v2", "The hardware; see --list_hardware.")
    num_chips: int = setting(16, "How many GPUs or TPU chips (a v2-8 and a v3-8 have 4).")
    mixed_precision: str = setting(
        "", "bfloat16 or float16, as in run_pretraining.py; float32 if empty."
    )
    gradient_accumulation_steps: int = setting(
        0, "In how many parts a batch is computed; 0 for as few as the memory allows."
    )
    recompute_activations: bool = setting(
        False, "Whether blocks are computed again in the backward pass, to save memory."
    )
    xla: bool = setting(
        False, "Whether XLA compiles the step, as in run_pretraining.py; on a TPU it always does."
    )
    efficiency: float = setting(
        0.0, "Fraction of the peak rate that training reaches; 0 for the hardware's usual one."
    )
    scaling_efficiency: float = setting(
        1.0, "Fraction of its speed that a device keeps among several; see docs/planning.md."
    )
    memory_margin: float = setting(
        0.1, "Fraction of the memory that is kept free, as allocators cannot use all of it."
    )
    peak_flops: float = setting(
        0.0, "FLOP/s of --hardware=cpu in float32 matrix products; 0 to measure them now."
    )
    corpus_words: float = setting(
        3.3e9, "Words in the corpus; the default is the paper's: English Wikipedia and books."
    )
    tokens_per_word: float = setting(
        1.29, "Word pieces per word; the default was measured on English novels."
    )
    tokens_per_document: float = setting(
        950.0, "Word pieces per document, on average; the default is that of these novels' parts."
    )
    masking: str = setting("static", "static or dynamic, as in create_pretraining_data.py.")
    masked_lm_prob: float = setting(0.15, "Fraction of tokens that is masked.")
    dupe_factor: int = setting(
        0, "How often the text is used for records; 0 for the default of --masking (10 or 1)."
    )

    def __post_init__(self) -> None:
        if not self.bert_config_file and not self.model:
            raise ValueError("--model or --bert_config_file is needed.")
        if not self.phases:
            raise ValueError("--phases is needed, as in --phases=seq128:900000,seq512:100000")
        check_whole_numbers(self, _LOWEST)
        check_choices(self, _CHOICES)
        check_range("efficiency", self.efficiency, 0.0, 1.0)
        check_range("scaling_efficiency", self.scaling_efficiency, 0.0, 1.0, includes_low=False)
        check_range("memory_margin", self.memory_margin, 0.0, 1.0, includes_high=False)
        check_range("masked_lm_prob", self.masked_lm_prob, 0.0, 1.0, False, False)
        check_range("peak_flops", self.peak_flops, 0.0, float("inf"), includes_high=False)
        if self.peak_flops and self.hardware.lower() != "cpu":
            raise ValueError(
                f"--peak_flops is of --hardware=cpu; of others --efficiency says how much of the "
                f"published peak is reached. Received: --hardware={self.hardware}"
            )
        for name in ("corpus_words", "tokens_per_word", "tokens_per_document"):
            check_range(name, getattr(self, name), 0.0, float("inf"), False, False)
