"""Every layer and model of the package as a Keras model with a batch to train on.

python keras_cases.py load FOLDER             loads each FOLDER/NAME.keras, writes its outputs
python keras_cases.py mirrored FILE NAME...   trains cases on one device and on two, writes losses
"""

import dataclasses
import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import bert_tf

CONFIG = bert_tf.BertConfig(
    vocab_size=30,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=12,
    type_vocab_size=2,
)
WITH_BILSTM = dataclasses.replace(CONFIG, bilstm_layers=2)
ALBERT = dataclasses.replace(
    CONFIG, model_type="albert", embedding_size=4, num_hidden_groups=1, inner_group_num=2
)
ROBERTA = dataclasses.replace(
    CONFIG, model_type="roberta", max_position_embeddings=14, layer_norm_eps=1e-5
)
DISTILBERT = dataclasses.replace(CONFIG, model_type="distilbert", type_vocab_size=0)
ELECTRA = dataclasses.replace(CONFIG, model_type="electra", embedding_size=4)
CAUSAL = dataclasses.replace(CONFIG, is_causal=True)
_RANDOM = np.random.default_rng(0)
IDS = _RANDOM.integers(0, 30, (8, 6)).astype("int32")
MASK = (np.arange(6) < _RANDOM.integers(2, 7, (8, 1))).astype("int32")
FEATURES = {"input_ids": IDS, "input_mask": MASK, "segment_ids": (IDS % 2) * MASK}
POSITIONS = _RANDOM.integers(0, 6, (8, 3)).astype("int32")
HIDDEN = _RANDOM.normal(size=(8, 6, 8)).astype("float32")


@dataclasses.dataclass(frozen=True)
class Case:
    """A model, made for a dtype policy, and what it is trained on."""

    make: Callable
    inputs: dict | np.ndarray
    labels: dict | np.ndarray
    loss: object


@functools.cache
def model_cases(num_layers: int = 2) -> dict[str, Case]:
    """The models: what a user compiles and fits."""
    import keras

    from bert_tf.model.encoders import make_encoder
    from bert_tf.model.replaced_tokens import DiscriminatorModel
    from bert_tf.model.span_boundary import SpanBoundaryModel
    from bert_tf.pretraining.objectives.masked_lm import MaskedLMModel

    def crossentropy():
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def encoder(dtype, config=CONFIG, num_layers=num_layers):
        config = dataclasses.replace(config, num_hidden_layers=num_layers)
        return make_encoder(config, dtype)

    def composed(dtype):
        inputs = {name: keras.Input([None], dtype="int32", name=name) for name in FEATURES}
        pooled = encoder(dtype)(inputs)["pooled_output"]
        return keras.Model(inputs, keras.layers.Dense(3, dtype="float32")(pooled))

    classes = IDS[:, 0] % 3
    documents = np.stack([IDS, IDS[::-1]], axis=1)
    return {
        "BertEncoder": Case(composed, FEATURES, classes, crossentropy()),
        "ClassificationModel": Case(
            lambda dtype: bert_tf.ClassificationModel(encoder(dtype), num_labels=3),
            FEATURES,
            classes,
            crossentropy(),
        ),
        "ClassificationModel, BiLSTM": Case(
            lambda dtype: bert_tf.ClassificationModel(encoder(dtype, WITH_BILSTM), num_labels=3),
            FEATURES,
            classes,
            crossentropy(),
        ),
        "PretrainingModel, ALBERT": Case(
            lambda dtype: bert_tf.PretrainingModel(encoder(dtype, ALBERT)),
            {**FEATURES, "masked_lm_positions": POSITIONS},
            {"masked_lm_logits": IDS[:, :3], "next_sentence_logits": IDS[:, 0] % 2},
            {"masked_lm_logits": crossentropy(), "next_sentence_logits": crossentropy()},
        ),
        "ClassificationModel, RoBERTa": Case(
            lambda dtype: bert_tf.ClassificationModel(encoder(dtype, ROBERTA), num_labels=3),
            FEATURES,
            classes,
            crossentropy(),
        ),
        "ClassificationModel, DistilBERT": Case(
            lambda dtype: bert_tf.ClassificationModel(encoder(dtype, DISTILBERT), num_labels=3),
            FEATURES,
            classes,
            crossentropy(),
        ),
        "DiscriminatorModel": Case(
            lambda dtype: DiscriminatorModel(encoder(dtype, ELECTRA)),
            FEATURES,
            np.float32(IDS % 2),
            keras.losses.BinaryCrossentropy(from_logits=True),
        ),
        "regression": Case(
            lambda dtype: bert_tf.ClassificationModel(encoder(dtype), num_labels=1),
            FEATURES,
            classes.astype("float32"),
            "mse",
        ),
        "MultiLabelModel": Case(
            lambda dtype: bert_tf.MultiLabelModel(encoder(dtype), num_labels=3),
            FEATURES,
            np.float32(IDS[:, :3] % 2),
            keras.losses.BinaryCrossentropy(from_logits=True),
        ),
        "TokenClassificationModel": Case(
            lambda dtype: bert_tf.TokenClassificationModel(encoder(dtype), num_labels=3),
            FEATURES,
            IDS % 3,
            crossentropy(),
        ),
        "TaggingModel": Case(
            lambda dtype: bert_tf.TaggingModel(
                encoder(dtype, num_layers=2), 3, "weighted_last_four", lstm_units=4
            ),
            FEATURES,
            IDS % 3,
            crossentropy(),
        ),
        "ChoiceModel": Case(
            lambda dtype: bert_tf.ChoiceModel(encoder(dtype)),
            {name: np.stack([ids, ids[::-1]], axis=1) for name, ids in FEATURES.items()},
            IDS[:, 0] % 2,
            crossentropy(),
        ),
        "SiameseModel": Case(
            lambda dtype: bert_tf.SiameseModel(encoder(dtype)),
            {name: np.stack([ids, ids[::-1]], axis=1) for name, ids in FEATURES.items()},
            np.stack([HIDDEN[:, 0], HIDDEN[:, 0]], axis=1),
            "mse",
        ),
        "RoleModel": Case(
            lambda dtype: bert_tf.RoleModel(
                encoder(dtype), num_labels=3, indicator_size=2, lstm_units=4, mlp_units=5
            ),
            {**FEATURES, "predicate_mask": (IDS % 3 == 0) * MASK},
            IDS % 3,
            crossentropy(),
        ),
        "CoreferenceModel": Case(
            lambda dtype: bert_tf.CoreferenceModel(encoder(dtype), ffnn_size=6, feature_size=3),
            {
                "input_ids": documents,
                # One sentence: as many spans in every document, so that the mean over the spans of
                # a batch does not depend on how documents are batched.
                "sentence_map": np.zeros_like(documents),
                "speaker_ids": documents % 2,
                "genre": IDS[:, :1] % 6,
            },
            {"antecedent_scores": np.zeros((8, 4), "int32")},
            {"antecedent_scores": crossentropy()},
        ),
        "SpanModel": Case(
            lambda dtype: bert_tf.SpanModel(encoder(dtype)),
            FEATURES,
            {"start_logits": POSITIONS[:, 0], "end_logits": POSITIONS[:, 1]},
            {"start_logits": crossentropy(), "end_logits": crossentropy()},
        ),
        "MaskedLMModel": Case(
            lambda dtype: MaskedLMModel(encoder(dtype, CAUSAL)),
            {**FEATURES, "masked_lm_positions": POSITIONS},
            IDS[:, :3],
            crossentropy(),
        ),
        "SpanBoundaryModel": Case(
            lambda dtype: SpanBoundaryModel(encoder(dtype), max_targets=4, place_size=5),
            {
                **FEATURES,
                "masked_lm_positions": POSITIONS,
                "span_left": POSITIONS // 2,
                "span_right": POSITIONS,
                "span_places": POSITIONS % 4,
            },
            {"masked_lm_logits": IDS[:, :3], "span_boundary_logits": IDS[:, 3:]},
            {"masked_lm_logits": crossentropy(), "span_boundary_logits": crossentropy()},
        ),
        "PretrainingModel": Case(
            lambda dtype: bert_tf.PretrainingModel(encoder(dtype)),
            {**FEATURES, "masked_lm_positions": POSITIONS},
            {"masked_lm_logits": IDS[:, :3], "next_sentence_logits": IDS[:, 0] % 2},
            {"masked_lm_logits": crossentropy(), "next_sentence_logits": crossentropy()},
        ),
    }


@functools.cache
def layer_cases() -> dict[str, Case]:
    """The layers, each in a functional model of its own."""
    import keras

    from bert_tf.model import heads, layers
    from bert_tf.model.bilstm import BiLstm
    from bert_tf.model.crf import Crf
    from bert_tf.model.dropout import Dropout
    from bert_tf.model.span_boundary import SpanBoundaryHead
    from bert_tf.model.tagging_model import WeightedSum

    def case(make_layer, *inputs, seed=1):
        def make(dtype):
            symbols = [keras.Input(x.shape[1:], dtype=str(x.dtype)) for x in inputs]
            output = make_layer(dtype)(*symbols)
            output = keras.layers.Activation("linear", dtype="float32")(output)
            return keras.Model(symbols if len(symbols) > 1 else symbols[0], output)

        shape = make(None).output_shape[1:]
        labels = np.random.default_rng(seed).normal(size=(8, *shape)).astype("float32")
        return Case(make, list(inputs) if len(inputs) > 1 else inputs[0], labels, "mse")

    def attention(dtype):
        attend = layers.SelfAttention(8, 2, dtype=dtype)
        return layers.Attention(attend, layers.ResidualOutput(8, dtype=dtype), dtype=dtype)

    def block(dtype):
        return layers.TransformerBlock(
            attention(dtype),
            layers.Intermediate(16, dtype=dtype),
            layers.ResidualOutput(8, dtype=dtype),
            dtype=dtype,
        )

    return {
        "Dropout": case(lambda dtype: Dropout(0.1, dtype=dtype), HIDDEN),
        "Embeddings": case(lambda dtype: layers.Embeddings(30, 8, 12, 2), IDS, IDS % 2),
        "SelfAttention": case(lambda dtype: layers.SelfAttention(8, 2, dtype=dtype), HIDDEN),
        "ResidualOutput": case(
            lambda dtype: layers.ResidualOutput(8, dtype=dtype), HIDDEN, HIDDEN + 1
        ),
        "Attention": case(attention, HIDDEN),
        "Intermediate": case(lambda dtype: layers.Intermediate(16, dtype=dtype), HIDDEN),
        "TransformerBlock": case(block, HIDDEN),
        "Pooler": case(lambda dtype: layers.Pooler(8, dtype=dtype), HIDDEN),
        "Transform": case(lambda dtype: heads.Transform(8, dtype=dtype), HIDDEN),
        "MaskedLanguageModel": case(
            lambda dtype: _TiedHead(heads.MaskedLanguageModel(30, 8, dtype=dtype)), HIDDEN
        ),
        "SpanBoundaryHead": case(
            lambda dtype: _TiedHead(SpanBoundaryHead(30, 8, place_size=5, dtype=dtype)),
            *(HIDDEN, HIDDEN + 1, IDS % 7),
        ),
        "LinearScores": case(lambda dtype: heads.LinearScores(8, 3), HIDDEN),
        "Crf": case(lambda dtype: Crf(8), HIDDEN),
        "WeightedSum": case(lambda dtype: WeightedSum(6), np.stack([HIDDEN, HIDDEN], axis=1)),
        "BiLstm": case(lambda dtype: BiLstm(4, dtype=dtype), HIDDEN, MASK),
    }


class _TiedHead:
    """Calls a head with a table [V, H], which it has no weight for, after its inputs."""

    def __init__(self, head):
        self.head = head

    def __call__(self, *inputs):
        table = np.random.default_rng(2).normal(size=(30, 8), scale=0.1).astype("float32")
        return self.head(*inputs, table)


def all_cases(num_layers: int = 2) -> dict[str, Case]:
    return {**model_cases(num_layers), **layer_cases()}


def dataset(case: Case):
    import tensorflow as tf

    inputs = tuple(case.inputs) if isinstance(case.inputs, list) else case.inputs
    return tf.data.Dataset.from_tensor_slices((inputs, case.labels)).batch(4)


def flat(outputs) -> list[np.ndarray]:
    import keras

    return [np.asarray(output) for output in keras.tree.flatten(outputs)]


def _load(folder: Path) -> None:
    """Only `bert_tf` is imported before a model is loaded; the inputs come from the files."""
    import keras

    for path in sorted(folder.glob("*.keras")):
        model = keras.saving.load_model(path)
        case = all_cases()[path.stem.removesuffix("-half")]
        np.savez(path.with_suffix(".again.npz"), *flat(model(case.inputs)))
        policies = {layer.dtype_policy.name for layer in model._flatten_layers()}
        path.with_suffix(".json").write_text(json.dumps(sorted(policies)))


def _mirrored(path: Path, *names: str) -> None:
    import keras
    import tensorflow as tf

    from bert_tf.model.dropout import Dropout

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    one, two = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    losses = {}
    cases = model_cases(num_layers=1)
    for name in names:
        case = cases[name]
        for strategy in (one, two):
            keras.utils.set_random_seed(1)
            with strategy.scope():
                model = case.make(None)
                for layer in model._flatten_layers():
                    if isinstance(layer, Dropout):
                        layer.rate = 0.0  # Two devices draw other masks.
                model.compile(optimizer=keras.optimizers.SGD(0.01), loss=case.loss)
            model.fit(dataset(case), epochs=2, shuffle=False, verbose=0)
            evaluated = model.evaluate(dataset(case), verbose=0, return_dict=True)["loss"]
            rows = len(flat(model.predict(dataset(case), verbose=0))[0])
            losses.setdefault(name, []).append([evaluated, rows])
    path.write_text(json.dumps(losses))


if __name__ == "__main__":
    {"load": _load, "mirrored": _mirrored}[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
