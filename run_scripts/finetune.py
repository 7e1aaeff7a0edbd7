"""Fine-tunes BERT on any task, evaluates it, and writes its predictions.

    python run_scripts/finetune.py --task=glue:mrpc --data_dir=glue_data/MRPC \\
        --model=bert_base_uncased --output_dir=/tmp/mrpc \\
        --do_train --do_eval --learning_rate=2e-5

`--model` is a released model, which is downloaded, or a path (docs/models.md). Its files can also
be given one by one, with --bert_config_file, --vocab_file and --init_checkpoint.

`--list_tasks` prints all tasks and their options. With `--task=NAME` these are flags, or they are
set by `--task_options=name=value,name=value`. `--task_module=my_task.py` adds a task of your own.
If the run is stopped or killed, the same command resumes it from the newest checkpoint.

To choose the best of several runs, give `--num_restarts=5`, `--learning_rates=5e-5,3e-5,2e-5` or
`--train_batch_sizes=16,32`. Their scores are in runs.tsv, the best weights in best/.

`--teacher=FOLDER` trains a student on the answers of another fine-tuned model (docs/family.md).

BERT-Base on MRPC (3,668 pairs, 3 epochs) takes about 2 minutes on a GPU: accuracy 0.84 to 0.88.
"""

import itertools
import sys

import command_line
from absl import flags

from bert_tf.settings import FinetuningSettings
from bert_tf.tasks.task import add_task_module, options_of, split_options, task_names

flags.DEFINE_string("data_dir", None, "The folder of the task's files, for tasks that read one.")
flags.DEFINE_bool("list_tasks", False, "Print all tasks and their options, and exit.")
flags.DEFINE_string("task_module", None, "A Python file with your own task (docs/own_task.md).")
command_line.define_model_flag()
command_line.define_flags(FinetuningSettings)


def define_task_flags(arguments: list[str]) -> None:
    """Defines a flag for each option of the task in the command line's `--task=NAME`."""
    for argument, following in itertools.pairwise([*arguments, ""]):
        flag, equals, value = argument.partition("=")
        name = (value if equals else following).lower()
        if flag in ("--task", "-task") and name in task_names():
            command_line.define_flags(options_of(name))


define_task_flags(sys.argv[1:])
flags.adopt_module_key_flags(command_line)


def main(_: list[str]) -> None:
    if flags.FLAGS.task_module:
        name = add_task_module(flags.FLAGS.task_module)
        flags.FLAGS.task = flags.FLAGS.task or name
    if flags.FLAGS.list_tasks:
        list_tasks()
        return
    options = split_options(flags.FLAGS.task_options or "")
    if flags.FLAGS.data_dir:
        if options.get("data_dir", flags.FLAGS.data_dir) != flags.FLAGS.data_dir:
            raise ValueError("Give --data_dir or data_dir in --task_options, not both.")
        options["data_dir"] = flags.FLAGS.data_dir
    if flags.FLAGS.task and flags.FLAGS.task.lower() in task_names():
        fields = [f for f in options_of(flags.FLAGS.task) if f.name != "data_dir"]
        given = dict(each.split("=", 1) for each in command_line.options_from_flags(fields))
        if twice := sorted(given.keys() & options.keys()):
            raise ValueError(f"Give --{twice[0]} or {twice[0]} in --task_options, not both.")
        options |= given
    settings = command_line.settings_from_flags(
        FinetuningSettings, task_options=tuple(f"{name}={value}" for name, value in options.items())
    )
    command_line.load_tensorflow()
    from bert_tf.finetuning.program import run_finetuning

    run_finetuning(settings, sys.stderr)


def list_tasks() -> None:
    modules: dict[str, list[str]] = {}
    for name in task_names():
        modules.setdefault(name.partition(":")[0], []).append(name)
    for names in modules.values():
        print(", ".join(names))
        for field in options_of(names[0]):
            print(f"    {field.name}={field.default}: {field.metadata['help']}")


if __name__ == "__main__":
    command_line.run(main)
