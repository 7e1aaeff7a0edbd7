"""Takes one of the two models out of a checkpoint of ELECTRA's pre-training.

    discriminator      electra/...                 discriminator_predictions/...
    generator          electra/embeddings/...      cls/predictions/... (a masked LM)
       from            electra/embeddings/...      generator/..., generator_predictions/...

The generator becomes an ELECTRA of its own, with a copy of the embeddings that both share.
"""

import dataclasses

from bert_tf import files
from bert_tf.config import generator_config
from bert_tf.formats.source import Head, PretrainedModel

_GENERATOR = "generator/"
# The generator's names -> those that they have in a model of its own.
_OWN_NAMES = (
    ("electra/embeddings/", "electra/embeddings/"),
    (_GENERATOR, "electra/"),
    ("generator_predictions/output_bias", "cls/predictions/output_bias"),
    ("generator_predictions/", "cls/predictions/transform/"),
)


def take_part(model: PretrainedModel, part: str) -> PretrainedModel:
    """Returns the discriminator or the generator of an ELECTRA as it is pre-trained.

    Raises a ValueError if the model is none, or has no generator.
    """
    if not any(name.startswith(_GENERATOR) for name in model.weights):
        raise ValueError(
            f"{model.path}: --part={part} needs a checkpoint of ELECTRA's pre-training, with "
            f"weights {_GENERATOR}... It has: {files.some(sorted(model.weights))}"
        )
    if part == "discriminator":
        weights = {n: v for n, v in model.weights.items() if not n.startswith("generator")}
        return dataclasses.replace(model, weights=weights)
    weights = {
        own: value for name, value in model.weights.items() if (own := _own_name(name)) is not None
    }
    config = generator_config(model.config)
    return dataclasses.replace(model, config=config, weights=weights, head=Head("masked_lm"))


def _own_name(name: str) -> str | None:
    found = (new + name.removeprefix(old) for old, new in _OWN_NAMES if name.startswith(old))
    return next(found, None)
