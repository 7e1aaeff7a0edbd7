"""Fine-tuning from MiniLM-L6's weights with three seeds: whether it learns as well as elsewhere.

A round is a seed. Everything is the same for both packages: examples, rate and its schedule, Adam,
decay, clipping, dropout, lengths. Both packages' answers are scored by this one's metrics.
"""

from comparison.case import Case
from comparison.settings import ComparisonSettings

CONTESTANTS = ("bert_tf", "bert_tf:bfloat16", "huggingface:by_length")
# Three epochs of all training examples, and all of dev, unless noted.
TASKS = {
    "SST-2": {  # 4,000 of the 67,349 training sentences: two minutes a run on two cores.
        "metrics": ("accuracy",),
        "max_train_examples": 4000,
        "learning_rate": 1e-4,
        "epochs": 1.0,
    },
    "MRPC": {"metrics": ("f1", "accuracy")},
    "RTE": {"metrics": ("accuracy",), "epochs": 2.0},
    "CoLA": {"metrics": ("matthews", "accuracy"), "epochs": 2.0},
    "STS-B": {"metrics": ("pearson", "spearman"), "epochs": 2.0},
    "SQuAD": {  # A fifth of an epoch.
        "metrics": ("f1", "exact"),
        "max_train_examples": 15632,
        "max_dev_examples": 2000,
        "max_seq_length": 384,
        "batch_size": 16,
        "learning_rate": 1e-4,
        "epochs": 1.0,
    },
}
DEFAULTS = {
    "model": "minilm_l6",
    "max_train_examples": 0,
    "max_dev_examples": 0,
    "max_seq_length": 128,
    "batch_size": 32,
    "learning_rate": 5e-5,
    "epochs": 3.0,
}


def cases(settings: ComparisonSettings) -> list[Case]:
    """Returns the cases of the suite."""
    if settings.quick:
        sizes = {"model": "tiny", "max_train_examples": 1280, "epochs": 1.0}
        return [_case("made_up", {"metrics": ("accuracy",), **sizes})]
    return [_case(task, told) for task, told in TASKS.items()]


def _case(task: str, told: dict) -> Case:
    measures = (*(f"{metric}_score" for metric in told["metrics"]), "peak_mb")
    work = "squad" if task == "SQuAD" else "finetune"
    files = "squad_files_bert_tf" if task == "SQuAD" else "finetuning_files_bert_tf"
    told = {"task": task, **DEFAULTS, **told}
    return Case(task.lower(), task, work, CONTESTANTS, measures, told, (files,))
