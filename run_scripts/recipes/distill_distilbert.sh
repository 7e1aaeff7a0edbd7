#!/usr/bin/env bash
# A student of half of BERT-Base's layers, pre-trained as DistilBERT was: the teacher's probabilities
# and hidden states, and the masked LM. It remains a BERT, with token types and a pooler.
#
#   RECORDS='records/*.tfrecord' OUTPUT=student \
#       STEPS=1000000 bash run_scripts/recipes/distill_distilbert.sh
#
# Data        records of the teacher's vocabulary, made with --next_sentence=false --masking=dynamic
#             --mask_smoothing=0.7 (docs/family.md), so that rare tokens are masked more often;
#             DistilBERT's were English Wikipedia and the Toronto Book Corpus
# Published   GLUE's development sets, DistilBERT of 66 M weights: 77.0 (BERT-Base 79.5): CoLA 51.3,
#             MNLI 82.1, MRPC 87.5, QNLI 89.2, QQP 88.5, RTE 59.9, SST-2 91.3, STS-B 86.9, WNLI 56.3;
#             SQuAD 1.1 F1 86.9, with a second distillation (Sanh et al. 2019, tables 1 and 2)
# Time        90 hours on 8 V100 for their three epochs (published); not run for this recipe, for lack
#             of such a machine
#
# Given in the environment: TEACHER (bert_base_uncased), LAYERS (6), PYTHON. The batch of 250 is that
# of their example, 5 in 50 parts, as are Adam's settings; arguments go to run_pretraining.py.
set -euo pipefail
SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-3}
PYTHON=${PYTHON:-python}
OUTPUT=${OUTPUT:-distilled}
TEACHER=${TEACHER:-bert_base_uncased}
START=${OUTPUT%/}_start

[[ -e $START/bert_config.json ]] || "$PYTHON" "$SCRIPTS/convert_checkpoint.py" --from="$TEACHER" \
  --to=google --output_dir="$START" --num_layers="${LAYERS:-6}" --keep_optimizer=false --allow_missing
"$PYTHON" "$SCRIPTS/run_pretraining.py" --model="$START" --teacher="$TEACHER" \
  --input_file="${RECORDS:?the records to train on}" --output_dir="$OUTPUT" --do_train \
  --max_seq_length="${LENGTH:-128}" --max_predictions_per_seq="${PREDICTIONS:-20}" \
  --train_batch_size=250 --gradient_accumulation_steps=50 --learning_rate=5e-4 \
  --bias_correction --adam_beta_2=0.98 --weight_decay_rate=0 --clip_norm=5 \
  --num_train_steps="${STEPS:-300000}" --num_warmup_steps="${WARMUP:-15000}" "$@"
