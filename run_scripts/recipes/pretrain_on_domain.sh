#!/usr/bin/env bash
# A released model, pre-trained further on text of a domain, as BioBERT, LegalBERT and FinBERT were;
# with its own vocabulary, or with new words. A table has its losses on both domains, before and after.
#
#   TEXT='papers/*.txt.gz' HELD_OUT=held_out.txt GENERAL=general.txt OUTPUT=domain_bert \
#       bash run_scripts/recipes/pretrain_on_domain.sh
#
#   1 start     convert_checkpoint.py: the model, with any new words
#   2 records   create_pretraining_data.py: to train on, and of both domains to evaluate on
#   3 before    run_pretraining.py --do_eval, on both
#   4 training  run_pretraining.py
#   5 after     run_pretraining.py --do_eval, on both; domain_report.py writes results.md
#
# Data        text of the domain, one sentence a line, a blank line between documents; BioBERT's
#             were 18 billion words of abstracts and articles, LegalBERT's 12 GB of laws and contracts
# Published   BioBERT over the best models before it: entities F1 + 0.62, relations F1 + 2.80,
#             answers MRR + 12.24 (Lee et al. 2020, abstract); BERT-Base was about level with those
# Time        100,000 steps of 256 x 128 tokens of BERT-Base: 4.4 hours on an A100 in bfloat16
#             (planned by plan_pretraining.py, not measured), without records and evaluations
# Quality     masked_lm_loss falls on the domain and may rise on general text: docs/domains.md
#
# Given in the environment:
#
#   TEXT, HELD_OUT  text of the domain: to train on, and other such text to evaluate on
#   GENERAL         text as the model was trained on before, to see what it forgets (none)
#   OUTPUT          the folder for everything (domain)
#   MODEL           a released model's name or a folder (bert_base_uncased)
#   NEW_WORDS       a file of words, one a line, that get [unused] rows, see docs/domains.md
#   APPEND_WORDS    1: words beyond the [unused] rows get rows at the end
#   NEW_VOCAB       a vocabulary in place of the model's, in the same case
#   OBJECTIVE       masked_lm+next_sentence, or masked_lm, which DistilBERT needs
#   STEPS, WARMUP, BATCH, RATE, LENGTH, PREDICTIONS   the scale (100000, 1000, 256, 2e-5, 128, 20)
#   NUM_WORKERS, NUM_SHARDS (8), PYTHON
#
# Arguments go to run_pretraining.py, for training. Started again, it goes on.
set -euo pipefail
SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-3}
PYTHON=${PYTHON:-python}
OUTPUT=${OUTPUT:-domain}
TEXT=${TEXT:?text of the domain, for example TEXT=\'papers/*.txt.gz\'}
HELD_OUT=${HELD_OUT:?other text of the domain, to evaluate on}
OBJECTIVE=${OBJECTIVE:-masked_lm+next_sentence}
LENGTH=${LENGTH:-128}
PREDICTIONS=${PREDICTIONS:-20}
START=$OUTPUT/start

step() {
  printf '\n== %s\n' "$*"
}

records() { # records NAME TEXT FLAGS...
  local next_sentence=true
  [[ $OBJECTIVE == *next_sentence ]] || next_sentence=false
  "$PYTHON" "$SCRIPTS/create_pretraining_data.py" --model="$START" --input_file="$2" \
    --output_dir="$OUTPUT/records/$1" --max_seq_length="$LENGTH" \
    --max_predictions_per_seq="$PREDICTIONS" --next_sentence="$next_sentence" "${@:3}"
}

pretrain() { # pretrain FOLDER FLAGS...
  "$PYTHON" "$SCRIPTS/run_pretraining.py" --output_dir="$OUTPUT/$1" --objective="$OBJECTIVE" \
    --max_seq_length="$LENGTH" --max_predictions_per_seq="$PREDICTIONS" "${@:2}"
}

evaluate() { # evaluate WHEN MODEL: on each domain, unless it is done
  local domain
  for domain in $DOMAINS; do
    [[ -e $OUTPUT/$1_$domain/eval_results.txt ]] || pretrain "$1_$domain" --model="$2" --do_eval \
      --input_file="$OUTPUT/records/held_out_$domain/*.tfrecord" \
      --eval_file="$OUTPUT/records/held_out_$domain/*.tfrecord" --max_eval_steps=0
  done
}

step "1/5 The model to start from"
words=()
[[ ! ${NEW_WORDS:-} ]] || words+=(--new_words="$NEW_WORDS")
[[ ! ${APPEND_WORDS:-} ]] || words+=(--append_words)
[[ ! ${NEW_VOCAB:-} ]] || words+=(--new_vocab="$NEW_VOCAB")
[[ -e $START/bert_config.json ]] || "$PYTHON" "$SCRIPTS/convert_checkpoint.py" \
  --from="${MODEL:-bert_base_uncased}" --to=google --output_dir="$START" --keep_optimizer=false \
  ${words[@]+"${words[@]}"}

step "2/5 The records"
DOMAINS=domain
records train "$TEXT" --masking=dynamic --num_shards="${NUM_SHARDS:-8}" \
  --num_workers="${NUM_WORKERS:-1}"
records held_out_domain "$HELD_OUT" --dupe_factor=1
if [[ ${GENERAL:-} ]]; then
  DOMAINS="domain general"
  records held_out_general "$GENERAL" --dupe_factor=1
fi

step "3/5 Before: $DOMAINS"
evaluate before "$START"

step "4/5 Training"
pretrain model --model="$START" --do_train --input_file="$OUTPUT/records/train/*.tfrecord" \
  --train_batch_size="${BATCH:-256}" --learning_rate="${RATE:-2e-5}" \
  --num_train_steps="${STEPS:-100000}" --num_warmup_steps="${WARMUP:-1000}" "$@"

step "5/5 After: $DOMAINS"
evaluate after "$OUTPUT/model"
"$PYTHON" "$SCRIPTS/recipes/domain_report.py" "$OUTPUT"
