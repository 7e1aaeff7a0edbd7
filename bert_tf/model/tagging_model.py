"""TaggingModel: a class for each token, from a frozen encoder's layers, with a CRF, or both.

fine-tuned       input_ids --> encoder --> last layer --> dropout --> logits [--> CRF]
feature-based    input_ids --> frozen encoder --> layers --> BiLSTM --> dropout --> logits [...]
"""

from collections.abc import Callable
from typing import ClassVar

from keras import ops

from bert_tf.model.bilstm import BiLstm
from bert_tf.model.crf import Crf
from bert_tf.model.dropout import Dropout
from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.heads import HeadModel, LinearScores
from bert_tf.model.part import Part
from bert_tf.model.task_heads import TokenClassificationModel

_DROPOUT = 0.1  # As in the classifier.

# The rows of table 7: which of the layers 0 (the embeddings) to N are used, and how.
FEATURE_LAYERS: dict[str, tuple[Callable[[int], range], str]] = {
    "embeddings": (lambda last: range(1), "concat"),
    "second_to_last": (lambda last: range(last - 1, last), "concat"),
    "last": (lambda last: range(last, last + 1), "concat"),
    "weighted_last_four": (lambda last: range(max(1, last - 3), last + 1), "sum"),
    "concat_last_four": (lambda last: range(max(1, last - 3), last + 1), "concat"),
    "weighted_all": (lambda last: range(1, last + 1), "sum"),
}


class WeightedSum(Part):
    """Adds vectors of several layers with weights that are learned: a softmax, and a scale.

    Call it with float [B, L, layers, H]; it returns float32 [B, L, H].

    Source: Peters et al. 2018 (ELMo), section 3.2. BERT's paper does not say how it weighted.
    """

    def __init__(self, num_layers: int, dtype="float32", name: str = "weighted_sum"):
        super().__init__(name=name, dtype=dtype, autocast=False)

    def build(self, vectors_shape=None):
        self.layer_weights = self.add_weight(
            shape=(self.num_layers,), initializer="zeros", dtype="float32", name="layer_weights"
        )
        self.scale = self.add_weight(shape=(), initializer="ones", dtype="float32", name="scale")

    def call(self, vectors):
        shares = ops.softmax(ops.convert_to_tensor(self.layer_weights)) * self.scale
        return ops.sum(ops.cast(vectors, "float32") * shares[:, None], axis=2)

    def compute_output_shape(self, vectors_shape):
        return (*vectors_shape[:2], vectors_shape[3])


class TaggingModel(HeadModel):
    """BERT with logits for each token, as a fixed source of features or with a CRF.

    `TokenClassificationModel` is the model without both.

    Args:
        encoder: see `bert_tf.BertEncoder`.
        num_labels: C, the number of classes.
        feature_layers: one of FEATURE_LAYERS: the encoder is not trained, and a BiLSTM reads its
            vectors, as in table 7 of the paper. "" fine-tunes the encoder.
        has_crf: whether a CRF scores neighbouring tags, see `bert_tf.model.crf`.
        lstm_units: the width of each direction of the BiLSTM.
        dtype, name: see `bert_tf.model.heads.HeadModel`.

    Call it with the encoder's inputs. It returns logits, float32 [B, L, C]; with a CRF a dict of
    `logits` and `transitions`, float32 [B, C + 2, C]. The weights are `output_weights` and
    `output_bias`, as in a classifier, `bilstm/...`, `weighted_sum/...` and `crf/transitions`.

    Example:

        encoder = bert_tf.BertEncoder.from_preset("bert_base_uncased")
        model = bert_tf.TaggingModel(encoder, 9, feature_layers="concat_last_four")
        logits = model({"input_ids": np.ones((2, 16), "int32")})  # [2, 16, 9]

    Source: Devlin et al. 2019, section 5.3.
    """

    kind = "tagging"
    needs_pooler = False
    OPTIONS: ClassVar = {
        "crf": "has_crf",
        "feature_based": "feature_layers",
        "lstm_units": "lstm_units",
    }

    def __init__(
        self,
        encoder: TransformerEncoder,
        num_labels: int,
        feature_layers: str = "",
        has_crf: bool = False,
        lstm_units: int = 768,
        dtype=None,
        name: str | None = None,
    ):
        super().__init__(encoder, dtype, name)
        width = encoder.hidden_size
        if feature_layers:
            width = self._build_features(width)
        self.dropout = Dropout(_DROPOUT, encoder.num_dropouts, name="classifier_dropout")
        self.scores = LinearScores(width, num_labels)
        self.dropout.build((None, None, width))
        self.scores.build((None, None, width))
        if has_crf:
            self.crf = Crf(num_labels)
            self.crf.build((None, None, num_labels))

    def _build_features(self, width: int) -> int:
        """Makes the layers between encoder and classifier; returns the width of their output."""
        if self.feature_layers not in FEATURE_LAYERS:
            raise ValueError(
                f"feature_layers must be one of {', '.join(FEATURE_LAYERS)}. Received: "
                f"{self.feature_layers!r}"
            )
        which, how = FEATURE_LAYERS[self.feature_layers]
        num_layers = len(which(self.encoder.num_layers))
        if how == "sum":
            self.weighted_sum = WeightedSum(num_layers)
            self.weighted_sum.build((None, None, num_layers, width))
        else:
            width *= num_layers
        self.bilstm = BiLstm(self.lstm_units, dtype=self.dtype_policy)
        self.bilstm.build((None, None, width))
        return 2 * self.lstm_units

    def is_unneeded(self, name: str) -> bool:
        """Returns whether this weight is not trained: all of the encoder's, if it is frozen."""
        is_frozen = bool(self.feature_layers) and name.startswith(self.encoder.prefix)
        return is_frozen or super().is_unneeded(name)

    def may_lack(self, name: str) -> bool:
        return super().is_unneeded(name) or not name.startswith(self.encoder.prefix)

    def call(self, features, training: bool = False):
        if self.feature_layers:
            vectors = self._features(features, training)
        else:
            vectors = self.encoder(features, training=training)["sequence_output"]
        logits = self.scores(self.dropout(vectors, training=training))
        return {"logits": logits, "transitions": self.crf(logits)} if self.has_crf else logits

    def _features(self, features: dict, training: bool):
        # The encoder is not trained, so it computes as in inference.
        outputs = self.encoder(features, training=False)
        layers = [outputs["embedding_output"], *outputs["all_encoder_layers"]]
        which, how = FEATURE_LAYERS[self.feature_layers]
        numbers = which(self.encoder.num_layers)
        chosen = [ops.stop_gradient(ops.cast(layers[n], "float32")) for n in numbers]
        if how == "sum":
            vectors = self.weighted_sum(ops.stack(chosen, axis=2))
        else:
            vectors = ops.concatenate(chosen, axis=-1)
        return self.bilstm(vectors, features.get("input_mask"), training=training)


def tagging_head(
    encoder: TransformerEncoder,
    num_labels: int,
    feature_layers: str = "",
    has_crf: bool = False,
    lstm_units: int = 768,
) -> HeadModel:
    """Returns the model for these options: a plain `TokenClassificationModel` where it can be."""
    if not (feature_layers or has_crf):
        return TokenClassificationModel(encoder, num_labels)
    return TaggingModel(encoder, num_labels, feature_layers, has_crf, lstm_units)
