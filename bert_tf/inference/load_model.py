"""Loads a model by its name or folder, ready for inference on text.

bert_config.json, vocab.txt, a checkpoint [, task.json] --> LoadedModel
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.kinds.loaded_model import LoadedModel
from bert_tf.kinds.table import (
    CLASSIFIER,
    Kind,
    find_kind,
    heads_in,
    kind_of_weights,
    num_scores_of,
)
from bert_tf.model.encoder import make_encoder
from bert_tf.released.find_model import ModelFiles, find_model
from bert_tf.released.model_folder import VOCAB_NAME, ModelDescription, read_description
from bert_tf.text.batch_tokenization import BatchTokenizer
from bert_tf.training.checkpoint import find_checkpoint, load_checkpoint

_SHORTEST = 3  # [CLS], a token and [SEP].


def load_model(
    model: str | ModelFiles,
    kind: str | None = None,
    inputs: Sequence[str] | None = None,
    labels: Sequence[str] = (),
    max_seq_length: int | None = None,
    do_lower_case: bool | None = None,
    options: Mapping[str, Any] | None = None,
) -> LoadedModel:
    """Reads a model; what is not given is taken from its `task.json`, if it has one.

    Args:
        model: a released model's name, a folder, a checkpoint's prefix, a zip, ... (see
            `find_model`), or the files. The best weights of a fine-tuning folder are taken, where
            some were kept, else the newest.
        kind: one of `bert_tf.kinds.table.KINDS`; by default what the checkpoint's weights tell.
        inputs: the names of its texts, where the kind leaves a choice.
        labels: the classes; by default they are called 0, 1, ...
        max_seq_length: maximum tokens of a sequence; by default what the model can read, and 384
            for questions.
        do_lower_case: whether text is lower-cased; by default what the model's files say.
        options: fields of the kind's options whose values differ from those in training.

    Raises:
        ValueError: if there is no such model, its files do not fit each other, the checkpoint lacks
            what the kind needs, or nothing says whether text is lower-cased.
    """
    found = model if isinstance(model, ModelFiles) else find_model(model)
    folder = files.split_path(found.init_checkpoint)[0]
    if found.vocab_file is None:
        raise ValueError(
            f"{folder}: no {VOCAB_NAME}, so the model cannot read text. Put the vocabulary that it "
            "was trained with there, or name it (--vocab_file)."
        )
    if do_lower_case is None:
        do_lower_case = found.do_lower_case
    if do_lower_case is None:
        raise ValueError(
            f"{found.init_checkpoint}: nothing says whether the model was trained on lower-cased "
            "text. Give do_lower_case (--do_lower_case=true or false)."
        )
    config = BertConfig.from_json_file(found.bert_config_file)
    prefix = find_checkpoint(found.init_checkpoint)
    shapes = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    task = _description(folder, kind)
    row = find_kind(kind or (task.kind if task else kind_of_weights(shapes)))
    labels = _checked_labels(row, tuple(labels or (task.labels if task else ())), shapes, prefix)
    tokenizer = BatchTokenizer(found.vocab_file, do_lower_case, found.strip_accents)
    _check_vocabulary(found.vocab_file, tokenizer, config)
    keras_model = row.module.make_model(make_encoder(config), len(labels))
    loaded = LoadedModel(
        kind=row.name,
        model=keras_model,
        tokenizer=tokenizer,
        inputs=(),
        labels=labels,
        max_seq_length=_checked_length(
            row, max_seq_length or (task.max_seq_length if task else None), config
        ),
        options=_options(row, task, options or {}),
    )
    report = load_checkpoint(keras_model, prefix, allow_missing=_not_needed(row, loaded))
    loaded = dataclasses.replace(loaded, missing=report.missing)
    if row.heads and not any(map(loaded.has_head, row.heads)):
        raise ValueError(
            f"{prefix}: none of the heads of a model for {row.name}; it can be used as an encoder."
        )
    names = _checked_inputs(row, loaded, inputs or (task.inputs if task else None))
    return dataclasses.replace(loaded, inputs=names)


def _description(folder: str, kind: str | None) -> ModelDescription | None:
    """Returns what `task.json` says, as far as it holds for a model of this kind."""
    description = read_description(folder)
    if description is None or kind in (None, description.kind):
        return description
    wanted, there = find_kind(kind), find_kind(description.kind)
    if wanted.has_labels and there.has_labels:  # Their weights have the same names.
        return dataclasses.replace(description, inputs=(), kind=kind)
    return None


def _not_needed(kind: Kind, loaded: LoadedModel) -> str:
    """Returns a regular expression of the weights that a checkpoint may lack."""
    may_lack = [] if kind.needs_pooler else [loaded.encoder.pooler_prefix]
    if not kind.needs_all_heads:
        may_lack += kind.heads
    return "|".join(f"^{re.escape(start)}" for start in may_lack) or "(?!)"


def _checked_labels(
    kind: Kind, labels: tuple[str, ...], shapes: Mapping[str, Sequence[int]], prefix: str
) -> tuple[str, ...]:
    if CLASSIFIER not in kind.heads:
        return ()
    if CLASSIFIER not in heads_in(shapes):
        raise ValueError(f"{prefix}: no output_weights, so it is no model for {kind.name}.")
    num_outputs = num_scores_of(shapes)
    if not kind.has_labels:
        if labels or num_outputs != kind.num_scores:
            raise ValueError(
                f"{prefix}: a model for {kind.name} has one output and no labels; this has "
                f"{num_outputs} outputs. Received labels: {', '.join(labels) or 'none'}"
            )
        return ()
    labels = labels or tuple(map(str, range(num_outputs)))
    if len(labels) != num_outputs or len(set(labels)) < len(labels):
        raise ValueError(
            f"{prefix}: the model has {num_outputs} outputs, so as many different labels are "
            f"needed, in their order. Received: {', '.join(labels)}"
        )
    return labels


def _check_vocabulary(vocab_file: str, tokenizer: BatchTokenizer, config: BertConfig) -> None:
    num_rows = len(tokenizer.exact.vocab)
    if num_rows > config.vocab_size:
        raise ValueError(
            f"{vocab_file} has {num_rows} rows, the model's word embeddings have "
            f"{config.vocab_size}: the model was trained with another vocabulary."
        )


def _checked_inputs(
    kind: Kind, loaded: LoadedModel, inputs: Sequence[str] | None
) -> tuple[str, ...]:
    others = [names for head, names in kind.inputs_without.items() if not loaded.has_head(head)]
    allowed = others or kind.inputs
    inputs = tuple(inputs or allowed[0])
    if inputs not in allowed:
        choices = " or ".join(",".join(names) for names in allowed)
        raise ValueError(
            f"The inputs of a model for {kind.name} are {choices}. Received: {','.join(inputs)}"
        )
    return inputs


def _checked_length(kind: Kind, max_seq_length: int | None, config: BertConfig) -> int:
    longest = config.max_position_embeddings
    if max_seq_length is None:
        return min(longest, kind.max_seq_length or longest)
    if not _SHORTEST <= max_seq_length <= longest:
        raise ValueError(
            f"max_seq_length must be from {_SHORTEST} to {longest}, which is all that the model's "
            f"position table holds (max_position_embeddings). Received: {max_seq_length}"
        )
    return max_seq_length


def _options(kind: Kind, task: ModelDescription | None, given: Mapping[str, Any]) -> Any:
    options = getattr(kind.module, "Options", None)
    if options is None:
        return None
    names = {field.name for field in dataclasses.fields(options)}
    trained = {name: v for name, v in (task.options if task else {}).items() if name in names}
    return options(**{**trained, **given})
