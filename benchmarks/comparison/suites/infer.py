"""Classification of sentences: loading, the first answer, one by one, and in bulk."""

from comparison.case import Case
from comparison.settings import ComparisonSettings
from comparison.suites.train import BASE, TINY

MEASURES = (
    "texts_per_second",
    "one_p50_ms",
    "one_p99_ms",
    "mixed_p50_ms",
    "mixed_p99_ms",
    "load_seconds",
    "first_answer_seconds",
    "start_to_answer_seconds",
    "peak_mb",
    "mean_probability",
)


def cases(settings: ComparisonSettings) -> list[Case]:
    """Returns the cases of the suite."""
    if settings.quick:
        return [_case("tiny", "2 layers of width 64", TINY, texts=20)]
    return [_case("base", "BERT-Base, sentences of SST-2, float32", BASE, texts=256)]


def _case(name: str, title: str, sizes: dict, texts: int) -> Case:
    told = {"head": "classification", "weights": f"{name}-classification", "batch_size": 32}
    return Case(
        name,
        title,
        "infer",
        ("bert_tf", "huggingface", "onnxruntime"),
        MEASURES,
        {**sizes, **told, "texts": texts, "passes": 2},
        preparations=("model_bert_tf", "export_onnxruntime"),
    )
