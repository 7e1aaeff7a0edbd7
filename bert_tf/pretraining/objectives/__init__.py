"""Pre-training objectives, chosen by `--objective`: a file here each, listed in `OBJECTIVES`."""

import importlib
from types import ModuleType

from bert_tf.pretraining.objective import PretrainingObjective
from bert_tf.settings.pretraining import OBJECTIVES, PretrainingSettings


def find_objective(name: str) -> PretrainingObjective:
    """Returns the objective of this name, a key of `OBJECTIVES`; not one that needs settings."""
    return _module(name).OBJECTIVE


def make_objective(settings: PretrainingSettings) -> PretrainingObjective:
    """Returns the objective of `settings`; its file may have a function `make` of them.

    Raises a ValueError for options of an objective that has none.
    """
    module = _module(settings.objective)
    if settings.objective_options and not hasattr(module, "Options"):
        raise ValueError(
            f"--objective={settings.objective} has no options. Received: "
            f"--objective_options={','.join(settings.objective_options)}"
        )
    return module.make(settings) if hasattr(module, "make") else module.OBJECTIVE


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{OBJECTIVES[name]}")
