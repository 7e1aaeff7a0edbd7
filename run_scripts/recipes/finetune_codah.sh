#!/usr/bin/env bash
# CODAH (2,776 questions written to deceive models, four choices each): cross-validation in 5 folds.
#
#   CODAH=CODAH/data OUTPUT=codah bash run_scripts/recipes/finetune_codah.sh
#
# Data        full_data.tsv of https://github.com/Websail-NU/CODAH/tree/master/data
# Published   Chen et al. 2019 (arXiv:1904.04365) give the accuracy of BERT-Large on their own folds;
#             these folds are others. Measured here, from MiniLM-L6's weights: 54.7 % on one fifth
#             (docs/multiple_choice.md)
# Time        23 minutes a fold for MiniLM-L6 on one core (measured); BERT-Base takes eight times as
#             many operations
#
# MODEL is a released model or a folder (docs/models.md); other arguments go to finetune.py.
# eval_results.txt has the mean of the folds and the standard deviation.
set -euo pipefail

"${PYTHON:-python}" "$(dirname "${BASH_SOURCE[0]}")/../finetune.py" \
  --task=codah --data_dir="${CODAH:?the folder with full_data.tsv}" \
  --model="${MODEL:-bert_base_uncased}" --output_dir="${OUTPUT:-codah}" --num_folds=5 \
  --max_seq_length=64 --train_batch_size=16 --learning_rate=5e-5 --num_train_epochs=3 \
  --do_train "$@"
