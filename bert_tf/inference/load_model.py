"""A model by its name or its folder, ready to be asked."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from bert_tf import files
from bert_tf.inference.loaded_model import ServedModel, load_served_model
from bert_tf.released.find_model import ModelFiles, find_model
from bert_tf.released.model_folder import VOCAB_NAME, ModelDescription, read_description
from bert_tf.spans.options import SpanOptions

# A model for one of these can be asked as one for the other: their weights have the same names.
_SAME_WEIGHTS = ("classification", "tagging")


def load_model(
    model: str | ModelFiles,
    kind: str | None = None,
    inputs: Sequence[str] | None = None,
    labels: Sequence[str] = (),
    max_seq_length: int | None = None,
    do_lower_case: bool | None = None,
    span_options: Mapping[str, Any] | None = None,
) -> ServedModel:
    """Reads a model.

    Args:
        model: a released model's name, a folder, a checkpoint's prefix, a zip, ... (see
            `find_model`), or the files. Of a folder of fine-tuning the best weights are taken,
            where some were kept, else the newest.
        kind, inputs, labels, max_seq_length: see `load_served_model`; by default what the folder's
            `task.json` says, if there is one.
        do_lower_case: whether text is lower-cased; by default what the model's files say.
        span_options: fields of `SpanOptions` that shall be others than in training.

    Raises:
        ValueError: if there is no such model, its files do not fit each other, or they do not say
            what is needed.
    """
    found = model if isinstance(model, ModelFiles) else find_model(model)
    if found.vocab_file is None:
        folder = files.split_path(found.init_checkpoint)[0]
        raise ValueError(
            f"{folder}: no {VOCAB_NAME}, so the model cannot be asked in words. Put the vocabulary "
            "that it was trained with there, or name it (--vocab_file)."
        )
    if do_lower_case is None:
        do_lower_case = found.do_lower_case
    if do_lower_case is None:
        raise ValueError(
            f"{found.init_checkpoint}: nothing says whether the model was trained on lower-cased "
            "text. Give do_lower_case (--do_lower_case=true or false)."
        )
    description = _description(found, kind)
    return load_served_model(
        found.bert_config_file,
        found.vocab_file,
        found.init_checkpoint,
        do_lower_case,
        found.strip_accents,
        kind=kind or (description.kind if description else None),
        inputs=inputs or (description.inputs if description else None),
        labels=labels or (description.labels if description else ()),
        max_seq_length=max_seq_length or (description.max_seq_length if description else None),
        span=_span_options(description, span_options or {}),
    )


def _description(found: ModelFiles, kind: str | None) -> ModelDescription | None:
    """What `task.json` says, as far as it is about a model of this kind."""
    description = read_description(files.split_path(found.init_checkpoint)[0])
    if description is None or kind in (None, description.kind):
        return description
    if kind in _SAME_WEIGHTS and description.kind in _SAME_WEIGHTS:
        return dataclasses.replace(description, inputs=(), kind=kind)
    return None


def _span_options(description: ModelDescription | None, given: Mapping[str, Any]) -> SpanOptions:
    names = {field.name for field in dataclasses.fields(SpanOptions)}
    trained = description.options if description and description.kind == "span" else {}
    values = {name: value for name, value in trained.items() if name in names}
    return SpanOptions(**{**values, **given})
