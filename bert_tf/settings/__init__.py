"""Defines the settings of each program as a frozen dataclass, without TensorFlow.

A default and its reason are written here only; the scripts' flags are made from these classes.
Every class checks its values when an object is made. A program imports only its own.
"""

import importlib

# Name -> the module of this package that defines it.
_MODULES = {
    "ConversionSettings": "conversion",
    "CorpusSettings": "corpus",
    "ExploreSettings": "explore",
    "ExportSettings": "export",
    "FeatureExtractionSettings": "feature_extraction",
    "FinetuningSettings": "finetuning",
    "PlanningSettings": "planning",
    "PretrainingSettings": "pretraining",
    "DUPE_FACTORS": "pretraining_data",
    "PretrainingDataSettings": "pretraining_data",
    "TrainingSettings": "training",
}


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_MODULES)
