"""Fine-tunes BERT to classify texts or text pairs, evaluates it, and writes its predictions.

    python run_scripts/run_classifier.py --task_name=MRPC --data_dir=glue_data/MRPC \\
        --vocab_file=vocab.txt --bert_config_file=bert_config.json \\
        --init_checkpoint=bert_model.ckpt --do_train=true --do_eval=true \\
        --max_seq_length=128 --train_batch_size=32 --learning_rate=2e-5 \\
        --num_train_epochs=3.0 --output_dir=/tmp/mrpc_output

`--model=bert_base_uncased` replaces the three files and --do_lower_case: see docs/models.md.

The flags and their defaults are those of the original run_classifier.py, with its tasks CoLA, MNLI,
MRPC and XNLI; SST-2, STS-B, QQP, QNLI, RTE, WNLI and AX are new. Your own data needs no code:

    python run_scripts/run_classifier.py --task_name=tsv --data_dir=my_data \\
        --text_a_column=review --label_column=stars ...

Writes `eval_results.txt`, `test_results.tsv` and a file for the GLUE server to --output_dir. Flags
that the original does not have are those of finetune.py.

BERT-Base on MRPC takes about 2 minutes on a GPU: eval_accuracy between 0.84 and 0.88.
"""

import sys

import command_line
from absl import flags

from bert_tf.settings import FinetuningSettings
from bert_tf.tasks.task import no_task, options_of, task_names

# Tasks that classify sentences or pairs and are not part of GLUE.
_OTHERS = ("xnli", "tsv")

flags.DEFINE_string("task_name", None, "CoLA, MNLI, MRPC, XNLI, another GLUE task, or tsv.")
flags.DEFINE_integer(
    "max_seq_length", 128, "Maximum number of tokens per sequence, including [CLS] and [SEP]."
)
command_line.define_model_flag()
command_line.define_flags(
    FinetuningSettings,
    required=("task_name", "bert_config_file", "vocab_file", "output_dir"),
    leave_out=("task", "task_options"),
)
for _task in ("glue", *_OTHERS):
    command_line.define_flags(options_of(_task))
flags.adopt_module_key_flags(command_line)


def main(_: list[str]) -> None:
    task = full_name(flags.FLAGS.task_name)
    refuse_options_of_others(task)
    settings = command_line.settings_from_flags(
        FinetuningSettings,
        task=task,
        task_options=command_line.options_from_flags(options_of(task)),
    )
    command_line.load_tensorflow()
    from bert_tf.finetuning.program import run_finetuning

    run_finetuning(settings, sys.stderr)


def full_name(task_name: str) -> str:
    """Returns the name of a task of this script; `glue:` may be left out."""
    known = [name for name in task_names() if name.partition(":")[0] in ("glue", *_OTHERS)]
    for name in (task_name.lower(), f"glue:{task_name.lower()}"):
        if name in known:
            return name
    raise no_task(task_name, [name.removeprefix("glue:") for name in known])


def refuse_options_of_others(task: str) -> None:
    """Raises a ValueError if a flag was given that is not an option of the task."""
    own = {field.name for field in options_of(task)}
    for other in ("glue", *_OTHERS):
        for field in options_of(other):
            if field.name not in own and flags.FLAGS[field.name].present:
                raise ValueError(f"--{field.name} is for {other}; {task} has no such option.")


if __name__ == "__main__":
    command_line.run(main)
