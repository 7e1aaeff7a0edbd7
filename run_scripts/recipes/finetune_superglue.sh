#!/usr/bin/env bash
# SuperGLUE (boolq, cb, copa, multirc, record, rte, wic, wsc, axb, axg): one task or all ten.
#
#   SUPERGLUE=superglue OUTPUT=superglue_models bash run_scripts/recipes/finetune_superglue.sh
#
# Data        combined.zip of https://super.gluebenchmark.com/tasks, with the folders BoolQ, CB, ...
# Published   BERT-Large on the test sets (not "BERT++"): boolq 77.4, cb F1
#             75.7 and accuracy 83.6, copa 70.6, multirc F1a 70.0 and EM 24.1, record F1 72.0 and EM
#             71.3, rte 71.7, wic 69.6, wsc 64.4, mean 69.0; axb 23.0, axg parity 97.8, accuracy
#             51.7 (Wang et al. 2019, table 3, as on https://super.gluebenchmark.com). Wic and wsc
#             have heads of their own there: see docs/superglue.md
# Time        for BERT-Base at 10 TFLOP/s: a minute for cb, copa and wsc, 10 for wic and rte, 30 for
#             boolq, 4 hours for multirc, days for record (planned; not run for this recipe, for
#             lack of the data and a GPU)
#
# TASKS are those to fine-tune, MODEL is a released model or a folder (docs/models.md); arguments go
# to finetune.py. Each task's file for the server is in OUTPUT/TASK/submission/.
set -euo pipefail

output="${OUTPUT:-superglue_models}"
for task in ${TASKS:-boolq cb copa multirc rte wic wsc record}; do
  "${PYTHON:-python}" "$(dirname "${BASH_SOURCE[0]}")/../finetune.py" \
    --task="superglue:$task" --data_dir="${SUPERGLUE:?the folder with BoolQ, CB, ...}" \
    --model="${MODEL:-bert_base_cased}" --output_dir="$output/$task" \
    --train_batch_size=16 --learning_rate=2e-5 --num_train_epochs=5 --early_stopping_patience=3 \
    --eval_steps=500 --do_train --do_eval --do_predict "$@"
  if [ "$task" = rte ]; then # The diagnostic sets are for this model.
    for diagnostic in axb axg; do
      "${PYTHON:-python}" "$(dirname "${BASH_SOURCE[0]}")/../finetune.py" \
        --task="superglue:$diagnostic" --data_dir="$SUPERGLUE" \
        --model="${MODEL:-bert_base_cased}" --output_dir="$output/rte" --do_eval --do_predict
    done
  fi
done
