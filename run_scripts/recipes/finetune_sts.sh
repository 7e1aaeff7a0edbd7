#!/usr/bin/env bash
# Similarity of sentences (the STS benchmark): 5,749 pairs with a score from 0 to 5, 1,500 to
# evaluate. The result is an encoder of sentences: docs/similarity.md.
#
#   STS=glue_data/STS-B OUTPUT=sts bash run_scripts/recipes/finetune_sts.sh
#
# Data        GLUE's STS-B, or stsb-en-train.csv and stsb-en-dev.csv of
#             https://github.com/PhilipMay/stsb-multi-mt
# Published   Spearman 84.67 on the test set for BERT-Base with mean pooling, 10 seeds, trained on
#             this benchmark alone (Reimers and Gurevych 2019, table 2: SBERT-STSb-base); with the
#             settings below: 4 epochs, 2e-5, batches of 16
# Time        a minute for BERT-Base at 10 TFLOP/s (planned; not run for this recipe, for lack of a
#             GPU)
#
# MODEL is a released model or a folder (docs/models.md); other arguments go to finetune.py.
set -euo pipefail

"${PYTHON:-python}" "$(dirname "${BASH_SOURCE[0]}")/../finetune.py" \
  --task=sts --data_dir="${STS:?the folder with the files of the STS benchmark}" \
  --model="${MODEL:-bert_base_uncased}" --output_dir="${OUTPUT:-sts}" \
  --train_batch_size=16 --learning_rate=2e-5 --num_train_epochs=4 --do_train --do_eval "$@"
