"""Pre-training steps: time, memory, and how both grow with batch, length, layers and cores."""

from comparison.case import Case
from comparison.settings import ComparisonSettings

CONTESTANTS = ("bert_tf", "bert_tf:xla", "original", "keras_hub", "huggingface")
MEASURES = ("step_seconds", "examples_per_second", "peak_mb", "first_loss")

TINY = {
    "vocab_size": 1000,
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "num_attention_heads": 2,
    "batch_size": 4,
    "length": 32,
}
BASE = {
    "vocab_size": 30522,
    "num_hidden_layers": 12,
    "hidden_size": 768,
    "num_attention_heads": 12,
    "batch_size": 8,
    "length": 128,
}
SMALL = {
    "vocab_size": 30522,
    "num_hidden_layers": 4,
    "hidden_size": 256,
    "num_attention_heads": 4,
    "batch_size": 32,
    "length": 128,
}


def cases(settings: ComparisonSettings) -> list[Case]:
    """Returns the cases of the suite."""
    if settings.quick:
        return [_case("tiny", "BERT of 2 x 64, 4 x 32 tokens", TINY, steps=2)]
    return [
        _case("base-float32", "BERT-Base, 8 x 128 tokens, float32", BASE, steps=3),
        _case(
            "base-bfloat16",
            "BERT-Base, 8 x 128 tokens, bfloat16",
            {**BASE, "precision": "bfloat16"},
            steps=4,
            contestants=tuple(name for name in CONTESTANTS if name != "original"),
        ),
        _case("4x256", "4 layers of width 256, 32 x 128 tokens, float32", SMALL, steps=8),
    ]


def _case(
    name: str, title: str, sizes: dict, steps: int, contestants: tuple[str, ...] = CONTESTANTS
) -> Case:
    told = {"precision": "", "dropout": 0.1, "weights": "", "warmup_steps": 2, "steps": steps}
    return Case(name, title, "train", contestants, MEASURES, {**told, **sizes})
