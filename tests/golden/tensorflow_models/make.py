"""Writes the files of this folder with tf-models-official itself: python make.py (see README.md)."""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras
from official.core import train_utils
from official.legacy.bert import bert_models, configs
from official.modeling import tf_utils
from official.nlp.configs import bert, encoders, pretraining_experiments
from official.nlp.modeling import models, networks
from official.nlp.tasks import masked_lm

HERE = Path(__file__).parent
SHAPE = {
    "vocab_size": 16,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 10,
    "type_vocab_size": 2,
}
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghij", "##a"]
POSITIONS = np.array([[1, 3], [0, 2], [6, 5]], "int32")


def inputs():
    rng = np.random.default_rng(0)
    mask = np.ones((3, 7), "int32")
    mask[1, 4:] = 0
    return {
        "input_word_ids": rng.integers(0, 16, (3, 7)).astype("int32"),
        "input_mask": mask,
        "input_type_ids": rng.integers(0, 2, (3, 7)).astype("int32"),
    }


def fill(model, seed):
    """Weights large enough for two forms of gelu to differ."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        center = 1.0 if "gamma" in weight.name else 0.0
        weight.assign(center + rng.normal(0, 0.4, weight.shape))


def save(name, outputs, **objects):
    (HERE / name).mkdir(exist_ok=True)
    tf.train.Checkpoint(**objects).write(str(HERE / name / "bert_model.ckpt"))
    arrays = {f"input/{key}": value for key, value in inputs().items()}
    np.savez_compressed(HERE / name / "outputs.npz", positions=POSITIONS, **arrays, **outputs)


def encoder_outputs(encoder):
    outputs = encoder(inputs())
    layers = {f"layer_{i}": np.array(x) for i, x in enumerate(outputs["encoder_outputs"])}
    return {**layers, "pooled": np.array(outputs["pooled_output"])}


def encoder_v1():
    names = {"num_hidden_layers": "num_layers", "max_position_embeddings": "max_sequence_length"}
    shape = {names.get(key, key): value for key, value in SHAPE.items()}
    gelu = tf_utils.get_activation("gelu")
    return networks.BertEncoder(**shape, activation=gelu, dict_outputs=True)


# As released checkpoints are made: BertEncoder, bert_config.json, vocab.txt.
encoder = encoder_v1()
fill(encoder, 1)
save("encoder", encoder_outputs(encoder), encoder=encoder)
(HERE / "encoder" / "bert_config.json").write_text(json.dumps({**SHAPE, "hidden_act": "gelu"}))
(HERE / "encoder" / "vocab.txt").write_text("\n".join(VOCAB) + "\n")

# As training writes them: BertPretrainerV2 around BertEncoderV2, the optimizer, params.yaml.
experiment = pretraining_experiments.bert_pretraining()
settings = encoders.BertEncoderConfig(
    **{**{k: v for k, v in SHAPE.items() if k != "num_hidden_layers"}, "num_layers": 2}
)
head = bert.ClsHeadConfig(inner_dim=8, num_classes=2, dropout_rate=0.1, name="next_sentence")
experiment.task.model = bert.PretrainerConfig(
    encoder=encoders.EncoderConfig(type="bert_v2", bert_v2=settings), cls_heads=[head]
)
pretrainer = masked_lm.MaskedLMTask(experiment.task).build_model()
outputs = pretrainer({**inputs(), "masked_lm_positions": POSITIONS})
fill(pretrainer, 2)
outputs = pretrainer({**inputs(), "masked_lm_positions": POSITIONS})
optimizer = tf_keras.optimizers.Adam()
optimizer.build(pretrainer.trainable_variables)
save(
    "pretrainer_v2",
    {
        **encoder_outputs(pretrainer.encoder_network),
        "masked_lm_logits": np.array(outputs["mlm_logits"]),
        "next_sentence_logits": np.array(outputs["next_sentence"]),
    },
    model=pretrainer,
    optimizer=optimizer,
    global_step=optimizer.iterations,
)
train_utils.serialize_config(experiment, str(HERE / "pretrainer_v2"))

# The older pre-training script's model.
config = configs.BertConfig(**SHAPE)
_, encoder, core = bert_models.pretrain_model(config, 7, 2, return_core_pretrainer_model=True)
fill(core, 3)
outputs = core([*inputs().values(), POSITIONS])
save(
    "pretrainer_v1",
    {
        "masked_lm_logits": np.array(outputs["masked_lm"]),
        "next_sentence_logits": np.array(outputs["classification"]),
    },
    model=core,
)

# Fine-tuned models.
for name, model in {
    "classifier": models.BertClassifier(encoder_v1(), num_classes=3),
    "classifier_with_pooler": models.BertClassifier(encoder_v1(), 3, use_encoder_pooler=False),
    "token_classifier": models.BertTokenClassifier(encoder_v1(), num_classes=5),
    "span_labeler": models.BertSpanLabeler(encoder_v1()),
}.items():
    fill(model, 4)
    logits = model(inputs())
    logits = logits["logits"] if isinstance(logits, dict) else np.array(logits)
    save(name, {"logits": np.array(logits)}, model=model)
