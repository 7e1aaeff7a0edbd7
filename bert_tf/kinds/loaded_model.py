"""LoadedModel: a model with its weights, its tokenizer and what else inference on text needs."""

import dataclasses
from typing import TYPE_CHECKING, Any

import keras

from bert_tf.config import BertConfig
from bert_tf.kinds.table import KINDS
from bert_tf.model.encoder import TransformerEncoder

if TYPE_CHECKING:
    from bert_tf.text.batch_tokenization import BatchTokenizer


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A model and what belongs to it.

    kind: one of `bert_tf.kinds.table.KINDS`.
    model: the Keras model, with its weights.
    tokenizer: of its vocabulary.
    inputs: the names of its texts.
    labels: the classes in the order of its outputs; () where there are none.
    max_seq_length: maximum tokens of a sequence.
    options: the kind's options, such as how answers are searched; None where it has none.
    missing: names of weights that the checkpoint lacks, so that they are random.
    """

    kind: str
    model: keras.Model
    tokenizer: "BatchTokenizer"
    inputs: tuple[str, ...]
    labels: tuple[str, ...]
    max_seq_length: int
    options: Any = None
    missing: tuple[str, ...] = ()

    @property
    def config(self) -> BertConfig:
        """The encoder's configuration."""
        return self.encoder.config

    @property
    def encoder(self) -> TransformerEncoder:
        """The model without its head."""
        return getattr(self.model, "encoder", self.model)

    @property
    def has_pooler(self) -> bool:
        """Whether the checkpoint has a pooler."""
        return self._is_loaded(self.encoder.pooler_prefix)

    def has_head(self, prefix: str) -> bool:
        """Returns whether the model has a head, and the checkpoint its weights."""
        return prefix in KINDS[self.kind].heads and self._is_loaded(prefix)

    def _is_loaded(self, prefix: str) -> bool:
        return not any(name.startswith(prefix) for name in self.missing)
