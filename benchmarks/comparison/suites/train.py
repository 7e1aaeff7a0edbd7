"""Pre-training steps: time, memory, and how both grow with batch, length, layers and cores."""

from comparison.case import Case
from comparison.settings import ComparisonSettings

CONTESTANTS = ("bert_tf", "keras_hub", "original", "huggingface")
MEASURES = ("step_seconds", "examples_per_second", "gflops", "peak_mb", "first_loss")

# Sizes that are changed, one at a time -> their values, besides those of the small model.
GROWTH = {"batch_size": (8, 64), "length": (32, 256), "num_hidden_layers": (2, 8), "cores": (1,)}

TINY = {
    "vocab_size": 2000,
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
        title = "2 layers of width 64, 4 x 32 tokens"
        return [training_case("tiny", title, TINY, 2)]
    in_bfloat16 = tuple(name for name in CONTESTANTS if name != "original")
    base, small = "BERT-Base, 8 x 128 tokens", "4 layers of width 256"
    return [
        _same_loss(),
        training_case("base-float32", f"{base}, float32", BASE, 2, ceilings=True),
        training_case(
            "base-bfloat16",
            f"{base}, bfloat16",
            {**BASE, "precision": "bfloat16"},
            4,
            contestants=in_bfloat16,
            ceilings=True,
        ),
        training_case(
            "4x256",
            f"{small}, 32 x 128 tokens, float32",
            SMALL,
            5,
            contestants=(*CONTESTANTS, "bert_tf:xla"),
            ceilings=True,
            growth=tuple((axis, SMALL.get(axis, 2)) for axis in GROWTH),
        ),
        training_case(
            "base-4x512",
            "BERT-Base, 4 x 512 tokens, float32, activations kept and recomputed",
            {**BASE, "batch_size": 4, "length": 512},
            1,
            contestants=("bert_tf", "bert_tf:recompute"),
        ),
        *(_growth(axis, at) for axis, places in GROWTH.items() for at in places),
    ]


def _growth(axis: str, at: int) -> Case:
    """A point in the plot against an axis: the small model, with one size changed."""
    sizes = SMALL if axis == "cores" else {**SMALL, axis: at}
    cores = at if axis == "cores" else 0
    return training_case(
        f"4x256-{axis}-{at}",
        f"4 layers of width 256, 32 x 128 tokens, but {axis} {at}",
        sizes,
        3,
        growth=((axis, at),),
        table=False,
        cores=cores,
    )


def _same_loss() -> Case:
    """The loss of the first batch without dropout, from the same weights."""
    told = {"dropout": 0.0, "weights": "tiny-pretraining", "head": "pretraining"}
    return training_case(
        "same-loss",
        "The same weights, no dropout: the same loss",
        {**TINY, **told},
        1,
        contestants=("bert_tf", "original", "huggingface"),  # keras-hub has no next-sentence loss.
        measures=("first_loss",),
        preparations=("model_bert_tf",),
    )


def training_case(name: str, title: str, sizes: dict, steps: int, **more) -> Case:
    """Returns the case of `steps` timed steps of a model."""
    told = {"precision": "", "dropout": 0.1, "weights": "", "warmup_steps": 1, "steps": steps}
    described = {"contestants": CONTESTANTS, "measures": MEASURES, **more}
    return Case(name, title, "train", settings={**told, **sizes}, **described)
