"""Checks that a converted model computes the same: runs both on random ids and compares outputs.

The new files are run by their own library if it is installed; otherwise they are read back and run
here. The outputs of all layers and the heads' logits are compared.
"""

import dataclasses
import tempfile
from collections.abc import Mapping

import keras
import numpy as np

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.conversion.weights import without
from bert_tf.formats import huggingface, huggingface_outputs, names
from bert_tf.formats.source import PretrainedModel, read_pretrained
from bert_tf.kinds.table import (
    CLASSIFIER,
    MASKED_LM,
    NEXT_SENTENCE,
    find_kind,
    heads_in,
    num_scores_of,
)
from bert_tf.model.encoders import make_encoder
from bert_tf.model.feature_model import named_outputs
from bert_tf.model.replaced_tokens import DiscriminatorModel
from bert_tf.training.checkpoint import named_variables

TOLERANCE = 1e-4
_DISCRIMINATOR = "discriminator_predictions/"


def check_conversion(model: PretrainedModel, folder: str, to: str, is_whole: bool = True) -> str:
    """Compares a model's outputs with the converted one's in `folder`; vocabularies may be padded.

    Returns the largest difference, the compared outputs' names, and what ran the models, in words.
    `is_whole`: the model's own files have all weights, so their library can run them. Raises a
    ValueError if outputs differ by more than TOLERANCE, or the files cannot be loaded.
    """
    # Ids [B, L] become [B, 1, L] for models with several rows per example.
    middle = [1] * (find_kind(model.head.kind).ids_rank - 2)
    ids = random_inputs(model.config).items()
    inputs = {name: value.reshape(len(value), *middle, -1) for name, value in ids}
    is_installed = huggingface_outputs.is_installed()
    if model.format == "huggingface" and to != "huggingface" and is_whole and is_installed:
        before, expected = _run_transformers(model, inputs)
    else:
        before, expected = "bert_tf", _run(keras_model(model), inputs)
    if to == "huggingface" and is_installed:
        after, actual = "transformers", huggingface_outputs.outputs_of(folder, inputs)
    else:
        after = "bert_tf, which read the files back"
        if to == "huggingface":
            after += " (transformers is not installed)"
        written = dataclasses.replace(read_pretrained(folder, to), head=model.head)
        actual = _run(keras_model(written), inputs)
    compared = [name for name in _comparable(model) if name in expected and name in actual]
    # The vocabulary may be padded. Unlike `max`, NumPy's returns NaN if any difference is NaN.
    differences = [_difference(expected[n], actual[n]) for n in compared]
    difference = np.max([np.abs(difference).max() for difference in differences])
    check = (
        f"largest difference {difference:.1e} in {', '.join(compared)}; before: {before}; "
        f"after: {after}"
    )
    if not difference <= TOLERANCE:  # Refuses NaN, too.
        raise ValueError(
            f"{model.path}: the converted model computes something else: {check}. Allowed: "
            f"{TOLERANCE}. Nothing was kept."
        )
    return check


def _difference(expected: np.ndarray, actual: np.ndarray) -> np.ndarray:
    # transformers' first layer is the embeddings at the width H, which is no output of ours.
    count = min(len(expected), len(actual))
    return expected[-count:] - actual[-count:, ..., : expected.shape[-1]]


def _run_transformers(
    model: PretrainedModel, inputs: Mapping[str, np.ndarray]
) -> tuple[str, dict[str, np.ndarray]]:
    """Runs a model's own files, or what was read of them where transformers cannot run these."""
    folder = files.split_path(model.path)[0]
    try:
        return "transformers", huggingface_outputs.outputs_of(folder, inputs)
    except ValueError as error:
        reason = str(error).removeprefix(f"{folder}: transformers cannot use it: ")
    known = without(model, huggingface.without_place(model))
    with tempfile.TemporaryDirectory() as folder:
        huggingface.write(known, folder)
        outputs = huggingface_outputs.outputs_of(folder, inputs)
    return (
        f"transformers, given what was read here, as it cannot run the files ({reason:.80})",
        outputs,
    )


def random_inputs(config: BertConfig) -> dict[str, np.ndarray]:
    """Returns int32 [2, L] features of random ids: one row without padding, one with padding."""
    rng = np.random.default_rng(seed=1)
    length = min(24, config.longest_sequence)
    input_mask = np.ones((2, length), np.int32)
    input_mask[1, max(1, 2 * length // 3) :] = 0
    segment_ids = np.zeros((2, length), np.int32)
    if config.type_vocab_size > 1:
        segment_ids[:, length // 2 :] = 1
    pad_id = 1 if config.model_type == "roberta" else 0
    input_ids = rng.integers(0, config.vocab_size, (2, length), np.int32)
    input_ids[input_mask == 0] = pad_id
    return {
        "input_ids": input_ids,
        "input_mask": input_mask,
        "segment_ids": segment_ids * input_mask,
        "masked_lm_positions": np.tile(np.arange(length, dtype=np.int32), (2, 1)),
    }


def keras_model(model: PretrainedModel) -> keras.Model:
    """Returns a Keras model with these weights; missing ones keep their initial values."""
    kind = find_kind(model.head.kind)
    num_scores = num_scores_of(model.weights) if CLASSIFIER in kind.heads else 0
    encoder = make_encoder(model.config)
    if not kind.heads and any(name.startswith(_DISCRIMINATOR) for name in model.weights):
        built = DiscriminatorModel(encoder)
    else:
        built = kind.text_model_class().make_model(encoder, num_scores)
    for name, variable in named_variables(built).items():
        if name in model.weights:
            variable.assign(model.weights[name])
    return built


def _run(model: keras.Model, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    outputs = {}
    encoder = model
    if hasattr(model, "encoder"):
        encoder = model.encoder
        outputs = named_outputs(model(model.select_features(inputs)))
    rows = {name: ids.reshape(-1, ids.shape[-1]) for name, ids in inputs.items()}
    outputs |= encoder(encoder.select_features(rows))
    outputs.pop("sequence_output")
    layers = outputs.pop("all_encoder_layers")
    if outputs["embedding_output"].shape == layers[0].shape:
        layers = [outputs.pop("embedding_output"), *layers]
    return {"all_layers": np.stack(layers)} | {k: np.asarray(v) for k, v in outputs.items()}


def _comparable(model: PretrainedModel) -> list[str]:
    """Returns the names of the outputs that do not depend on missing weights."""
    heads = heads_in(model.weights)
    possible = {
        "pooled_output": all(name in model.weights for name in names.POOLER),
        "masked_lm_logits": MASKED_LM in heads,
        "next_sentence_logits": NEXT_SENTENCE in heads,
    }
    always = ["all_layers", "embedding_output", "logits", "start_logits", "end_logits"]
    return always + [name for name, is_possible in possible.items() if is_possible]
