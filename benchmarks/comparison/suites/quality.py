"""Fine-tuning from MiniLM-L6's weights with three seeds: whether it learns as well as elsewhere.

A round is a seed. Everything is the same for both packages: examples, rate and its schedule, Adam,
decay, clipping, dropout, lengths. Every package's answers are scored by this one's metrics.
"""

from comparison.case import Case
from comparison.settings import ComparisonSettings

CONTESTANTS = ("bert_tf", "huggingface:by_length")
METRICS = {
    "CoLA": ("matthews", "accuracy"),
    "MRPC": ("f1", "accuracy"),
    "STS-B": ("pearson", "spearman"),
    "RTE": ("accuracy",),
    "SST-2": ("accuracy",),
}
TRAIN_EXAMPLES = {"SST-2": 8000}  # A part of the 67,349; of the other tasks all are used.
EPOCHS = {"CoLA": 3.0, "RTE": 3.0}  # After one these predict the same class for all; else 1.


def cases(settings: ComparisonSettings) -> list[Case]:
    """Returns the cases of the suite."""
    if settings.quick:
        return [_case("made_up", "tiny", ("accuracy",), 1280)]
    return [
        _case(task, "minilm_l6", metrics, TRAIN_EXAMPLES.get(task, 0), EPOCHS.get(task, 1.0))
        for task, metrics in METRICS.items()
    ]


def _case(
    task: str, model: str, metrics: tuple[str, ...], max_train_examples: int, epochs: float = 1.0
) -> Case:
    told = {
        "task": task,
        "model": model,
        "metrics": metrics,
        "max_train_examples": max_train_examples,
        "max_dev_examples": 0,
        "max_seq_length": 128,
        "batch_size": 32,
        "learning_rate": 1e-4,
        "epochs": epochs,
    }
    measures = (*(f"{metric}_score" for metric in metrics), "process_seconds", "peak_mb")
    name = task.lower().replace("-", "")
    return Case(name, task, "finetune", CONTESTANTS, measures, told, ("finetuning_files_bert_tf",))
