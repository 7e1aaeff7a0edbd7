"""Pre-training objectives, chosen by `--objective`: a file here each, listed in `OBJECTIVES`."""

import importlib
from types import ModuleType

from bert_tf.pretraining.objective import PretrainingObjective
from bert_tf.settings.pretraining import OBJECTIVES, PretrainingSettings


def find_objective(name: str) -> PretrainingObjective:
    """Returns the objective of this name, a key of `OBJECTIVES`; not one that needs settings."""
    return _module(name).OBJECTIVE


def make_objective(settings: PretrainingSettings) -> PretrainingObjective:
    """Returns the objective of `settings`; its file may have a function `make` of them."""
    module = _module(settings.objective)
    return module.make(settings) if hasattr(module, "make") else module.OBJECTIVE


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{OBJECTIVES[name]}")
