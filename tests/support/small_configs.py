"""Configurations of models small enough for a test, of BERT and of its successors."""

from typing import Any

from bert_tf.config import BertConfig

# The successors: what a configuration has beside, or instead of, BERT's values.
SUCCESSORS: dict[str, dict[str, Any]] = {
    "albert": {
        "model_type": "albert",
        "embedding_size": 4,
        "num_hidden_groups": 1,
        "inner_group_num": 1,
    },
    "electra": {"model_type": "electra", "embedding_size": 4},
    "roberta": {"model_type": "roberta", "type_vocab_size": 1},
    "distilbert": {"model_type": "distilbert", "type_vocab_size": 0},
}


def small_config(vocab_size: int, **changes: Any) -> BertConfig:
    """One layer of width 8 with two heads, unless changed."""
    values = {
        "vocab_size": vocab_size,
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 16,
        "type_vocab_size": 2,
    }
    return BertConfig(**(values | changes))
