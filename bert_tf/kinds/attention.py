"""Attention maps: how much each token of a text attends to each other, in every layer and head."""

import dataclasses

import numpy as np
import tensorflow as tf

from bert_tf.kinds.masked_lm import encode_with_masks
from bert_tf.kinds.text_model import TextModel
from bert_tf.model.attention_maps import attention_probabilities
from bert_tf.text.packing import is_truncated, pack_truncated


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

    def rows(self, examples):
        """Returns texts or pairs as truncated rows of ids, where [MASK] is one token."""
        tokenizer, longest = self.loaded.tokenizer, self.loaded.max_seq_length
        cls, sep = self.special.cls, self.special.sep
        pairs = [
            [encode_with_masks(tokenizer, text) for text in (*texts, "")[:2]] for texts in examples
        ]
        self.warn_of_truncated(sum(is_truncated(*pair, longest, sep) for pair in pairs), len(pairs))
        return [pack_truncated(*pair, cls, sep, longest) for pair in pairs]

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
