"""How data is to be made and a model to be trained: a frozen dataclass a program.

A default and its reason are written here and nowhere else; the scripts' flags take theirs from
these classes. Every class checks its values when it is made. No TensorFlow.
"""

import dataclasses
import math
from typing import Any

from bert_tf.config import check_range
from bert_tf.files import resolve_path

MIXED_PRECISIONS = ("", "bfloat16", "float16")


# How often text is gone through for pre-training records, by kind of masking. Static: the
# original's. Dynamic: records need no copies to have other masks.
DUPE_FACTORS = {"static": 10, "dynamic": 1}


def setting(default: Any, help_text: str) -> Any:
    """A field whose meaning is also its flag's help."""
    return dataclasses.field(default=default, metadata={"help": help_text})


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
        self._check_whole_numbers()
        self._check_choices()
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

    def _check_whole_numbers(self) -> None:
        lowest = {
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
        for name, low in lowest.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(
                    f"--{name} must be a whole number of at least {low}. Received: {value!r}"
                )

    def _check_choices(self) -> None:
        choices = {
            "mixed_precision": MIXED_PRECISIONS,
            "on_corrupt": ("fail", "skip"),
            "learning_rate_schedule": ("original", "continuous"),
        }
        for name, allowed in choices.items():
            value = getattr(self, name)
            if value not in allowed:
                listed = ", ".join(repr(choice) for choice in allowed)
                raise ValueError(f"--{name} must be one of {listed}. Received: {value!r}")


@dataclasses.dataclass(frozen=True)
class PretrainingDataSettings:
    """How sentence pairs with hidden tokens are made from text.

    The first eleven fields are the flags of the original create_pretraining_data.py. With these
    alone, `output_file` given and `output_dir` not, the records are the original's.

    Args:
        input_file: text files or patterns: a sentence a line, a blank line between documents.
            A string is taken apart at its commas.
        vocab_file: the vocabulary, a token a line.
        output_file: files that records are written to in turns. Either this or `output_dir`.
        do_lower_case: whether text is lower-cased and loses its accents. As the vocabulary was.
        do_whole_word_mask: whether the pieces of a word are hidden together.
        max_seq_length: tokens of a record, [CLS], both [SEP] and padding included; 5 at least.
        max_predictions_per_seq: the most tokens hidden in a record.
        random_seed: whence all chance comes.
        dupe_factor: how often the text is gone through, with other pairs and other masks each time.
            If None: 10 as in the original; 1 where masks are drawn later, in training.
        masked_lm_prob: what fraction of a record's tokens is hidden.
        short_seq_prob: what fraction of documents is cut into pairs of a shorter length, drawn at
            random, so that the model sees short ones too.
        output_dir: a folder for `pretraining-00000-of-0000N.tfrecord`. Documents are dealt to
            `num_shards` files that are made independently: memory is bounded by one of them.
        num_shards: N.
        num_workers: how many processes make shards. The records do not depend on it.
        masking: `static`, or `dynamic`: records hold unmasked pairs, and each epoch of training
            hides other tokens.
        gzip: whether the records' files are compressed.
        mend_quirks: whether to do better where the original harms the model: see
            docs/differences.md.

    Raises:
        ValueError: for values that no records can be made with, or that exclude each other.

    Source: google-research/bert, create_pretraining_data.py, its flags.
    """

    input_file: tuple[str, ...]
    vocab_file: str
    output_file: tuple[str, ...] = ()
    do_lower_case: bool = True
    do_whole_word_mask: bool = False
    max_seq_length: int = 128
    max_predictions_per_seq: int = 20
    random_seed: int = 12345
    dupe_factor: int | None = None
    masked_lm_prob: float = 0.15
    short_seq_prob: float = 0.1
    # Beyond the original: shards are made independently, so that memory is bounded by one shard.
    output_dir: str | None = None
    num_shards: int = 1
    num_workers: int = 1
    masking: str = "static"
    gzip: bool = False
    mend_quirks: bool = False

    def __post_init__(self) -> None:
        for name in ("input_file", "output_file"):
            value = getattr(self, name)
            parts = value.split(",") if isinstance(value, str) else value
            object.__setattr__(self, name, tuple(str(part) for part in parts))
        if self.masking not in DUPE_FACTORS:
            raise ValueError(
                f"masking must be one of {', '.join(DUPE_FACTORS)}. Received: {self.masking!r}"
            )
        if self.dupe_factor is None:
            object.__setattr__(self, "dupe_factor", DUPE_FACTORS[self.masking])
        lowest = {"max_seq_length": 5, "max_predictions_per_seq": 1, "dupe_factor": 1}
        for name, low in {**lowest, "num_shards": 1, "num_workers": 1}.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(
                    f"{name} must be a whole number from {low} on. Received: {value!r}"
                )
        if isinstance(self.random_seed, bool) or not isinstance(self.random_seed, int):
            raise ValueError(f"random_seed must be a whole number. Received: {self.random_seed!r}")
        check_range("masked_lm_prob", self.masked_lm_prob, 0.0, 1.0, False, False)
        check_range("short_seq_prob", self.short_seq_prob, 0.0, 1.0)
        self._check_places()

    def _check_places(self) -> None:
        if not any(self.input_file) or not self.vocab_file:
            raise ValueError(
                f"input_file and vocab_file are needed. Received: input_file="
                f"{','.join(self.input_file)!r}, vocab_file={self.vocab_file!r}"
            )
        output_file = ",".join(self.output_file)
        if bool(output_file) == bool(self.output_dir):
            raise ValueError(
                f"Give either output_file or output_dir. Received: output_file={output_file!r}, "
                f"output_dir={self.output_dir!r}"
            )
        places = set(map(resolve_path, self.output_file))
        if "" in self.output_file or len(places) < len(self.output_file):
            raise ValueError(
                f"output_file names a file twice, or none between two commas. "
                f"Received: {output_file!r}"
            )
        if not self.output_dir and (self.num_shards > 1 or self.num_workers > 1):
            raise ValueError(
                f"num_shards and num_workers need output_dir: the files of output_file share one "
                f"stream of chance, as in the original, and are made one record after the other. "
                f"Received: output_file={output_file!r}, num_shards={self.num_shards}, "
                f"num_workers={self.num_workers}"
            )
