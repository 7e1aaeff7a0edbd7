"""Small models of every kind and the SavedModels made of them, for all tests of serving."""

from pathlib import Path

import pytest

import bert_tf
from bert_tf.settings import ExportSettings

INPUTS = {"classification": ("text_a", "text_b"), "span": ("question", "context")}
OPTIONS = {
    "span": {
        "doc_stride": 10,
        "max_query_length": 12,
        "n_best_size": 5,
        "version_2_with_negative": True,
    }
}
KINDS = ("classification", "regression", "tagging", "span", "masked_lm", "encoder")


@pytest.fixture(scope="session")
def model_folders(tmp_path_factory) -> dict[str, str]:
    """Kind -> a model's folder."""
    from served_models import write_model  # Imports TensorFlow, which few tests need.

    folder = tmp_path_factory.mktemp("models")
    return {
        kind: write_model(folder / kind, kind, INPUTS.get(kind, ("text",)), OPTIONS.get(kind))
        for kind in KINDS
    }


@pytest.fixture(scope="session")
def exports(model_folders, tmp_path_factory) -> dict[str, Path]:
    """Kind -> the folder of its SavedModel's versions."""
    from bert_tf.serving.export import export_saved_model

    folder = tmp_path_factory.mktemp("exports")
    for kind, model in model_folders.items():
        export_saved_model(
            ExportSettings(
                model=model, export_dir=str(folder / kind), do_lower_case=True, validate=False
            )
        )
    return {kind: folder / kind for kind in KINDS}


@pytest.fixture(scope="session")
def predictors(model_folders) -> dict[str, "bert_tf.Predictor"]:
    """Kind -> the model, asked in Python."""
    return {kind: bert_tf.Predictor(folder) for kind, folder in model_folders.items()}
