"""Loads and saves presets, behind `from_preset`; a preset is anything that `find_model` finds."""

import dataclasses
import inspect
import logging
from collections.abc import Sequence

import numpy as np

from bert_tf.config import BertConfig
from bert_tf.formats import google
from bert_tf.formats.source import Head, PretrainedModel, TokenizerFiles
from bert_tf.kinds.table import CLASSIFIER, find_kind, heads_in, num_scores_of
from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.encoders import make_encoder
from bert_tf.model.feature_model import FeatureModel
from bert_tf.released.find_model import ModelFiles, find_model
from bert_tf.released.model_folder import ModelDescription, description_beside, write_description
from bert_tf.released.models import all_released_models
from bert_tf.released.released_model import ReleasedModel
from bert_tf.text.tokenizer import Tokenizer, load_tokenizer
from bert_tf.training.checkpoint import has_encoder, load_checkpoint, named_variables, read_shapes

logger = logging.getLogger(__name__)


class Presets(tuple[ReleasedModel, ...]):
    """The released models, shown as a table."""

    def __repr__(self) -> str:
        lines = [f"{'name':34}  {'parameters':11}  layers  width  published scores"]
        for model in self:
            scores = "; ".join(f"{score.task} {score.value}" for score in model.scores[:2])
            lines.append(
                f"{model.name:34}  {model.num_parameters:<11,}  {model.num_hidden_layers:<6}  "
                f"{model.hidden_size:<5}  {scores}".rstrip()
            )
        return "\n".join(lines)


def presets() -> Presets:
    """Returns every released model that `from_preset` knows by name.

    Each has `name`, `num_parameters`, `config` and `scores` with their sources.

    Example:

        bert_tf.presets()           # a table
        bert_tf.presets()[0].name   # "bert_base_uncased"
    """
    return Presets(all_released_models())


def load_model_preset(
    model_class: type[FeatureModel],
    preset: str,
    num_labels: int | None = None,
    dtype=None,
    name: str | None = None,
) -> FeatureModel:
    """Returns a model with a preset's weights; see `FeatureModel.from_preset`."""
    found = find_model(preset)
    config = BertConfig.from_json_file(found.bert_config_file)
    arguments = {"dtype": dtype} | ({"name": name} if name else {})
    if "num_labels" in inspect.signature(model_class).parameters:
        arguments["num_labels"] = num_labels or _num_labels_in(found.init_checkpoint)
    elif num_labels is not None:
        raise ValueError(f"{model_class.__name__} takes no num_labels. Received: {num_labels}")
    if found.init_checkpoint:
        trained = description_beside(found.init_checkpoint)
        given, names = trained.options if trained else {}, model_class.OPTIONS
        arguments |= {name: given[option] for option, name in names.items() if option in given}
    if issubclass(model_class, TransformerEncoder):
        model = model_class(config, **arguments)
    else:
        encoder = make_encoder(config, dtype, has_encoder(found.init_checkpoint))
        model = model_class(encoder, **arguments)
    pooler = getattr(model, "encoder", model).pooler_prefix
    report = load_checkpoint(
        model,
        found.init_checkpoint,
        allow_missing=lambda name: model.may_lack(name) or name.startswith(pooler),
        allow_other_shape=model.may_lack,
    )
    random = [name for name in report.missing if not model.is_unneeded(name)]
    if random:
        logger.warning(
            "%s has no %s: these weights are random until they are trained.",
            *(preset, ", ".join(random)),
        )
    model.preset = found
    return model


def load_tokenizer_preset(preset: str) -> Tokenizer:
    """Returns a preset's tokenizer; see `FullTokenizer.from_preset`."""
    return _tokenizer_of(find_model(preset), preset)


def save_preset(
    model: FeatureModel,
    folder: str,
    tokenizer: Tokenizer | None = None,
    labels: Sequence[str] | None = None,
    inputs: Sequence[str] | None = None,
    max_seq_length: int | None = None,
) -> None:
    """Writes a model as a preset; see `FeatureModel.save_to_preset`."""
    loaded: ModelFiles | None = model.preset
    if tokenizer is None:
        if loaded is None:
            raise ValueError(
                f"{folder}: a preset needs the model's tokenizer, and {model.name} was not loaded "
                "from a preset: give tokenizer=bert_tf.FullTokenizer(vocab_file, do_lower_case)."
            )
        tokenizer = _tokenizer_of(loaded, loaded.init_checkpoint)
    config = getattr(model, "encoder", model).config
    kind = find_kind(model.kind)
    before = description_beside(loaded.init_checkpoint) if loaded else None
    if kind.has_labels:
        labels = _checked_labels(model.num_labels, labels, before)
    case = (tokenizer.do_lower_case, tokenizer.strips_accents)
    written = PretrainedModel(
        format="google",
        path=folder,
        config=config,
        weights=_plain_weights(model),
        head=Head(kind.name),
        tokenizer=TokenizerFiles(
            tuple(tokenizer.vocab), *case, model=getattr(tokenizer, "model", None)
        ),
    )
    google.write(written, folder, overwrite=True)
    if not kind.is_finetuned:
        return
    if before is None or before.kind != kind.name:
        longest = min(config.longest_sequence, kind.max_seq_length or 512)
        before = ModelDescription("", kind.name, kind.inputs[0], (), {}, longest, *case)
    own = {option: getattr(model, name) for option, name in model.OPTIONS.items()}
    description = dataclasses.replace(
        before,
        inputs=tuple(inputs or before.inputs),
        labels=tuple(labels or ()),
        max_seq_length=max_seq_length or before.max_seq_length,
        do_lower_case=case[0],
        strip_accents=case[1],
        options={**before.options, **own},
    )
    write_description(folder, description)


def _tokenizer_of(found: ModelFiles, preset: str) -> Tokenizer:
    if found.vocab_file is None or found.do_lower_case is None:
        lacking = "vocab.txt" if found.vocab_file is None else "word on whether text is lower-cased"
        raise ValueError(
            f"{preset}: there is no {lacking} beside the model. Make the tokenizer: "
            "bert_tf.FullTokenizer(vocab_file, do_lower_case)."
        )
    config = BertConfig.from_json_file(found.bert_config_file)
    rules = (found.do_lower_case, found.strip_accents, config.model_type)
    return load_tokenizer(found.vocab_file, *rules)


def _plain_weights(model: FeatureModel) -> dict[str, np.ndarray]:
    """Returns a model's weights by name, with LoRA matrices added to their kernels."""
    weights = dict(named_variables(model))
    for layer in model._flatten_layers():
        if getattr(layer, "quantization_mode", None):
            raise ValueError(
                f"{layer.path} is quantized ({layer.quantization_mode}), and a preset holds float "
                "weights: save before quantize(), or with model.save('x.keras')."
            )
        if getattr(layer, "lora_enabled", False):
            table = "kernel" if hasattr(layer, "_kernel") else "embeddings"
            weights[getattr(layer, f"_{table}").path] = getattr(layer, table)
            for part in "ab":
                del weights[getattr(layer, f"lora_{table}_{part}").path]
    return {name: np.asarray(value) for name, value in weights.items()}


def _num_labels_in(prefix: str) -> int:
    shapes = read_shapes(prefix)
    if CLASSIFIER not in heads_in(shapes):
        raise ValueError(f"{prefix}: the model has no classifier: give num_labels.")
    return num_scores_of(shapes)


def _checked_labels(
    num_labels: int, labels: Sequence[str] | None, before: ModelDescription | None
) -> tuple[str, ...]:
    if labels is None and before and len(before.labels) == num_labels:
        return before.labels
    labels = tuple(labels or (f"LABEL_{i}" for i in range(num_labels)))
    if len(set(labels)) != num_labels:
        raise ValueError(
            f"The model has {num_labels} outputs, so as many different labels are needed. "
            f"Received: {', '.join(labels)}"
        )
    return labels
