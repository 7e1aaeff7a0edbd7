"""Models of this package with the weights that were read from other libraries' files."""

from bert_tf.model.feature_model import named_outputs
from bert_tf.training.checkpoint import named_variables


def with_weights(model, weights):
    """`model`, with each of its weights set by its name from `weights`; none may be missing."""
    for name, variable in named_variables(model).items():
        assert weights[name].dtype == "float32", name
        variable.assign(weights[name])
    return model


def all_outputs(model, batch):
    """The outputs of a model and those of its encoder, by name, for what it takes of a batch."""
    outputs = named_outputs(model(model.select_features(batch)))
    encoder = getattr(model, "encoder", None)
    return {**outputs, **(encoder(encoder.select_features(batch)) if encoder else {})}
