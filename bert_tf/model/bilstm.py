"""BiLstm: a stack of bidirectional LSTM layers over the vectors of a sequence.

    vectors [B, L, any] --> layer_0 --> [B, L, 2 U] --> layer_1 --> [B, L, 2 U]
                            forward and backward outputs, concatenated

Source: Devlin et al. 2019, section 5.3; the cells are Keras' (gates i, f, c, o).
"""

import keras
from keras import ops

from bert_tf.model.part import Part


class BiLstm(Part):
    """Runs bidirectional LSTM layers over the tokens that are not padding.

    The backward direction starts at the last token of each row, so that outputs do not depend on
    how much padding follows.

    Args:
        units: U, the width of each direction.
        num_layers: of the stack.

    Call it with vectors, float [B, L, any], and `input_mask`, int [B, L], 0 for padding, which is
    on the right; None if there is none. It returns float32 [B, L, 2 U]; padding has no meaning.

    Example:

        vectors = encoder({"input_ids": ids, "input_mask": mask})["sequence_output"]
        BiLstm(768)(vectors, mask)  # [B, L, 1536]
    """

    def __init__(self, units: int, num_layers: int = 2, dtype=None, name: str = "bilstm"):
        super().__init__(name=name, dtype=dtype)
        self.layers = [
            keras.layers.Bidirectional(
                keras.layers.LSTM(
                    units, return_sequences=True, dtype=self.dtype_policy, name="lstm"
                ),
                dtype=self.dtype_policy,
                name=f"layer_{number}",
            )
            for number in range(num_layers)
        ]

    def build(self, vectors_shape, input_mask_shape=None):
        for layer in self.layers:
            layer.build(vectors_shape)
            vectors_shape = (*vectors_shape[:-1], 2 * self.units)

    def call(self, vectors, input_mask=None, training: bool = False):
        mask = None if input_mask is None else ops.cast(input_mask, "bool")
        for layer in self.layers:
            vectors = layer(vectors, training=training, mask=mask)
        # A copy lacks the mask that Keras attached, which layers after this one would warn of.
        return ops.cast(ops.copy(vectors), "float32")

    def compute_output_shape(self, vectors_shape, input_mask_shape=None):
        return (*vectors_shape[:-1], 2 * self.units)
