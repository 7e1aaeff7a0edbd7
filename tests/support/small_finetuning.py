"""The settings of a fine-tuning run that takes seconds, which tests change where they must."""

from pathlib import Path

from bert_tf.settings import FinetuningSettings


def small_finetuning(
    model: dict[str, str], task: str, output_dir: Path | str, options: tuple = (), **changes
) -> FinetuningSettings:
    """Settings with which a small model trains on a few hundred short texts, and is evaluated.

    Args:
        model: names of its files, as the fixture `small_model` has them.
        options: the task's options, as in ("data_dir=reviews", "label_column=label").
        changes: other settings, in place of those below.
    """
    settings = {
        "max_seq_length": 24,
        "train_batch_size": 16,
        "learning_rate": 2e-3,
        "num_train_epochs": 4.0,
        "num_workers": 1,
        "do_train": True,
        "do_eval": True,
        **changes,
    }
    return FinetuningSettings(
        **model, task=task, task_options=options, output_dir=str(output_dir), **settings
    )
