"""BertEncoder: from token ids to one vector per token and one per sequence."""

import keras
from keras import ops

from bert_tf.config import BertConfig
from bert_tf.model.layers import MASKED_SCORE, Embeddings, TransformerBlock, dense, recomputed


class Pooler(keras.layers.Layer):
    """The vector of the first token, [CLS], through a matrix product and tanh."""

    def __init__(self, config: BertConfig, name: str = "pooler"):
        super().__init__(name=name)
        self.dense = dense(config.hidden_size, config)

    def build(self, input_shape=None):
        self.dense.build((None, self.dense.units))

    def call(self, sequence_output):
        return ops.tanh(self.dense(sequence_output[:, 0]))


class BertEncoder(keras.Model):
    """The Transformer of BERT, with every weight under its published name (`bert/...`).

    The weights exist as soon as the object does; a released checkpoint is loaded by
    `bert_tf.load_checkpoint`.

    Args:
        config: the model's shape.

    Its attribute `recompute_activations`, False at first, makes training keep no more of a block
    than what goes into it: the gradient computes the rest again, which takes a third more time and
    a fraction of the memory.

    Call it with a dict of int tensors:
        `input_ids` [B, L]: rows of the vocabulary.
        `input_mask` [B, L]: 1 for a token, 0 for padding. Left out: all tokens.
        `segment_ids` [B, L]: 0 for the first sequence of a pair, 1 for the second. Left out: 0.

    It returns a dict of float32 tensors:
        `sequence_output` [B, L, H]: the last block's output.
        `pooled_output` [B, H]: of [CLS], as next sentence prediction and classifiers use it.
        `embedding_output` [B, L, H]: what goes into the first block.
        `all_encoder_layers`: a list with the output of every block, each [B, L, H].

    Example:

        encoder = bert_tf.BertEncoder(bert_tf.BertConfig.from_json_file("bert_config.json"))
        bert_tf.load_checkpoint(encoder, "bert_model.ckpt")
        vectors = encoder({"input_ids": np.array([[101, 7592, 102]])})["sequence_output"]

    Raises:
        ValueError: when called with sequences longer than `config.max_position_embeddings`.

    Source: google-research/bert, modeling.py, `BertModel`.
    """

    def __init__(self, config: BertConfig, name: str = "bert"):
        super().__init__(name=name)
        self.config = config
        self.recompute_activations = False
        self.embeddings = Embeddings(config)
        self.blocks = [TransformerBlock(config, i) for i in range(config.num_hidden_layers)]
        self.pooler = Pooler(config)
        with keras.name_scope(name):
            self.embeddings.build()
            with keras.name_scope("encoder"):
                for block in self.blocks:
                    block.build()
            self.pooler.build()
        self.built = True

    def call(self, inputs: dict, training: bool = False) -> dict:
        input_ids = ops.cast(inputs["input_ids"], "int32")
        input_mask = inputs.get("input_mask")
        segment_ids = inputs.get("segment_ids")
        if input_mask is None:
            input_mask = ops.ones_like(input_ids)
        if segment_ids is None:
            segment_ids = ops.zeros_like(input_ids)
        score_bias = MASKED_SCORE * (1.0 - ops.cast(input_mask, "float32"))
        score_bias = ops.expand_dims(ops.expand_dims(score_bias, 1), 1)  # [B, 1, 1, L]

        embedding_output = self.embeddings(input_ids, segment_ids, training=training)
        layers = []
        hidden = embedding_output
        for block in self.blocks:
            run = recomputed(block) if self.recompute_activations and training else block
            hidden = run(hidden, score_bias, training=training)
            layers.append(hidden)
        return {
            "sequence_output": hidden,
            "pooled_output": ops.cast(self.pooler(hidden), "float32"),
            "embedding_output": ops.cast(embedding_output, "float32"),
            "all_encoder_layers": layers,
        }

    def get_config(self) -> dict:
        return {"config": self.config.to_dict(), "name": self.name}

    @classmethod
    def from_config(cls, config: dict) -> "BertEncoder":
        return cls(BertConfig.from_dict(config["config"]), name=config["name"])
