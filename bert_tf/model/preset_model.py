"""PresetModel: loads a model by name or from a folder, and saves it as a folder."""

import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import ClassVar

import keras


class PresetModel(keras.Model):
    """A model with `from_preset` and `save_to_preset`."""

    preset = None  # The files that `from_preset` loaded it from.
    # The options of a preset's `task.json` that determine the model's layers -> the arguments of
    # the constructor, which are attributes too.
    OPTIONS: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def from_preset(
        cls, preset: str, num_labels: int | None = None, dtype=None, name: str | None = None
    ) -> "PresetModel":
        """Returns a model with the weights of a preset.

        A head or pooler that the preset lacks keeps its initial values, with a warning.

        Args:
            preset: a released model's name (see `bert_tf.presets`), which is downloaded once; a
                folder, a checkpoint's prefix, a zip; a Hugging Face folder or a model of another
                library; or the output directory of a training run.
            num_labels: for classifiers, the number of classes; by default the preset's.
            dtype: a Keras dtype policy, such as "mixed_bfloat16".

        Raises:
            ValueError: if there is no such preset, or it does not fit the model.
            OSError: if it cannot be downloaded.

        Example:

            model = bert_tf.ClassificationModel.from_preset("bert_base_uncased", num_labels=2)
        """
        return _presets().load_model_preset(cls, preset, num_labels, dtype, name)

    def save_to_preset(
        self,
        folder: str,
        tokenizer=None,
        labels: Sequence[str] | None = None,
        inputs: Sequence[str] | None = None,
        max_seq_length: int | None = None,
    ) -> None:
        """Writes a folder that `from_preset`, `bert_tf.Predictor` and all scripts (--model) read.

        LoRA matrices are added to the kernels that they adapt.

        Args:
            folder: created if needed; a model in it is overwritten.
            tokenizer: a `bert_tf.FullTokenizer`; by default the preset's.
            labels: names of the classes, in the order of the outputs; by default the preset's, or
                LABEL_0, LABEL_1, ...
            inputs: names of the model's texts, such as ("text_a", "text_b") for pairs.
            max_seq_length: maximum tokens of a sequence, in later use.

        Raises:
            ValueError: without a tokenizer, for labels that do not fit the outputs, or for a
                quantized model.

        Example:

            model.save_to_preset("my_model", labels=["negative", "positive"])
        """
        _presets().save_preset(self, folder, tokenizer, labels, inputs, max_seq_length)


def _presets() -> ModuleType:
    # Imported when called, as it imports this module.
    return importlib.import_module("bert_tf.released.presets")
