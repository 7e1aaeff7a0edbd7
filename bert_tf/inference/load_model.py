"""Loads a model for inference on text.

bert_config.json, vocab.txt, a checkpoint [, task.json] --> LoadedModel
"""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.kinds.pooling import POOLING_WEIGHTS
from bert_tf.kinds.table import (
    CLASSIFIER,
    MASKED_LM,
    Kind,
    find_kind,
    heads_in,
    kind_of_weights,
    num_scores_of,
)
from bert_tf.kinds.text_model import LoadedModel
from bert_tf.model.encoders import make_encoder
from bert_tf.model.initial_weights import undrawn_weights
from bert_tf.released.find_model import ModelFiles, find_model
from bert_tf.released.model_folder import ModelDescription, description_beside
from bert_tf.text.tokenizer import Tokenizer, load_tokenizer
from bert_tf.training.checkpoint import find_checkpoint, load_checkpoint, read_shapes

_SHORTEST = 3  # [CLS], a token and [SEP].


def load_model(
    model: str | ModelFiles,
    kind: str = "",
    inputs: Sequence[str] = (),
    labels: Sequence[str] = (),
    max_seq_length: int = 0,
    do_lower_case: bool | None = None,
    options: Mapping[str, Any] | None = None,
) -> LoadedModel:
    """Reads a model; arguments default to its `task.json`. For the others see `bert_tf.Predictor`.

    Args:
        model: see `find_model`, or its files; without a checkpoint, the weights are random.
        inputs: the names of its texts, where the kind allows several.
        options: overrides for the kind's options in training.

    Raises a ValueError if there is no such model, its files do not fit each other, the checkpoint
    lacks what the kind needs, or it is unknown whether text is lower-cased.
    """
    found = model if isinstance(model, ModelFiles) else find_model(model)
    prefix = find_checkpoint(found.init_checkpoint) if found.init_checkpoint else ""
    config = BertConfig.from_json_file(found.bert_config_file)
    tokenizer = _tokenizer(found, do_lower_case, config)
    shapes = read_shapes(prefix) if prefix else {}
    _check_sizes(found.bert_config_file, config, shapes)
    trained = _description(prefix, kind)
    row = find_kind(kind or trained.kind or kind_of_weights(shapes))
    if config.is_causal and MASKED_LM in row.heads:
        if kind:
            raise ValueError(
                f"{prefix}: a left-to-right model (is_causal) predicts the next token, so it "
                "cannot fill in masked ones; it can be used as an encoder."
            )
        row = find_kind("encoder")
    labels = _checked_labels(row, tuple(labels or trained.labels), shapes, prefix)
    longest = _checked_length(row, max_seq_length or trained.max_seq_length, config, prefix)
    text_model = row.text_model_class()
    chosen = _options(text_model.Options, trained.options, options or {})
    with undrawn_weights() if prefix else contextlib.nullcontext():
        encoder = make_encoder(config)
        keras_model = text_model.model_for(encoder, len(labels), chosen)
    encoder.shares_graph = True
    may_lack = () if row.needs_pooler else (encoder.pooler_prefix,)
    may_lack += () if row.needs_all_heads else row.heads
    missing = ()
    if prefix:
        missing = load_checkpoint(
            keras_model, prefix, allow_missing=lambda name: name.startswith(may_lack)
        ).missing
    heads = tuple(head for head in row.heads if head not in heads_in(missing))
    if row.heads and not heads:
        raise ValueError(
            f"{prefix}: a model for {row.name} needs weights {' or '.join(row.heads)}...; this one "
            "can be used as an encoder."
        )
    return LoadedModel(
        kind=row.name,
        model=keras_model,
        tokenizer=tokenizer,
        inputs=_checked_inputs(row, heads, tuple(inputs or trained.inputs), prefix),
        labels=labels,
        max_seq_length=longest,
        heads=heads,
        has_pooler=not any(name.startswith(encoder.pooler_prefix) for name in missing),
        options=chosen,
        pooling_weights={
            name: tf.train.load_variable(prefix, name)
            for name in shapes
            if name.startswith(POOLING_WEIGHTS)
        },
    )


def _check_sizes(path: str, config: BertConfig, shapes: Mapping[str, Sequence[int]]) -> None:
    """Refuses a config of other sizes than the weights before a model takes the memory."""
    hidden, width = config.hidden_size, config.embedding_size or config.hidden_size
    scope = config.scope
    for name, size in (
        (f"{scope}/embeddings/word_embeddings", [config.vocab_size, width]),
        (f"{scope}/embeddings/position_embeddings", [config.max_position_embeddings, width]),
        (f"{scope}/encoder/layer_0/intermediate/dense/kernel", [hidden, config.intermediate_size]),
    ):
        if list(shapes.get(name, size)) != size:
            raise ValueError(
                f"{path}: {name} is {shapes[name]} in the weights, {size} by this config. Does the "
                "config belong to them?"
            )


def need_head(model: Any, prefix: str, name: str) -> None:
    """Raises a ValueError if a model lacks the head whose weights begin with `prefix`."""
    if prefix not in model.heads:
        raise ValueError(f"This model, one for {model.kind}, has no {name} head.")


def _tokenizer(found: ModelFiles, do_lower_case: bool | None, config: BertConfig) -> Tokenizer:
    if found.vocab_file is None:
        raise ValueError(
            f"{files.split_path(found.init_checkpoint)[0]}: no vocab.txt, SentencePiece model, or "
            "vocab.json with merges.txt. Put the one that the model was trained with there, or "
            "name it (--vocab_file)."
        )
    if do_lower_case is None:
        do_lower_case = found.do_lower_case
    if do_lower_case is None:
        raise ValueError(
            f"{found.init_checkpoint}: nothing says whether the model was trained on lower-cased "
            "text. Give do_lower_case (--do_lower_case=true or false)."
        )
    tokenizer = load_tokenizer(
        found.vocab_file, do_lower_case, found.strip_accents, config.model_type
    )
    if tokenizer.vocab_size > config.vocab_size:
        raise ValueError(
            f"{found.vocab_file}: the vocabulary has {tokenizer.vocab_size} rows, the word "
            f"embeddings have {config.vocab_size}: the model was trained with another vocabulary."
        )
    return tokenizer


def _description(prefix: str, kind: str) -> ModelDescription:
    """Returns the parts of `task.json` that apply to a model of this kind."""
    nothing = ModelDescription("", "", (), (), {}, max_seq_length=0, do_lower_case=True)
    found = description_beside(prefix) if prefix else None
    if found is None or kind in ("", found.kind):
        return found or nothing
    if find_kind(kind).has_labels and find_kind(found.kind).has_labels:
        return dataclasses.replace(found, inputs=(), kind=kind)  # Same weight names.
    return nothing


def _checked_labels(
    kind: Kind, labels: tuple[str, ...], shapes: Mapping[str, Sequence[int]], prefix: str
) -> tuple[str, ...]:
    if CLASSIFIER not in kind.heads:
        return ()
    if CLASSIFIER not in heads_in(shapes):
        raise ValueError(f"{prefix}: no output_weights, so it is no model for {kind.name}.")
    num_outputs = num_scores_of(shapes)
    if kind.has_labels:
        needed = "as many different labels, in their order"
        labels = labels or tuple(map(str, range(num_outputs)))
        fits = len(set(labels)) == len(labels) == num_outputs
    else:
        needed = "one output and no labels"
        fits = num_outputs == kind.num_scores and not labels
    if not fits:
        raise ValueError(
            f"{prefix}: the model has {num_outputs} outputs; one for {kind.name} needs {needed}. "
            f"Received labels: {', '.join(labels) or 'none'}"
        )
    return labels


def _checked_inputs(
    kind: Kind, heads: Sequence[str], inputs: tuple[str, ...], prefix: str
) -> tuple[str, ...]:
    lacks_first = kind.other_inputs and kind.heads[0] not in heads
    allowed = (kind.other_inputs,) if lacks_first else kind.inputs
    if inputs and inputs not in allowed:
        choices = " or ".join(",".join(names) for names in allowed)
        lacking = f" that lacks {kind.heads[0]}..." if lacks_first else ""
        raise ValueError(
            f"{prefix}: the inputs of a model for {kind.name}{lacking} are {choices}. "
            f"Received: {','.join(inputs)}"
        )
    return inputs or allowed[0]


def _checked_length(kind: Kind, max_seq_length: int, config: BertConfig, prefix: str) -> int:
    longest = config.longest_sequence
    if not max_seq_length:
        return min(longest, kind.max_seq_length or longest)
    if max_seq_length not in range(_SHORTEST, longest + 1):
        raise ValueError(
            f"{prefix}: max_seq_length must be from {_SHORTEST} to {longest} "
            f"(max_position_embeddings). Received: {max_seq_length!r}"
        )
    return max_seq_length


def _options(options: type | None, trained: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    names = {field.name for field in dataclasses.fields(options)} if options else set()
    if unknown := set(given) - names:
        raise ValueError(
            f"This kind of model has no option {', '.join(sorted(unknown))}. It has: "
            f"{', '.join(sorted(names)) or 'none'}"
        )
    if options is None:
        return None
    return options(**{name: value for name, value in trained.items() if name in names} | {**given})
