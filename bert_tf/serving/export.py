"""Exports a model for a server: a SavedModel that takes raw text, checked before it gets its name.

model ──> graph with its tokenizer ──> EXPORT_DIR/.2.tmp ──checked──> EXPORT_DIR/2
"""

import dataclasses
import logging
import os
from typing import Any

from bert_tf import files
from bert_tf.inference.load_model import load_model
from bert_tf.inference.model_predictor import ModelPredictor
from bert_tf.inference.versions import new_version, next_version
from bert_tf.kinds.graph import ServedGraph
from bert_tf.kinds.loaded_model import LoadedModel
from bert_tf.kinds.table import find_kind
from bert_tf.released.find_model import ModelFiles
from bert_tf.serving import warmup
from bert_tf.serving.saved_model import write_saved_model
from bert_tf.serving.tflite import write_tflite
from bert_tf.serving.validation import HALF_TOLERANCE, TOLERANCE, ValidationReport, validate
from bert_tf.settings import ExportSettings
from bert_tf.training.run import precision

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Export:
    """What was exported.

    folder: the SavedModel.
    description: what `assets.extra/serving.json` says: kind, signatures, outputs.
    validation: what the comparison with Python found; None if there was none.
    num_warmup_requests: how many were written.
    """

    folder: str
    description: dict
    validation: ValidationReport | None
    num_warmup_requests: int


def export_saved_model(settings: ExportSettings) -> Export:
    """Writes `export_dir/version`; on any error there is nothing of it.

    Raises:
        ValueError: if the model cannot be used as the settings say, the version is there already,
            or the SavedModel does not say what the model says.
    """
    _check_kind(settings)
    version = settings.version or next_version(settings.export_dir)
    loaded = _load(settings)
    with new_version(settings.export_dir, version) as folder:
        graph = _graph(settings, loaded)
        description = write_saved_model(folder, loaded, graph)
        num_requests = _write_warmup(settings, folder, loaded)
        report = None
        if settings.validate:
            tolerance = HALF_TOLERANCE if settings.half_precision else TOLERANCE
            predictor = ModelPredictor(loaded, **_options(settings, loaded))
            report = validate(folder, predictor, tolerance)
            logger.info("%s", report)
        if settings.tflite_file:
            length = settings.tflite_seq_length or loaded.max_seq_length
            difference = write_tflite(loaded, settings.tflite_file, length)
            logger.info("%s: as the model to %.1e", settings.tflite_file, difference)
    final = files.join_path(settings.export_dir, str(version))
    return Export(final, description, report, num_requests)


def _check_kind(settings: ExportSettings) -> None:
    """Refuses what no model of the kind allows, before anything is loaded."""
    if settings.kind and not find_kind(settings.kind).has_tflite and settings.tflite_file:
        raise ValueError(
            f"--tflite_file is for encoders, classifiers and regressions. Received: "
            f"--kind={settings.kind}"
        )


def _load(settings: ExportSettings) -> LoadedModel:
    model: str | ModelFiles = settings.model
    if not model:
        model = ModelFiles(
            settings.bert_config_file,
            settings.vocab_file,
            settings.init_checkpoint,
            settings.do_lower_case,
            None,
        )
    return load_model(
        model,
        kind=settings.kind or None,
        inputs=settings.inputs or None,
        labels=settings.labels,
        max_seq_length=settings.max_seq_length or None,
        do_lower_case=settings.do_lower_case,
        options=settings.span_options,
    )


def _graph(settings: ExportSettings, loaded: LoadedModel) -> ServedGraph:
    make_graph = find_kind(loaded.kind).module.Graph
    options = _options(settings, loaded)
    if not settings.half_precision:
        return make_graph(loaded, **options)
    with precision("float16"):
        halved = type(loaded.model).from_config(loaded.model.get_config())
    for weight, value in zip(halved.weights, loaded.model.weights, strict=True):
        weight.assign(value)
    return make_graph(dataclasses.replace(loaded, model=halved), half=True, **options)


def _options(settings: ExportSettings, loaded: LoadedModel) -> dict[str, Any]:
    """Returns the settings that the answers of a model of this kind depend on."""
    return {name: getattr(settings, name) for name in find_kind(loaded.kind).export_options}


def _write_warmup(settings: ExportSettings, folder: str, loaded: LoadedModel) -> int:
    if not settings.warmup:
        return 0
    if not warmup.can_write():
        logger.info(
            'No warm-up requests: they need the extra "serving" (pip install "bert-tf[serving]").'
        )
        return 0
    name = os.path.basename(os.path.abspath(settings.export_dir))
    return warmup.write_warmup_requests(folder, name, loaded)
