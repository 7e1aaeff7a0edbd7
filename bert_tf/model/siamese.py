"""SiameseModel: computes a vector of each of several texts, to compare them.

Source: Reimers and Gurevych (2019), Sentence-BERT.
"""

from keras import ops

from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.heads import HeadModel, first_vector

POOLINGS = ("mean", "cls")


class SiameseModel(HeadModel):
    """Computes a vector of length 1 for each text of a pair, by the same encoder.

    Args:
        encoder: see `bert_tf.BertEncoder`.
        pooling: `mean` of the tokens' vectors, [CLS] and [SEP] included, or the vector of `cls`.
        dtype, name: see `bert_tf.model.heads.HeadModel`.

    The inputs are the encoder's, each int [B, T, L] with one row per text, T is 2 for pairs. The
    output is float32 [B, T, H]. The sum of the product of two vectors is their cosine. It has no
    weights but the encoder's, so its checkpoints are those of an encoder.

    Example:

        model = bert_tf.SiameseModel.from_preset("bert_base_uncased")
        vectors = model({"input_ids": np.ones((3, 2, 16), "int32")})  # [3, 2, H]
        cosines = keras.ops.sum(vectors[:, 0] * vectors[:, 1], axis=-1)  # [3]
    """

    kind = "encoder"
    ids_rank = 3
    needs_pooler = False

    def __init__(
        self,
        encoder: TransformerEncoder,
        pooling: str = "mean",
        dtype=None,
        name: str | None = None,
    ):
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}. Received: {pooling!r}")
        super().__init__(encoder, dtype, name)

    def call(self, features, training: bool = False):
        shape = ops.shape(features["input_ids"])  # [B, T, L]
        rows = {name: ops.reshape(ids, (-1, shape[2])) for name, ids in features.items()}
        vectors = self._pooled(rows, training)
        vectors = ops.reshape(vectors, (*shape[:2], self.encoder.hidden_size))
        return ops.normalize(vectors, axis=-1, epsilon=1e-12)

    def _pooled(self, rows: dict, training: bool):
        if self.pooling == "cls":
            outputs = self.encoder.selected_outputs(rows, first_vector, training=training)
            return ops.cast(outputs["sequence_output"][:, 0], "float32")
        tokens = ops.cast(self.encoder(rows, training=training)["sequence_output"], "float32")
        if "input_mask" not in rows:
            return ops.mean(tokens, axis=1)
        mask = ops.cast(rows["input_mask"], "float32")[..., None]  # [B * T, L, 1]
        total = ops.maximum(ops.sum(mask, axis=1), 1.0)
        return ops.sum(tokens * mask, axis=1) / total
