"""Pre-trains BERT on records of create_pretraining_data.py, and evaluates it.

    python run_scripts/run_pretraining.py --do_train --do_eval \\
        --input_file='/tmp/records/*.tfrecord' --eval_file='/tmp/held_out/*.tfrecord' \\
        --bert_config_file=bert_config.json --output_dir=/tmp/pretraining \\
        --num_train_steps=10000 --num_warmup_steps=1000 --learning_rate=1e-4

For the paper's run, with 128 tokens at first and 512 for the last tenth, replace --input_file,
--max_seq_length and --max_predictions_per_seq by:

    --phases='seq128:900000:/tmp/records_128/*.tfrecord,seq512:100000:/tmp/records_512/*.tfrecord'
    --train_batch_size=256 --learning_rate=1e-4 --num_warmup_steps=10000

--objective=masked_lm leaves out next-sentence prediction; --objective=masked_lm+span_boundary is
SpanBERT's; --objective=left_to_right trains a left-to-right language model (docs/objectives.md).
--teacher=bert_base_uncased trains a student to answer as a larger model does (docs/family.md).

To continue training a released model, give --model=bert_base_uncased instead of --bert_config_file
and --init_checkpoint.

The flags and their defaults are those of the original run_pretraining.py. Writes checkpoints
`model.ckpt-STEP`, `metrics.jsonl`, TensorBoard files and `eval_results.txt` to --output_dir. If the
run is stopped or killed, the same command resumes it from the newest checkpoint, and reaches the
same weights as without the interruption.

A model of 4 layers and hidden size 256 takes about one second per step of 32 x 128 tokens on two
CPU cores.
"""

import logging
import sys

import command_line
from absl import flags

from bert_tf.settings import PretrainingSettings
from bert_tf.settings.phases import check_sum_of_steps, parse_phases

command_line.define_model_flag()
command_line.define_flags(
    PretrainingSettings, required=("bert_config_file", "output_dir"), optional=("vocab_file",)
)
flags.adopt_module_key_flags(command_line)


def main(_: list[str]) -> None:
    settings = command_line.settings_from_flags(PretrainingSettings)
    if settings.phases and flags.FLAGS["num_train_steps"].present:
        check_sum_of_steps(parse_phases(settings.phases), settings.num_train_steps)
    is_default = settings.max_predictions_per_seq == PretrainingSettings.max_predictions_per_seq
    if settings.phases and flags.FLAGS["max_predictions_per_seq"].present and is_default:
        logging.warning(
            "--max_predictions_per_seq=%d is the default, and has no effect with --phases: as many "
            "tokens are masked as the records have room for, or 15 %% with dynamic masking. To set "
            "it for a phase, write seq128pred%d.",
            *(settings.max_predictions_per_seq, settings.max_predictions_per_seq),
        )
    command_line.load_tensorflow()
    from bert_tf.pretraining.run import run_pretraining

    run_pretraining(settings, sys.stderr)


if __name__ == "__main__":
    command_line.run(main)
