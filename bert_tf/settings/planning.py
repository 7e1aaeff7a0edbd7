"""Defines PlanningSettings: the pre-training run to plan."""

import dataclasses

from bert_tf.settings.pretraining_data import DUPE_FACTORS
from bert_tf.settings.setting import MIXED_PRECISIONS, Settings, setting


@dataclasses.dataclass(frozen=True)
class PlanningSettings(Settings):
    """Describes a pre-training run to plan. The defaults are the paper's run of BERT-Base."""

    model: str = setting("bert_base_uncased", "A model of the shape: a released name or a path.")
    bert_config_file: str | None = setting(None, "JSON file with the shape, in place of --model.")
    phases: tuple[str, ...] = setting(
        ("seq128:900000", "seq512:100000"),
        "As for run_pretraining.py. The default's lengths are at most the model's positions.",
        needed=True,
    )
    train_batch_size: int = setting(256, "Examples in a step, over all devices.", at_least=1)
    hardware: str = setting("tpu_v2", "The hardware; see --list_hardware.")
    num_chips: int = setting(16, "GPUs or TPU chips (a v2-8 and a v3-8 have 4).", at_least=1)
    mixed_precision: str = setting("", "Default: float32.", choices=MIXED_PRECISIONS)
    gradient_accumulation_steps: int = setting(0, "Parts of a batch; 0: as few as fit.", at_least=0)
    recompute_activations: bool = setting(False, "Whether to compute blocks again, to save memory.")
    xla: bool = setting(False, "Whether XLA compiles the step; on a TPU it always does.")
    efficiency: float = setting(0.0, "Fraction of the peak; 0: the usual one.", interval="[0, 1]")
    scaling_efficiency: float = setting(
        1.0, "Fraction of its speed that a device keeps among several.", interval="(0, 1]"
    )
    memory_margin: float = setting(0.1, "Memory that is kept free.", interval="[0, 1)")
    peak_flops: float = setting(0.0, "float32 FLOP/s of the CPU; 0: measure.", interval="[0, inf)")
    corpus_words: float = setting(3.3e9, "Words in the corpus.", interval="(0, inf)")
    tokens_per_word: float = setting(1.29, "Word pieces per word.", interval="(0, inf)")
    tokens_per_document: float = setting(950.0, "Word pieces per document.", interval="(0, inf)")
    masking: str = setting("static", "Kind of masking.", choices=tuple(DUPE_FACTORS))
    masked_lm_prob: float = setting(0.15, "Fraction of tokens that is masked.", interval="(0, 1)")
    dupe_factor: int = setting(0, "Uses of the text; 0: the default of --masking.", at_least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.bert_config_file and not self.model:
            raise ValueError("--model or --bert_config_file is needed.")
        if self.peak_flops and self.hardware.lower() != "cpu":
            raise ValueError(
                f"--peak_flops is for --hardware=cpu; for other hardware give --efficiency. "
                f"Received: --hardware={self.hardware}"
            )
