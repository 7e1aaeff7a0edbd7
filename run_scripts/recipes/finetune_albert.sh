#!/usr/bin/env bash
# SQuAD 1.1 with ALBERT: questions on Wikipedia's articles, answered by a span of the text.
#
#   SQUAD=squad OUTPUT=squad_albert bash run_scripts/recipes/finetune_albert.sh
#
# Data        train-v1.1.json and dev-v1.1.json of rajpurkar.github.io/SQuAD-explorer
# Published   F1/EM on dev-v1.1.json, README of google-research/albert: albert_base_v2 90.2/83.2,
#             albert_large_v2 91.8/85.2, albert_xlarge_v2 92.9/86.4, albert_xxlarge_v2 94.6/89.1
# Time        as of a BERT of the same shape, see plan_pretraining.py. Not run, for lack of the
#             released models and a GPU
#
# MODEL is a released model or a folder (docs/family.md); other arguments go to finetune.py. The
# settings are those of the original's README: 2 epochs, 5e-5, batches of 48.
set -euo pipefail

"${PYTHON:-python}" "$(dirname "${BASH_SOURCE[0]}")/../finetune.py" \
  --task=squad --data_dir="${SQUAD:?the folder with train-v1.1.json and dev-v1.1.json}" \
  --model="${MODEL:-albert_base_v2}" --output_dir="${OUTPUT:-squad_albert}" \
  --max_seq_length=384 --train_batch_size=48 --learning_rate=5e-5 --num_train_epochs=2 \
  --do_train --do_eval "$@"
