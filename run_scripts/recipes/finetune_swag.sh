#!/usr/bin/env bash
# SWAG (what happens next): 73,546 questions with four choices to train on, 20,006 to evaluate.
#
#   SWAG=swagaf/data OUTPUT=swag bash run_scripts/recipes/finetune_swag.sh
#
# Data        train.csv, val.csv and test.csv of https://github.com/rowanz/swagaf/tree/master/data
# Published   accuracy on val.csv: BERT-Base 81.6, BERT-Large 86.6; on the test set 86.3 (Large).
#             Devlin et al. 2019, table 4, with the settings below: 3 epochs, 2e-5, batches of 16
# Time        75 minutes for BERT-Base at 10 TFLOP/s (planned: 4.5e16 operations). Not run for this
#             recipe, for lack of the data and a GPU
#
# MODEL is a released model or a folder (docs/models.md); other arguments go to finetune.py.
# submission/swag.csv has the answers to test.csv: the number of the row, and of the ending.
set -euo pipefail

"${PYTHON:-python}" "$(dirname "${BASH_SOURCE[0]}")/../finetune.py" \
  --task=swag --data_dir="${SWAG:?the folder with train.csv, val.csv and test.csv}" \
  --model="${MODEL:-bert_base_uncased}" --output_dir="${OUTPUT:-swag}" \
  --max_seq_length=80 --train_batch_size=16 --learning_rate=2e-5 --num_train_epochs=3 \
  --do_train --do_eval --do_predict "$@"
