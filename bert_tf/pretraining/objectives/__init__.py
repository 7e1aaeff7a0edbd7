"""Pre-training objectives, chosen by `--objective`: a file here each, listed in `OBJECTIVES`."""

import importlib

from bert_tf.pretraining.objective import PretrainingObjective
from bert_tf.settings import PretrainingSettings
from bert_tf.settings.pretraining import OBJECTIVES


def find_objective(name: str) -> PretrainingObjective:
    """Returns the objective of this name, a key of `OBJECTIVES`."""
    return importlib.import_module(f"{__name__}.{OBJECTIVES[name]}").OBJECTIVE


def make_objective(settings: PretrainingSettings) -> PretrainingObjective:
    """Returns the objective of a run, with the options and the vocabulary that the settings name.

    Raises a ValueError for options of an objective that has none.
    """
    module = importlib.import_module(f"{__name__}.{OBJECTIVES[settings.objective]}")
    if hasattr(module, "make_objective"):
        return module.make_objective(settings)
    if settings.objective_options:
        raise ValueError(
            f"--objective={settings.objective} has no options. Received: "
            f"--objective_options={','.join(settings.objective_options)}"
        )
    return module.OBJECTIVE
