"""Defines ExportSettings: how a model is exported for a server."""

import dataclasses

from bert_tf.settings.setting import Settings, setting


@dataclasses.dataclass(frozen=True)
class ExportSettings(Settings):
    """Says which model is exported, its inputs and outputs, and where it is written."""

    model: str = setting(
        "",
        "A trained folder, a released model's name, a zip or a Hugging Face folder. Or give "
        "--bert_config_file, --vocab_file and --init_checkpoint.",
    )
    bert_config_file: str = setting("", "JSON file with the shape of the model.")
    vocab_file: str = setting("", "The vocabulary that the model was trained with.")
    init_checkpoint: str = setting("", "The model's weights: a checkpoint's prefix, or a folder.")
    do_lower_case: bool | None = setting(None, "Whether to lower-case text, if not as in files.")
    export_dir: str = setting("", "Folder of versions: EXPORT_DIR/1, EXPORT_DIR/2.", needed=True)
    version: int = setting(0, "The version's number; 0: one above the highest.", at_least=0)
    kind: str = setting(
        "", "What the model does: classification, span, encoder, ... Default: what its files say."
    )
    only_ids: bool = setting(
        False,
        "Whether the SavedModel takes ids and no text: for tokenizers that TensorFlow lacks, such "
        "as RoBERTa's.",
    )
    inputs: tuple[str, ...] = setting((), "A classifier's texts: text, or text_a,text_b.")
    labels: tuple[str, ...] = setting((), "Labels of the outputs, if not in its files.")
    max_seq_length: int = setting(0, "Tokens of a sequence at most; 0: as in training.", at_least=0)
    pooling: str = setting(
        "",
        "An encoder's default vectors: the mean over tokens, the pooler's output, or one per "
        "token. Default: as the model was made, which is the mean unless modules.json says more.",
        choices=("", "mean", "pooled", "tokens"),
    )
    top_k: int = setting(5, "Word pieces that a masked LM returns for each [MASK].", at_least=1)
    doc_stride: int | None = setting(None, "Tokens between two windows of a context.")
    max_query_length: int | None = setting(None, "Tokens of a question at most.")
    n_best_size: int | None = setting(None, "Answers per question.")
    max_answer_length: int | None = setting(None, "Tokens of an answer at most.")
    null_score_diff_threshold: float | None = setting(
        None, "No answer if its score is above the best answer's by more than this."
    )
    half_precision: bool = setting(
        False, "Whether to compute in float16, for GPUs: half the size, answers to 3 digits."
    )
    warmup: bool = setting(True, "Whether to write warm-up requests, if `serving` is installed.")
    validate: bool = setting(
        True, "Whether to compare the answers with Python's before the export gets its name."
    )
    tflite_file: str = setting("", "Where to write a TFLite model of ids, too; empty: nowhere.")
    tflite_seq_length: int = setting(0, "The TFLite model's tokens; 0: max_seq_length.", at_least=0)
    tflite_int8: bool = setting(
        False, "Whether the TFLite model multiplies in int8: a quarter of the size, less exact."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        files = (self.bert_config_file, self.vocab_file, self.init_checkpoint)
        if not self.model and not all(files):
            raise ValueError(
                "--model is needed, or --bert_config_file, --vocab_file and --init_checkpoint."
            )

    @property
    def span_options(self) -> dict[str, int | float]:
        """The options of a span model that were given."""
        names = ("doc_stride", "max_query_length", "n_best_size", "max_answer_length")
        return self.own_values(*names, "null_score_diff_threshold")
