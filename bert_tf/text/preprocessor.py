"""Provides a Keras layer that maps text to the encoder's inputs, with exact ids."""

import base64
import importlib
from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from bert_tf.text.graph_packing import pack_texts
from bert_tf.text.graph_sentencepiece import GraphSentencePieceTokenizer
from bert_tf.text.graph_tokenization import GraphTokenizer


@keras.saving.register_keras_serializable(package="bert_tf")
class TextPreprocessor(keras.layers.Layer):
    """Maps texts, or pairs of texts, to a BERT encoder's inputs.

    Call it with a string tensor [B] or a scalar, a list of strings, or for pairs a tuple or a dict
    of two of these, eagerly, in `tf.data.Dataset.map` or in a functional model. It returns a dict
    of int32 tensors [B, L], or [L] for a scalar: `input_ids`, `input_mask`, `segment_ids`. Texts
    that are too long lose their ends; of a pair, the longer text first, as in the original.

    Args:
        vocabulary: the tokens, in the order of their ids; it is saved with the model.
        do_lower_case, strip_accents: see `FullTokenizer`.
        sequence_length: L, the tokens of a sequence, special tokens and padding included.
        sentencepiece_model: the content of a SentencePiece model in base64, whose pieces
            `vocabulary` has; "" for WordPiece.

    Example:

        preprocessor = bert_tf.TextPreprocessor.from_preset("bert_base_uncased", sequence_length=64)
        inputs = preprocessor(["A text.", "Another one."])  # input_ids: [2, 64]
        inputs = preprocessor((["A question?"], ["An answer."]))  # a pair

    Source: google-research/bert, run_classifier.py, `convert_single_example`.
    """

    supports_jit = False  # XLA has no strings.

    def __init__(
        self,
        vocabulary: Sequence[str],
        do_lower_case: bool = True,
        strip_accents: bool | None = None,
        sequence_length: int = 128,
        sentencepiece_model: str = "",
        drops_unassigned: bool = False,
        dtype=None,
        name: str = "text_preprocessor",
    ):
        super().__init__(name=name, dtype=dtype, trainable=False)
        self.vocabulary = list(vocabulary)
        self.do_lower_case = do_lower_case
        self.strip_accents = strip_accents
        self.sequence_length = sequence_length
        self.sentencepiece_model = sentencepiece_model
        self.drops_unassigned = drops_unassigned
        if sentencepiece_model:
            model = base64.b64decode(sentencepiece_model)
            self._tokenizer = GraphSentencePieceTokenizer(model, do_lower_case)
        else:
            rules = (do_lower_case, strip_accents, drops_unassigned)
            self._tokenizer = GraphTokenizer(self.vocabulary, *rules)
        if missing := sorted({"[CLS]", "[SEP]"} - {*self.vocabulary}):
            raise ValueError(
                f"A vocabulary must have [CLS] and [SEP], which stand around texts. Received: "
                f"{len(self.vocabulary)} tokens, without {', '.join(missing)}."
            )
        self._cls, self._sep = map(self.vocabulary.index, ("[CLS]", "[SEP]"))
        self.built = True

    @classmethod
    def from_preset(cls, preset: str, sequence_length: int = 128) -> "TextPreprocessor":
        """Returns the preprocessor of a model, see `FullTokenizer.from_preset`."""
        # Looked up when called: finding models comes after tokenizing.
        presets = importlib.import_module("bert_tf.released.presets")
        tokenizer = presets.load_tokenizer_preset(preset)
        if tokenizer.word_prefix:  # Byte-level BPE.
            tokenizer.in_graph()  # Raises the reason.
        return cls(
            list(tokenizer.vocab),
            tokenizer.do_lower_case,
            tokenizer.strips_accents,
            sequence_length,
            base64.b64encode(getattr(tokenizer, "model", b"")).decode("ascii"),
            tokenizer.drops_unassigned,
        )

    def __call__(self, inputs, training: bool | None = None):
        # Keras accepts tensors only, not strings.
        texts = [
            text if isinstance(text, keras.KerasTensor) else _strings(text)
            for text in _texts(inputs)
        ]
        return super().__call__(texts if len(texts) > 1 else texts[0])

    def call(self, inputs) -> dict[str, tf.Tensor]:
        texts, length = _texts(inputs), self.sequence_length
        ids = [self._tokenizer.tokenize(tf.reshape(text, [-1])) for text in texts]
        second = ids[1] if len(ids) == 2 else None
        features = {}
        for name, rows in pack_texts(ids[0], second, self._cls, self._sep, length).items():
            rows = tf.pad(rows, [[0, 0], [0, length - tf.shape(rows)[1]]])
            rows = tf.ensure_shape(rows, [None, length])
            features[name] = rows if texts[0].shape.rank else rows[0]
        return features

    def compute_output_spec(self, inputs) -> dict[str, keras.KerasTensor]:
        shape = (*_texts(inputs)[0].shape, self.sequence_length)
        names = ("input_ids", "input_mask", "segment_ids")
        return {name: keras.KerasTensor(shape, dtype="int32") for name in names}

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "do_lower_case": self.do_lower_case,
            "strip_accents": self.strip_accents,
            "sequence_length": self.sequence_length,
            "sentencepiece_model": self.sentencepiece_model,
            "drops_unassigned": self.drops_unassigned,
        }

    @classmethod
    def from_config(cls, config: dict) -> "TextPreprocessor":
        return cls(**{name: value for name, value in config.items() if name != "trainable"})


def _strings(texts) -> tf.Tensor:
    try:
        strings = tf.convert_to_tensor(texts, tf.string)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Texts must be strings. Received: {texts!r:.200}") from error
    if strings.shape.rank not in (0, 1, None):
        raise ValueError(f"Texts must be strings [B], or one. Received: {strings.shape}")
    return strings


def _texts(inputs) -> list:
    """Returns one or two batches of texts: a list of plain strings is one."""
    if isinstance(inputs, Mapping):
        for names in (("text_a", "text_b"), ("question", "context")):
            if set(inputs) == set(names):  # Whatever their order.
                inputs = {name: inputs[name] for name in names}
        inputs = tuple(inputs.values())
    is_pair = isinstance(inputs, (list, tuple)) and not all(
        isinstance(text, (str, bytes)) for text in inputs
    )
    texts = list(inputs) if is_pair or isinstance(inputs, tuple) else [inputs]
    if len(texts) not in (1, 2):
        raise ValueError(f"TextPreprocessor takes one or two texts. Received: {len(texts)}")
    return texts
