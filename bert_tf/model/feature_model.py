"""The base of this package's models: inputs by name, saving and loading as in Keras."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from bert_tf.model.features import check_features, named_features
from bert_tf.model.part import Configured, constructor_values, deserialized
from bert_tf.model.preset_model import PresetModel


class FeatureModel(Configured, PresetModel):
    """Takes named integer tensors, and has a complete Keras config.

    A reloaded model has the same dtype policy, frozen layers and quantized layers.
    """

    feature_names: tuple[str, ...] = ("input_ids", "input_mask", "segment_ids")
    unchecked: tuple[str, ...] = ()  # Features of other shapes and values than the encoder's.
    ids_rank = 2  # Axes of `input_ids`.
    kind: str = "encoder"  # What the model is for, one of `bert_tf.kinds.table.KINDS`.

    def __init__(self, **options):
        super().__init__(**options)
        self.built = True
        # Keras' `export` reads it, as if `build` had been called with the shape of the first input.
        self._build_shapes_dict = {"input_shape": (None,) * self.ids_rank}

    def build(self, input_shape=None) -> None:
        """Does nothing: the constructor has made the weights."""

    def select_features(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the model's inputs from a batch that also holds labels and the like."""
        return {name: batch[name] for name in self.feature_names if name in batch}

    @property
    def feature_limits(self) -> dict[str, int]:
        """The number of values, from 0, that each of the encoder's inputs may have."""
        config = self.config
        sizes = (config.vocab_size, 2, config.type_vocab_size or 2)
        return dict(zip(FeatureModel.feature_names, sizes, strict=True))

    def __call__(self, inputs=None, *, training: bool | None = None, **named):
        """Runs the model on inputs in one structure, or by name: `model(input_ids=ids)`.

        Raises a ValueError for inputs that no model has, as far as they are known by now.
        """
        if named and not isinstance(inputs, Mapping):
            inputs = {} if inputs is None else {self.feature_names[0]: inputs}
        features = self._checked_features({**inputs, **named} if named else inputs)
        return super().__call__(features, **({} if training is None else {"training": training}))

    def stateless_call(self, trainable_variables, non_trainable_variables, inputs, **options):
        """Runs as in Keras, after the same check as a call."""
        features = self._checked_features(inputs)
        variables = trainable_variables, non_trainable_variables
        return super().stateless_call(*variables, features, **options)

    def predict(self, x, *args, **kwargs):
        """Runs as in Keras, after the same check as a call if `x` holds arrays."""
        if isinstance(x, Mapping) or hasattr(x, "shape"):
            x = self._checked_features(x)
            if x["input_ids"].shape[0] == 0:  # Keras fails without a batch.
                return keras.tree.map_structure(np.asarray, self(x))
        return super().predict(x, *args, **kwargs)

    def _checked_features(self, inputs) -> dict[str, Any]:
        features = named_features(inputs, self.feature_names, self.name)
        checked = {name: x for name, x in features.items() if name not in self.unchecked}
        check_features(checked, self.feature_limits, self.ids_rank, self.config.longest_sequence)
        return features

    def is_unneeded(self, name: str) -> bool:
        """Returns whether no output depends on this weight, so that it is not trained."""
        return False

    def may_lack(self, name: str) -> bool:
        """Returns whether a checkpoint for this model may lack this weight."""
        return False

    def get_config(self) -> dict:
        config = {**super().get_config(), **constructor_values(self)}
        layers = self._flatten_layers(include_self=False)
        if self.trainable:
            config["frozen_layers"] = [layer.path for layer in layers if not layer.trainable]
        modes = {layer.path: _quantization_mode(layer) for layer in _leaves(self)}
        config["quantized_layers"] = {path: mode for path, mode in modes.items() if mode}
        return config

    @classmethod
    def from_config(cls, config: dict) -> "FeatureModel":
        config = dict(config)
        frozen = set(config.pop("frozen_layers", ()))
        modes = config.pop("quantized_layers", {})
        trainable = config.pop("trainable", True)
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = keras.dtype_policies.deserialize(config["dtype"])
        model = cls(**cls._constructor_arguments(config))
        for layer in _leaves(model):
            # A part that is a model itself has quantized its own layers by now.
            if layer.path in modes and not _quantization_mode(layer):
                layer.quantize(modes[layer.path])
        model.trainable = trainable
        for layer in model._flatten_layers(include_self=False):
            if layer.path in frozen:
                layer.trainable = False
        return model

    @classmethod
    def _constructor_arguments(cls, config: dict) -> dict:
        return deserialized(config)


def named_outputs(outputs) -> dict[str, Any]:
    """Returns a model's outputs by name: a single tensor is called `logits`."""
    return dict(outputs) if isinstance(outputs, Mapping) else {"logits": outputs}


def _leaves(model: keras.Model) -> list[keras.layers.Layer]:
    layers = model._flatten_layers(include_self=False)
    return [layer for layer in layers if len(list(layer._flatten_layers())) == 1]


def _quantization_mode(layer: keras.layers.Layer) -> str | None:
    return getattr(layer.dtype_policy, "quantization_mode", None)
