"""Exports a model as a SavedModel that takes raw text or, with `only_ids`, ids.

model ──> graph with its tokenizer ──> EXPORT_DIR/.2.tmp ──validated──> EXPORT_DIR/2
"""

import dataclasses
import logging
import os
from typing import Any

from bert_tf import files
from bert_tf.inference.load_model import load_model
from bert_tf.inference.versions import version_folder
from bert_tf.kinds.graph import ServedGraph
from bert_tf.kinds.table import KINDS, find_kind
from bert_tf.kinds.text_model import LoadedModel
from bert_tf.released.find_model import ModelFiles
from bert_tf.serving.saved_model import write_saved_model, write_warmup_requests
from bert_tf.serving.tflite import write_tflite
from bert_tf.serving.validation import (
    HALF_TOLERANCE,
    TOLERANCE,
    ValidationReport,
    validate,
    validate_ids,
)
from bert_tf.settings import ExportSettings
from bert_tf.training.run import precision

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Export:
    folder: str  # The SavedModel.
    description: dict[str, Any]  # The content of `assets.extra/serving.json`.
    validation: ValidationReport | None  # None if it was not validated.
    num_warmup_requests: int


def export_saved_model(settings: ExportSettings) -> Export:
    """Writes `export_dir/version`, or nothing if there is an error.

    Raises a ValueError if model and settings do not fit, the version exists already, another
    process writes there, or the SavedModel's answers differ from the model's.
    """
    with files.hold_folder(settings.export_dir):
        return _export(settings)


def _export(settings: ExportSettings) -> Export:
    final = version_folder(settings.export_dir, settings.version)
    loaded = _load(settings)
    kind, report = find_kind(loaded.kind), None
    if settings.tflite_file and not kind.has_tflite:
        possible = ", ".join(row.name for row in KINDS.values() if row.has_tflite)
        raise ValueError(
            f"--tflite_file is for models for {possible}. Received: {kind.name}; its encoder can "
            "be exported with --kind=encoder."
        )
    text_model = kind.text_model_class(loaded.inputs)
    arguments = {name: getattr(settings, name) for name in text_model.arguments}
    python = text_model(loaded, **arguments)
    if settings.only_ids and not python.id_signatures():
        raise ValueError(
            f"--only_ids: a model for {kind.name} needs more of a text than its ids. Received: "
            f"{settings.model or settings.init_checkpoint}"
        )
    with files.new_folder(final) as folder:
        served = _halved(loaded) if settings.half_precision else loaded
        how = settings.half_precision, settings.only_ids
        graph = ServedGraph(served, *how, **arguments)
        description = write_saved_model(folder, loaded, graph)
        name = os.path.basename(os.path.abspath(settings.export_dir))
        warms_up = settings.warmup and not settings.only_ids
        num_requests = write_warmup_requests(folder, name, loaded) if warms_up else 0
        if settings.validate:
            tolerance = HALF_TOLERANCE if settings.half_precision else TOLERANCE
            compare = validate_ids if settings.only_ids else validate
            report = compare(folder, python, tolerance)
            logger.info("%s", report)
        if settings.tflite_file:
            length = settings.tflite_seq_length or loaded.max_seq_length
            difference = write_tflite(python, settings.tflite_file, length, settings.tflite_int8)
            logger.info("%s: outputs differ by at most %.1e", settings.tflite_file, difference)
    return Export(final, description, report, num_requests)


def _load(settings: ExportSettings) -> LoadedModel:
    names = (settings.bert_config_file, settings.vocab_file, settings.init_checkpoint)
    return load_model(
        settings.model or ModelFiles(*names),
        kind=settings.kind,
        inputs=settings.inputs,
        labels=settings.labels,
        max_seq_length=settings.max_seq_length,
        do_lower_case=settings.do_lower_case,
        options=settings.span_options,
    )


def _halved(loaded: LoadedModel) -> LoadedModel:
    """Returns a copy of the model that computes in float16."""
    with precision("float16"):
        model = type(loaded.model).from_config(loaded.model.get_config())
    for weight, value in zip(model.weights, loaded.model.weights, strict=True):
        weight.assign(value)
    return dataclasses.replace(loaded, model=model)
