"""Estimates what a pre-training run will take: days, memory, batch size and records.

    python run_scripts/plan_pretraining.py --model=bert_base_uncased \\
        --hardware=a100 --num_chips=8 --mixed_precision=bfloat16 --train_batch_size=256 \\
        --phases=seq128:900000,seq512:100000 --corpus_words=3.3e9

Without flags it plans the paper's run of BERT-Base, which took 4 days on 16 TPU chips.
--list_hardware lists the supported hardware, --hardware=cpu measures this machine's processor, and
--json prints the plan as JSON. docs/planning.md explains the plan and how accurate it is.
--batch_table prints the largest batches of fine-tuning, which docs/out_of_memory.md explains.

Takes a second.
"""

import json

import command_line
from absl import flags

from bert_tf.planning.batch_table import MODELS, batch_table
from bert_tf.planning.plan import make_plan
from bert_tf.planning.report import hardware_lines, plan_json, plan_lines
from bert_tf.released.models import find_released_model
from bert_tf.settings import PlanningSettings

FLAGS = flags.FLAGS
command_line.define_flags(PlanningSettings)
flags.DEFINE_bool("list_hardware", False, "List the supported hardware and exit.")
flags.DEFINE_bool("batch_table", False, "Print the largest batches of fine-tuning and exit.")
flags.DEFINE_bool("json", False, "Print the plan as JSON.")
flags.adopt_module_key_flags(command_line)


def main(_: list[str]) -> None:
    if FLAGS.list_hardware:
        print("\n".join(hardware_lines()))
        return
    if FLAGS.batch_table:
        models = [(name, find_released_model(name).config) for name in MODELS]
        print("\n".join(batch_table(models, FLAGS.memory_margin)))
        return
    plan = make_plan(command_line.settings_from_flags(PlanningSettings))
    print(json.dumps(plan_json(plan), indent=2) if FLAGS.json else "\n".join(plan_lines(plan)))


if __name__ == "__main__":
    command_line.run(main)
