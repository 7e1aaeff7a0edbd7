"""Pre-training objectives, a file each: what a model learns to predict, chosen by `--objective`.

A new one is a file here, and a row of `OBJECTIVES` in settings/pretraining.py.
"""

import importlib

from bert_tf.pretraining.objective import PretrainingObjective
from bert_tf.settings.pretraining import OBJECTIVES


def find_objective(name: str) -> PretrainingObjective:
    """Returns the objective of this name, a key of `OBJECTIVES`."""
    module = importlib.import_module(f"{__name__}.{OBJECTIVES[name]}")
    return module.OBJECTIVE
