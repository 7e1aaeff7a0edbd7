"""Attention maps: how much each token of a text attends to each other, in every layer and head."""

import dataclasses

import numpy as np
import tensorflow as tf

from bert_tf.kinds.masked_lm import encode_with_masks
from bert_tf.kinds.text_model import TextModel
from bert_tf.model.attention_maps import attention_probabilities


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class AttentionMaps:
    """The attention of a text or pair of L tokens."""

    tokens: tuple[str, ...]  # Word pieces, [CLS] and [SEP] included.
    segment_ids: tuple[int, ...]  # Of each token: 0 in the first text, 1 in the second.
    # float32 [layers, N, L, L]: element [l, n, i, j] is the fraction of its attention that token i
    # pays to token j in head n of layer l; each row sums to 1.
    probabilities: np.ndarray


class AttentionReader(TextModel):
    """Returns the `AttentionMaps` of texts or pairs, by any kind of model's encoder."""

    def __init__(self, loaded, batch_size=32, compute=None):
        super().__init__(dataclasses.replace(loaded, model=loaded.encoder), batch_size, compute)

    @staticmethod
    def make_model(encoder, num_labels):
        return encoder

    def encode(self, text):
        """Returns the ids of a text in which [MASK] is one token."""
        return encode_with_masks(self.loaded.tokenizer, text)

    def of_ids(self, batch):
        model = self.loaded.model
        maps = attention_probabilities(model, model.select_features(batch))
        return {
            "tokens": tf.gather(list(self.loaded.tokenizer.vocab), batch["input_ids"]),
            "segment_ids": batch["segment_ids"],
            "num_tokens": tf.reduce_sum(batch["input_mask"], axis=1),
            "probabilities": tf.stack(maps, axis=1),  # [B, layers, N, L, L]
        }

    @staticmethod
    def answer_of(example, outputs):
        length = outputs["num_tokens"]
        tokens = tuple(token.decode("utf-8") for token in outputs["tokens"][:length])
        segment_ids = tuple(outputs["segment_ids"][:length].tolist())
        return AttentionMaps(tokens, segment_ids, outputs["probabilities"][..., :length, :length])
