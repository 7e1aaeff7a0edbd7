"""Fine-tunes BERT to answer questions about a text, and predicts the answers for another file.

    python run_scripts/run_squad.py --vocab_file=vocab.txt --bert_config_file=bert_config.json \\
        --init_checkpoint=bert_model.ckpt --do_train=True --train_file=train-v1.1.json \\
        --do_predict=True --predict_file=dev-v1.1.json --train_batch_size=12 \\
        --learning_rate=3e-5 --num_train_epochs=2.0 --max_seq_length=384 --doc_stride=128 \\
        --output_dir=/tmp/squad_base

`--model=bert_base_uncased` replaces the three files and --do_lower_case: see docs/models.md.

The flags and their defaults are those of the original run_squad.py. `--do_eval` also scores the
answers as the official script does. SQuAD 2.0 needs --version_2_with_negative. Input files may be
gzipped. Writes `predictions.json`, `nbest_predictions.json` and, for SQuAD 2.0, `null_odds.json` to
--output_dir. Flags that the original does not have are those of finetune.py.

BERT-Base on SQuAD 1.1 reaches F1 88.4, EM 81.2; two epochs take about half an hour on one TPU.
"""

import sys

import command_line
from absl import flags

from bert_tf.settings import FinetuningSettings
from bert_tf.tasks.task import options_of

flags.DEFINE_integer(
    "max_seq_length", 384, "Maximum number of tokens per window: question, text, [CLS] and [SEP]s."
)
command_line.define_model_flag()
command_line.define_flags(
    FinetuningSettings,
    required=("bert_config_file", "vocab_file", "output_dir"),
    leave_out=("task", "task_options"),
)
command_line.define_flags(options_of("squad"))
flags.adopt_module_key_flags(command_line)


def main(_: list[str]) -> None:
    for purpose, name in (("do_train", "train_file"), ("do_predict", "predict_file")):
        if flags.FLAGS[purpose].value and not flags.FLAGS[name].value:
            raise ValueError(f"--{purpose} needs --{name}.")
    settings = command_line.settings_from_flags(
        FinetuningSettings,
        task="squad",
        task_options=command_line.options_from_flags(options_of("squad")),
    )
    command_line.load_tensorflow()
    from bert_tf.finetuning.program import run_finetuning

    run_finetuning(settings, sys.stderr)


if __name__ == "__main__":
    command_line.run(main)
