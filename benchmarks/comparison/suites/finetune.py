"""Fine-tuning 6 layers of width 384 on SST-2: the first 20 steps, the last 50, and memory."""

from comparison.case import Case
from comparison.settings import ComparisonSettings

MEASURES = ("examples_per_second", "first_examples_per_second", "process_seconds", "peak_mb")


def cases(settings: ComparisonSettings) -> list[Case]:
    """Returns the cases of the suite."""
    if settings.quick:
        return [_case("made_up", "tiny", 40)]
    return [_case("SST-2" if settings.data_dir else "made_up", "minilm_l6", 100)]


def _case(task: str, model: str, num_steps: int) -> Case:
    told = {
        "task": task,
        "model": model,
        "metrics": (),
        "max_train_examples": 32 * num_steps,
        "max_dev_examples": 32,
        "max_seq_length": 128,
        "batch_size": 32,
        "learning_rate": 5e-5,
        "epochs": 1.0,
    }
    contestants = ("bert_tf", "huggingface:by_length", "huggingface")
    title = f"{num_steps} steps of 32 examples of {task}, model {model}"
    files = ("finetuning_files_bert_tf",)
    return Case(model, title, "finetune", contestants, MEASURES, told, files)
