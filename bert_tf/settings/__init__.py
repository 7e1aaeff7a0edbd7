"""Defines the settings of each program as a frozen dataclass, without TensorFlow.

A default and its reason are written here only; the scripts' flags are made from these classes.
Every class checks its values when an object is made.
"""

# ruff: noqa: F401 - these are for callers.
from bert_tf.settings.conversion import ConversionSettings
from bert_tf.settings.corpus import CorpusSettings
from bert_tf.settings.explore import ExploreSettings
from bert_tf.settings.export import ExportSettings
from bert_tf.settings.feature_extraction import FeatureExtractionSettings
from bert_tf.settings.finetuning import FinetuningSettings
from bert_tf.settings.planning import PlanningSettings
from bert_tf.settings.pretraining import PretrainingSettings
from bert_tf.settings.pretraining_data import DUPE_FACTORS, PretrainingDataSettings
from bert_tf.settings.training import TrainingSettings
