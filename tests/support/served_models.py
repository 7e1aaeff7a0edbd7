"""Small models of every kind, in folders as training leaves them: weights at random, large ones."""

from pathlib import Path

import keras

import bert_tf
from bert_tf.kinds.tagging import Tagger
from bert_tf.model.task_heads import ClassificationModel, SpanModel
from bert_tf.released.model_folder import ModelDescription, write_description
from bert_tf.spans.words import TaggingOptions

VOCAB = Path(__file__).parents[2] / "vocab" / "english_uncased_2000.txt"
LABELS = {"classification": ("bad", "good", "naïve"), "tagging": ("O", "B-PER", "I-PER")}
MAX_SEQ_LENGTH = 48


def small_config(vocab_size: int = 2000) -> bert_tf.BertConfig:
    """Weights start far from 0, so that each text has an answer of its own."""
    return bert_tf.BertConfig(
        vocab_size=vocab_size,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        type_vocab_size=2,
        initializer_range=0.5,
    )


def make_model(
    kind: str, config: bert_tf.BertConfig, num_labels: int = 3, options: dict | None = None
) -> keras.Model:
    """A model with random weights, none of them 0."""
    keras.utils.set_random_seed(3)
    models = {
        "classification": lambda: ClassificationModel(bert_tf.BertEncoder(config), num_labels),
        "regression": lambda: ClassificationModel(bert_tf.BertEncoder(config), 1),
        "tagging": lambda: Tagger.model_for(
            bert_tf.BertEncoder(config), num_labels, TaggingOptions(**(options or {}))
        ),
        "span": lambda: SpanModel(bert_tf.BertEncoder(config)),
        "choice": lambda: bert_tf.ChoiceModel(bert_tf.BertEncoder(config)),
        "masked_lm": lambda: bert_tf.PretrainingModel(bert_tf.BertEncoder(config)),
        "encoder": lambda: bert_tf.BertEncoder(config),
    }
    model = models[kind]()
    for weight in model.weights:
        noise = keras.random.normal(weight.shape, stddev=0.3, seed=len(weight.path))
        weight.assign(weight + noise)
    return model


def write_model(
    folder: Path, kind: str, inputs: tuple[str, ...] = ("text",), options: dict | None = None
) -> str:
    """A folder with config, vocabulary, checkpoint and, for a fine-tuned model, task.json."""
    folder.mkdir(parents=True)
    config = small_config()
    (folder / "bert_config.json").write_text(config.to_json_string())
    (folder / "vocab.txt").write_bytes(VOCAB.read_bytes())
    labels = LABELS.get(kind, ())
    model = make_model(kind, config, len(labels), options)
    bert_tf.save_checkpoint(model, str(folder / "bert_model.ckpt"))
    if kind not in ("masked_lm", "encoder"):
        description = ModelDescription(
            task="",
            kind=kind,
            inputs=inputs,
            labels=labels,
            options=options or {},
            max_seq_length=MAX_SEQ_LENGTH,
            do_lower_case=True,
        )
        write_description(str(folder), description)
    return str(folder)
