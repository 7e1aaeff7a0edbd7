#!/usr/bin/env bash
# A compact model for a task, as Turc et al. 2019 made them: pre-trained, then distilled on unlabelled
# text of the task, then fine-tuned on its labels ("pre-trained distillation").
#
#   DATA=glue_data/SST-2 UNLABELLED=more_sentences.tsv OUTPUT=compact \
#       bash run_scripts/recipes/distill_compact.sh
#
# Data        the files of TASK (glue:sst-2), and UNLABELLED: text of its kind in the format of its
#             test file; by default the training file, whose labels are then ignored
# Published   GLUE's test score of the released compact models, pre-trained and fine-tuned: Tiny 64.2,
#             Mini 65.8, Small 71.2, Medium 73.5 (google-research/bert, README); the paper distils
#             between the two, on millions of sentences (figure 3)
# Time        BERT-Base as the teacher, on an accelerator of 10 TFLOP/s: 20 minutes for SST-2's
#             67,000 sentences; the student Mini takes a twentieth of it (planned, not measured)
#
# Given in the environment: TEACHER (bert_base_uncased, fine-tuned here first), STUDENT
# (bert_mini_uncased), TASK, LENGTH (64), EPOCHS (3), DISTILL_EPOCHS (10), PYTHON. Arguments go to
# finetune.py, for all models. Started again, it goes on.
set -euo pipefail
SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-3}
PYTHON=${PYTHON:-python}
OUTPUT=${OUTPUT:-distill_compact}
DATA=${DATA:?the folder of the task}

tune() { # tune NAME MODEL FLAGS...
  "$PYTHON" "$SCRIPTS/finetune.py" --task="${TASK:-glue:sst-2}" --data_dir="$DATA" --model="$2" \
    --output_dir="$OUTPUT/$1" --max_seq_length="${LENGTH:-64}" --keep_optimizer=false \
    --do_train --do_eval "${@:3}"
}

tune teacher "${TEACHER:-bert_base_uncased}" --learning_rate=2e-5 \
  --num_train_epochs="${EPOCHS:-3}" "$@"
tune distilled "${STUDENT:-bert_mini_uncased}" --teacher="$OUTPUT/teacher" --temperature=1 \
  --unlabelled_file="${UNLABELLED:-$DATA/train.tsv}" --learning_rate=3e-4 \
  --num_train_epochs="${DISTILL_EPOCHS:-10}" "$@"
tune tuned "$OUTPUT/distilled" --learning_rate=1e-4 --num_train_epochs="${EPOCHS:-3}" "$@"
