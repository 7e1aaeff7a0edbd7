"""Pre-trains BERT on records of create_pretraining_data.py, and evaluates it.

    python run_scripts/run_pretraining.py --do_train --do_eval \\
        --input_file=/tmp/records/*.tfrecord --eval_file=/tmp/held_out/*.tfrecord \\
        --bert_config_file=bert_config.json --output_dir=/tmp/pretraining \\
        --num_train_steps=10000 --num_warmup_steps=1000 --learning_rate=1e-4

The paper's run, 128 tokens at first and 512 for the last tenth, with one learning rate:

    --phases='seq128:900000:/tmp/records_128/*.tfrecord,seq512:100000:/tmp/records_512/*.tfrecord'
    --train_batch_size=256 --learning_rate=1e-4 --num_warmup_steps=10000

in place of --input_file, --max_seq_length and --max_predictions_per_seq.

More training of a released model: --model=bert_base_uncased in place of --bert_config_file and
--init_checkpoint.

Takes the flags of the original's run_pretraining.py with the same defaults. Checkpoints
`model.ckpt-STEP`, `metrics.jsonl`, TensorBoard's files and `eval_results.txt` lie in --output_dir.
Killed or stopped, the same command goes on from the newest checkpoint, to the same weights.

A 4-layer, 256-wide model takes about one second a step of 32 x 128 tokens on two CPU cores.
"""

import logging
import sys

import command_line
from absl import flags

from bert_tf.settings import PretrainingSettings
from bert_tf.settings.phases import check_sum_of_steps, parse_phases

command_line.define_model_flag()
command_line.define_flags(PretrainingSettings, required=("bert_config_file", "output_dir"))
flags.adopt_module_key_flags(command_line)


def main(_: list[str]) -> None:
    settings = command_line.settings_from_flags(PretrainingSettings)
    if settings.phases and flags.FLAGS["num_train_steps"].present:
        check_sum_of_steps(parse_phases(settings.phases), settings.num_train_steps)
    is_default = settings.max_predictions_per_seq == PretrainingSettings.max_predictions_per_seq
    if settings.phases and flags.FLAGS["max_predictions_per_seq"].present and is_default:
        logging.warning(
            "--max_predictions_per_seq=%d is the default, and says nothing beside --phases: as "
            "many tokens are hidden as the records have room for, 15 %% by dynamic masks. To say "
            "it for a phase, write seq128pred%d.",
            *(settings.max_predictions_per_seq, settings.max_predictions_per_seq),
        )
    command_line.load_tensorflow()
    from bert_tf.pretraining.run import run_pretraining

    run_pretraining(settings, sys.stderr)


if __name__ == "__main__":
    command_line.run(main)
