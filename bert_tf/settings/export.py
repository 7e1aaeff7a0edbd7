"""How a model is exported for a server: ExportSettings."""

import dataclasses

from bert_tf.settings.setting import check_choices, check_whole_numbers, setting

_CHOICES = {"pooling": ("mean", "pooled", "tokens")}
_LOWEST = {
    "max_seq_length": 0,
    "top_k": 1,
    "version": 0,
    "tflite_seq_length": 0,
}


@dataclasses.dataclass(frozen=True)
class ExportSettings:
    """Which model, what it shall be asked, and where it is written.

    Raises:
        ValueError: for values that no export can have, or that contradict each other.
    """

    model: str = setting(
        "",
        "The model: a folder that training wrote, a released model's name, a zip, a Hugging Face "
        "folder. Or give --bert_config_file, --vocab_file and --init_checkpoint.",
    )
    bert_config_file: str = setting("", "JSON file with the shape of the model.")
    vocab_file: str = setting("", "The vocabulary that the model was trained with.")
    init_checkpoint: str = setting("", "The model's weights: a checkpoint's prefix, or a folder.")
    do_lower_case: bool | None = setting(
        None, "Whether text is lower-cased; by default what the model's files say."
    )
    export_dir: str = setting(
        "", "The folder of the model's versions, as a server wants it: EXPORT_DIR/1, EXPORT_DIR/2."
    )
    version: int = setting(0, "The version's number; 0 for one above the highest that is there.")
    kind: str = setting(
        "",
        "What the model does, such as classification, span or encoder. Default: what its files "
        "say, which is a fine-tuned model's task, or masked_lm after pre-training.",
    )
    inputs: tuple[str, ...] = setting(
        (), "What a classifier's texts are called: text, or text_a,text_b for pairs."
    )
    labels: tuple[str, ...] = setting(
        (), "The labels in the order of the model's outputs, where its files do not name them."
    )
    max_seq_length: int = setting(
        0, "Tokens of a sequence at most, [CLS] and [SEP] included; 0: as the model was trained."
    )
    pooling: str = setting(
        "mean",
        "The vectors that an encoder gives by default: mean (of the tokens' ones), pooled (that of "
        "a classifier), tokens. The others are signatures of these names.",
    )
    top_k: int = setting(5, "How many word pieces a masked LM gives for each [MASK].")
    doc_stride: int | None = setting(
        None, "Tokens between the starts of two windows of a context; by default as in training."
    )
    max_query_length: int | None = setting(
        None, "Tokens of a question at most; by default as in training."
    )
    n_best_size: int | None = setting(
        None, "How many answers to a question are given; by default as in training (20)."
    )
    max_answer_length: int | None = setting(
        None, "Tokens of an answer at most; by default as in training (30)."
    )
    null_score_diff_threshold: float | None = setting(
        None, "There is no answer if its score is above the best answer's by more than this."
    )
    half_precision: bool = setting(
        False,
        "Whether weights are kept as float16, half the size, and matrices are multiplied in it: "
        "for GPUs. The answers differ in the third digit.",
    )
    warmup: bool = setting(
        True,
        "Whether to write requests with which TensorFlow Serving warms the model up, if the extra "
        "`serving` is installed.",
    )
    validate: bool = setting(
        True,
        "Whether to load the SavedModel in a fresh process and compare its answers with Python's "
        "before it gets its name.",
    )
    tflite_file: str = setting(
        "",
        "Where to write the encoder or classifier as a TFLite model of ids, too; empty: nowhere.",
    )
    tflite_seq_length: int = setting(
        0, "Tokens of a sequence in the TFLite model; 0 for --max_seq_length."
    )

    def __post_init__(self) -> None:
        if not self.export_dir:
            raise ValueError("--export_dir is needed.")
        named = [self.bert_config_file, self.vocab_file, self.init_checkpoint]
        if not self.model and not all(named):
            raise ValueError(
                "--model is needed, or --bert_config_file, --vocab_file and --init_checkpoint."
            )
        check_whole_numbers(self, _LOWEST)
        check_choices(self, _CHOICES)

    @property
    def span_options(self) -> dict[str, int | float]:
        """What was said about answers to questions."""
        names = (
            *("doc_stride", "max_query_length", "n_best_size", "max_answer_length"),
            "null_score_diff_threshold",
        )
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}
