"""Defines how this package's layers are configured, saved and built."""

import inspect

import keras

from bert_tf.model.initial_weights import truncated_normal

register = keras.saving.register_keras_serializable(package="bert_tf")


class Configured:
    """Makes the arguments of a subclass's constructor attributes, as a dataclass does.

    The constructor itself keeps those that are layers, since their order is that of the weights.
    Classes of this package are registered with Keras, so that `keras.saving` finds them.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith("bert_tf."):
            register(cls)

    def __new__(cls, *args, **kwargs):
        layer = super().__new__(cls, *args, **kwargs)
        bound = inspect.signature(cls.__init__).bind_partial(layer, *args, **kwargs)
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            if name in _argument_names(cls) and not isinstance(value, keras.layers.Layer):
                setattr(layer, name, value)
        return layer


def constructor_values(layer: Configured) -> dict:
    """Returns a layer's constructor arguments for `get_config`; layers are serialized."""
    values = {name: getattr(layer, name) for name in _argument_names(type(layer))}
    for name, value in values.items():
        if isinstance(value, keras.layers.Layer):
            values[name] = keras.saving.serialize_keras_object(value)
    return values


def _argument_names(layer_class: type) -> list[str]:
    """Returns the names of a constructor's arguments without those that Keras keeps."""
    names = inspect.signature(layer_class.__init__).parameters
    return [name for name in names if name not in ("self", "dtype", "name")]


def deserialized(config: dict) -> dict:
    """Returns a config with the layers that `constructor_values` serialized."""
    return {
        name: keras.saving.deserialize_keras_object(value)
        if isinstance(value, dict) and "registered_name" in value and name != "dtype"
        else value
        for name, value in config.items()
    }


class Part(Configured, keras.layers.Layer):
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


class MadePart(Part):
    """A part whose constructor makes its weights, if any; the scope around it begins their names.

    They are float32, as what it computes may be.
    """

    def __init__(self, dtype=None, name: str | None = None):
        super().__init__(name=name, dtype=dtype, autocast=False)
        self.built = True

    def weight(self, name: str, *shape: int, stddev: float = 0.02) -> keras.Variable:
        """Makes a weight; a bias starts at 0."""
        # `add_weight` would put this layer's own name before the weight's.
        initial = "zeros" if "bias" in name else truncated_normal(stddev)
        return keras.Variable(initial, shape=shape, dtype="float32", name=name)
