"""Defines the options of question answering."""

import dataclasses

from bert_tf.settings.setting import Settings, setting


@dataclasses.dataclass(frozen=True)
class SpanOptions(Settings):
    """The options that all question answering tasks share."""

    doc_stride: int = setting(128, "Tokens between the starts of two windows.", at_least=1)
    max_query_length: int = setting(64, "Tokens of a question; longer ones are cut.", at_least=0)
    n_best_size: int = setting(20, "Answers per question in nbest_predictions.json.", at_least=1)
    max_answer_length: int = setting(30, "Maximum tokens of an answer.", at_least=1)
    version_2_with_negative: bool = setting(False, "Whether some have no answer, as in SQuAD 2.0.")
    null_score_diff_threshold: float = setting(
        0.0,
        "A question gets no answer if the score of none exceeds that of the best answer by more "
        "than this.",
    )
    verbose_logging: bool = setting(False, "Whether to log answers that are not in their passage.")
    mask_padding: bool = setting(
        False,
        "Whether padding is excluded as an answer, so that results do not depend on it and batches "
        "are only as long as needed. The original does not exclude it.",
    )
