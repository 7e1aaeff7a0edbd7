"""Pre-training objectives, chosen by `--objective`: a file here each, listed in `OBJECTIVES`."""

import importlib

from bert_tf.pretraining.objective import PretrainingObjective
from bert_tf.settings.pretraining import OBJECTIVES


def find_objective(name: str) -> PretrainingObjective:
    """Returns the objective of this name, a key of `OBJECTIVES`."""
    return importlib.import_module(f"{__name__}.{OBJECTIVES[name]}").OBJECTIVE
