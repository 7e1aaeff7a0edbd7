"""Fills [MASK] in sentences; see `bert_tf.serving.mask_filler`."""

from bert_tf.serving.mask_filler import (  # noqa: F401
    Candidate,
    FilledSentence,
    MaskFiller,
    files_of_model,
)
