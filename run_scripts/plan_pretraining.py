"""Says beforehand what a pre-training takes: days, memory, batch and records.

    python run_scripts/plan_pretraining.py --model=bert_base_uncased \\
        --hardware=a100 --num_chips=8 --mixed_precision=bfloat16 --train_batch_size=256 \\
        --phases=seq128:900000,seq512:100000 --corpus_words=3.3e9

Without flags: the paper's own run of BERT-Base, which took 4 days on 16 TPU chips. --list_hardware
lists what can be planned for, --hardware=cpu measures this machine's processor, --json prints a
machine-readable plan. docs/planning.md explains the plan and says how far it is to be trusted.

Takes a second.
"""

import json

import command_line
from absl import flags

from bert_tf.planning.plan import make_plan
from bert_tf.planning.report import hardware_lines, plan_json, plan_lines
from bert_tf.settings import PlanningSettings

FLAGS = flags.FLAGS
command_line.define_flags(PlanningSettings)
flags.DEFINE_bool("list_hardware", False, "Whether to list the hardware, and nothing else.")
flags.DEFINE_bool("json", False, "Whether to print the plan as JSON.")
flags.adopt_module_key_flags(command_line)


def main(_: list[str]) -> None:
    if FLAGS.list_hardware:
        print("\n".join(hardware_lines()))
        return
    plan = make_plan(command_line.settings_from_flags(PlanningSettings))
    print(json.dumps(plan_json(plan), indent=2) if FLAGS.json else "\n".join(plan_lines(plan)))


if __name__ == "__main__":
    command_line.run(main)
