"""The settings of one or several fine-tuning runs: FinetuningSettings."""

import dataclasses
import math

from bert_tf.config import check_range
from bert_tf.settings.setting import check_whole_numbers, setting
from bert_tf.settings.training import TrainingSettings

_LOWEST = {
    "max_seq_length": 0,
    "predict_batch_size": 1,
    "early_stopping_patience": 0,
    "num_restarts": 1,
    "num_workers": 0,
}


@dataclasses.dataclass(frozen=True)
class FinetuningSettings(TrainingSettings):
    """Fine-tuning on a task: what the original's two scripts for it share, and more.

    Raises:
        ValueError: for values that no run can have, or that contradict each other.

    Source: google-research/bert, run_classifier.py and run_squad.py.
    """

    task: str = setting("", "The task, such as glue:mnli or squad.")
    task_options: tuple[str, ...] = setting(
        (), "The task's own options, as in doc_stride=64,n_best_size=5."
    )
    vocab_file: str = setting("", "The vocabulary that the model was pre-trained with.")
    do_lower_case: bool = setting(
        True, "Whether to lower-case the text: true for uncased models, false for cased ones."
    )
    max_seq_length: int = setting(
        0,
        "Tokens of a sequence at most, [CLS] and [SEP] included; 0 for the task's default.",
    )
    do_predict: bool = setting(False, "Whether to write predictions for the test set.")
    predict_batch_size: int = setting(8, "Examples in a prediction batch.")
    num_train_epochs: float = setting(3.0, "How often each training example is used.")
    warmup_proportion: float = setting(
        0.1, "Fraction of the training in which the learning rate rises from 0."
    )
    # Beyond the originals.
    early_stopping_patience: int = setting(
        0, "Ends training after so many evaluations (--eval_steps) without a better one; 0: never."
    )
    num_restarts: int = setting(
        1, "Runs with different seeds of head, data order and dropout; the best one is kept."
    )
    learning_rates: tuple[str, ...] = setting(
        (), "Learning rates to try, as in 5e-5,3e-5,2e-5; the best one is kept."
    )
    train_batch_sizes: tuple[str, ...] = setting(
        (), "Training batch sizes to try, as in 16,32; the best one is kept."
    )
    freeze: tuple[str, ...] = setting(
        (), "Parts that are not trained: embeddings, pooler, encoder, layers:0-5, layers:3."
    )
    keep_optimizer: bool = setting(
        True,
        "Whether the final checkpoint keeps the optimizer state, two thirds of its size, which is "
        "needed only to train on.",
    )
    length_buckets: bool = setting(
        True,
        "Whether examples of similar length are batched together and padded to the longest one. "
        "The results are the same. Not done on TPUs, nor where padding affects the results.",
    )
    num_workers: int = setting(0, "Processes that make features; 0 for one per core.")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("task", "vocab_file"):
            if not getattr(self, name):
                raise ValueError(f"--{name} is needed.")
        if not (self.do_train or self.do_eval or self.do_predict):
            raise ValueError(
                "Nothing to do: at least one of --do_train, --do_eval and --do_predict is needed."
            )
        check_whole_numbers(self, _LOWEST)
        check_range("num_train_epochs", self.num_train_epochs, 0.0, math.inf, False, False)
        check_range("warmup_proportion", self.warmup_proportion, 0.0, 1.0)
        for rate in self.learning_rate_grid:
            check_range("--learning_rates", rate, 0.0, math.inf, False, False)
        for size in self.batch_size_grid:
            if size < 1 or size % self.gradient_accumulation_steps:
                raise ValueError(
                    f"--train_batch_sizes must be multiples of --gradient_accumulation_steps "
                    f"({self.gradient_accumulation_steps}). Received: {size}"
                )
        if self.is_sweep and not self.do_train:
            raise ValueError(
                "--num_restarts, --learning_rates and --train_batch_sizes need --do_train."
            )
        if self.early_stopping_patience and not self.eval_steps:
            raise ValueError("--early_stopping_patience counts evaluations: it needs --eval_steps.")

    @property
    def learning_rate_grid(self) -> tuple[float, ...]:
        """The learning rates to try; one if no grid is asked for."""
        return self._numbers("learning_rates", float) or (self.learning_rate,)

    @property
    def batch_size_grid(self) -> tuple[int, ...]:
        """The batch sizes to try; one if no grid is asked for."""
        return self._numbers("train_batch_sizes", int) or (self.train_batch_size,)

    @property
    def is_sweep(self) -> bool:
        """Whether there is more than one training to do."""
        return self.num_restarts > 1 or bool(self.learning_rates or self.train_batch_sizes)

    def _numbers(self, name: str, kind: type) -> tuple:
        values = getattr(self, name)
        try:
            return tuple(dict.fromkeys(kind(value) for value in values))
        except ValueError:
            raise ValueError(
                f"--{name} takes numbers with commas between them. Received: {','.join(values)!r}"
            ) from None
