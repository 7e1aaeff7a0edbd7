"""Defines FinetuningSettings: one or several fine-tuning runs."""

import dataclasses

from bert_tf.config import check_range
from bert_tf.settings.distillation import FinetuningDistillation
from bert_tf.settings.setting import setting
from bert_tf.settings.training import TrainingSettings


@dataclasses.dataclass(frozen=True)
class FinetuningSettings(FinetuningDistillation):
    """Settings of fine-tuning on a task: the flags that the original's two scripts share, and more.

    Source: google-research/bert, run_classifier.py and run_squad.py.
    """

    MAY_CHANGE = TrainingSettings.MAY_CHANGE - {"eval_steps"} | {
        *("vocab_file", "do_predict", "predict_batch_size", "keep_optimizer", "num_workers"),
        *("num_restarts", "learning_rates", "train_batch_sizes", "early_stopping_patience"),
        *("num_folds", "unlabelled_file", "teacher_in_each_step"),
    }

    task: str = setting("", "The task, such as glue:mnli or squad.", needed=True)
    task_options: tuple[str, ...] = setting((), "As in doc_stride=64,n_best_size=5.")
    vocab_file: str = setting("", "The vocabulary of the pre-trained model.", needed=True)
    do_lower_case: bool = setting(True, "Whether to lower-case the text, as for uncased models.")
    max_seq_length: int = setting(0, "Tokens of a sequence; 0: the task's default.", at_least=0)
    do_predict: bool = setting(False, "Whether to write predictions for the test set.")
    predict_batch_size: int = setting(8, "Examples in a prediction batch.", at_least=1)
    num_train_epochs: float = setting(3.0, "Uses of each training example.", interval="(0, inf)")
    warmup_proportion: float = setting(0.1, "Fraction of warm-up steps.", interval="[0, 1]")
    # Beyond the originals.
    head_learning_rate: float = setting(
        0.0, "Peak of the head's learning rate; 0: --learning_rate.", interval="[0, inf)"
    )
    layer_wise_decay: float = setting(
        1.0,
        "Factor of the learning rate from each layer to the one below, as 0.8 for ELECTRA.",
        interval="(0, 1]",
    )
    loss_reduction: str = setting(
        "mean",
        "sum: the sum over the batch, as ELECTRA's original; only clipping makes a difference.",
        choices=("mean", "sum"),
    )
    early_stopping_patience: int = setting(
        0,
        "Evaluations without improvement after which training ends; 0: never.",
        at_least=0,
        only_with="eval_steps",
    )
    num_restarts: int = setting(1, "Runs with different seeds; the best one is kept.", at_least=1)
    learning_rates: tuple[str, ...] = setting((), "To try, as in 5e-5,3e-5; the best is kept.")
    train_batch_sizes: tuple[str, ...] = setting((), "Sizes to try, as in 16,32; the best is kept.")
    num_folds: int = setting(
        0, "Folds for cross-validation on the training examples; 0: none.", at_least=0
    )
    freeze: tuple[str, ...] = setting(
        (), "Parts that are not trained: embeddings, pooler, encoder, layers:0-5, layers:3."
    )
    bilstm_layers: int = setting(
        0,
        "New bidirectional LSTM layers on top of the encoder, as in the paper's table 5.",
        at_least=0,
    )
    keep_optimizer: bool = setting(True, "Whether to keep the optimizer state, needed to resume.")
    length_buckets: bool = setting(True, "Whether to batch by length; the results are the same.")
    num_workers: int = setting(0, "Processes that make features; 0: one per core.", at_least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.do_train or self.do_eval or self.do_predict):
            raise ValueError("Nothing to do: give --do_train, --do_eval or --do_predict.")
        for rate in self.learning_rate_grid:
            check_range("--learning_rates", rate, "(0, inf)")
        for size in self.batch_size_grid:
            if size < 1 or size % self.gradient_accumulation_steps:
                raise ValueError(
                    f"--train_batch_sizes must be multiples of --gradient_accumulation_steps "
                    f"({self.gradient_accumulation_steps}). Received: {size}"
                )
        if self.is_sweep and not self.do_train:
            raise ValueError(
                "--num_restarts, --num_folds, --learning_rates and --train_batch_sizes need "
                "--do_train."
            )
        if self.loss_reduction == "sum" and self.teacher:
            raise ValueError(
                "--loss_reduction=sum is of labels; the losses of a --teacher are means. Give one "
                "of both."
            )
        if self.num_folds == 1:
            raise ValueError("--num_folds must be 2 or more, or 0 for none. Received: 1")
        if self.head_learning_rate and not min(self.learning_rate_grid):
            raise ValueError("--head_learning_rate needs a --learning_rate above 0.")

    @property
    def learning_rate_grid(self) -> tuple[float, ...]:
        """The learning rates to try; one without a grid."""
        return self._numbers("learning_rates", float) or (self.learning_rate,)

    @property
    def batch_size_grid(self) -> tuple[int, ...]:
        """The batch sizes to try; one without a grid."""
        return self._numbers("train_batch_sizes", int) or (self.train_batch_size,)

    @property
    def is_sweep(self) -> bool:
        """Whether there is more than one training to do."""
        several = self.num_restarts > 1 or self.num_folds > 1
        return several or bool(self.learning_rates or self.train_batch_sizes)

    def _numbers(self, name: str, number_type: type) -> tuple:
        values = getattr(self, name)
        try:
            return tuple(dict.fromkeys(map(number_type, values)))
        except ValueError:
            raise ValueError(
                f"--{name} takes numbers with commas between them. Received: {','.join(values)!r}"
            ) from None
