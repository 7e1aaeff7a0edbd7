"""Defines how this package's layers are configured, saved and built."""

import inspect

import keras

register = keras.saving.register_keras_serializable(package="bert_tf")


def constructor_values(layer: keras.layers.Layer) -> dict:
    """Returns a layer's constructor arguments for `get_config`; layers are serialized.

    A layer keeps each argument as an attribute of the same name.
    """
    names = list(inspect.signature(type(layer).__init__).parameters)[1:]
    values = {name: getattr(layer, name) for name in names if name not in ("dtype", "name")}
    for name, value in values.items():
        if isinstance(value, keras.layers.Layer):
            values[name] = keras.saving.serialize_keras_object(value)
    return values


def deserialized(config: dict) -> dict:
    """Returns a config with the layers that `constructor_values` serialized."""
    return {
        name: keras.saving.deserialize_keras_object(value)
        if isinstance(value, dict) and "registered_name" in value and name != "dtype"
        else value
        for name, value in config.items()
    }


class Part(keras.layers.Layer):
    """A layer that its parent builds, in the name scope that gives its weights their names."""

    def get_build_config(self) -> None:
        """Returns None, so that Keras does not build a loaded layer outside its parent's scope."""
        return

    def compute_output_shape(self, input_shape):
        """Returns the shape of the outputs: by default that of the inputs."""
        return input_shape

    def get_config(self) -> dict:
        return {**super().get_config(), **constructor_values(self)}

    @classmethod
    def from_config(cls, config: dict) -> "Part":
        config = dict(config)
        trainable = config.pop("trainable", True)
        layer = super().from_config(deserialized(config))
        if not trainable:  # Parts of a trainable layer may be frozen.
            layer.trainable = False
        return layer
