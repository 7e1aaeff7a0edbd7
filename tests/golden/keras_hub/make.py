"""Writes the files of this folder with keras-hub itself: python make.py (see README.md)."""

from pathlib import Path

import keras
import numpy as np
from keras_hub import models

HERE = Path(__file__).parent
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghij", "##a"]


def backbone():
    return models.BertBackbone(
        vocabulary_size=16,
        num_layers=2,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=12,
        dropout=0.2,
        max_sequence_length=10,
    )


def fill(model, seed):
    """Weights large enough for two forms of gelu to differ."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        center = 1.0 if weight.path.endswith("gamma") else 0.0
        weight.assign(center + rng.normal(0, 0.4, weight.shape))


def inputs():
    rng = np.random.default_rng(0)
    mask = np.ones((3, 7), "int32")
    mask[1, 4:] = 0
    return {
        "token_ids": rng.integers(0, 16, (3, 7)).astype("int32"),
        "segment_ids": rng.integers(0, 2, (3, 7)).astype("int32"),
        "padding_mask": mask,
    }


def encoder_outputs(encoder, values):
    blocks = [layer.output for layer in encoder.transformer_layers]
    names = [f"layer_{i}" for i in range(len(blocks))]
    outputs = [*blocks, encoder.output["pooled_output"]]
    return dict(zip([*names, "pooled"], keras.Model(encoder.input, outputs)(values)))


def save(name, values, outputs):
    arrays = {f"input/{key}": value for key, value in values.items()}
    np.savez_compressed(HERE / name, **arrays, **{k: np.array(v) for k, v in outputs.items()})


tokenizer = models.BertTokenizer(vocabulary=VOCAB, lowercase=True)
preprocessor = models.BertTextClassifierPreprocessor(tokenizer=tokenizer, sequence_length=10)
classifier = models.BertTextClassifier(backbone(), num_classes=3, preprocessor=preprocessor)
fill(classifier, 1)
classifier.save_to_preset(HERE / "classifier")
outputs = encoder_outputs(classifier.backbone, inputs())
save("classifier.npz", inputs(), {**outputs, "logits": classifier(inputs())})

masked_lm = models.BertMaskedLM(backbone())
fill(masked_lm, 2)
masked_lm.save(HERE / "masked_lm.keras")
values = {**inputs(), "mask_positions": np.array([[1, 3], [0, 2], [6, 5]], "int32")}
outputs = encoder_outputs(masked_lm.backbone, inputs())
save("masked_lm.npz", values, {**outputs, "logits": masked_lm(values)})
