"""Small models of every kind with random weights, as a reader gives them."""

import numpy as np

from bert_tf.config import BertConfig
from bert_tf.formats import names
from bert_tf.formats.source import Head, PretrainedModel, TokenizerFiles
from bert_tf.kinds.table import CLASSIFIER, MASKED_LM, NEXT_SENTENCE, SPAN

CONFIG = BertConfig(
    vocab_size=30,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=12,
    max_position_embeddings=10,
    type_vocab_size=2,
    hidden_act="gelu_erf",
)
VOCAB = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(25)))
HEADS = {
    "": (Head(), ()),
    "pretraining": (Head("masked_lm"), (MASKED_LM, NEXT_SENTENCE)),
    "masked LM": (Head("masked_lm"), (MASKED_LM,)),
    "next sentence": (Head("masked_lm"), (NEXT_SENTENCE,)),
    "classification": (Head("classification", ("no", "yes", "?")), (CLASSIFIER,)),
    "regression": (Head("regression"), (CLASSIFIER,)),
    "tagging": (Head("tagging", ("O", "B", "I", "X")), (CLASSIFIER,)),
    "span": (Head("span"), (SPAN,)),
}


def make_model(head="", config=CONFIG, without=(), **fields):
    """A model with random weights that are far from the usual initial ones.

    `head` is one of HEADS, or such a pair.
    """
    head, prefixes = HEADS[head] if isinstance(head, str) else head
    shapes = names.weight_shapes(config, prefixes, len(head.labels) or 1)
    rng = np.random.default_rng(3)
    weights = {
        name: (rng.normal(size=shape) * 0.4).astype(np.float32) + name.endswith("gamma")
        for name, shape in sorted(shapes.items())
        if name not in without
    }
    tokenizer = TokenizerFiles(VOCAB, do_lower_case=False)
    fields = {"head": head, "tokenizer": tokenizer, **fields}
    return PretrainedModel("google", "made here", config, weights, **fields)
