#!/usr/bin/env bash
# Coreference on OntoNotes (CoNLL-2012), with speakers, genres and coarse-to-fine antecedents.
#
#   ONTONOTES=conll-2012 OUTPUT=coref bash run_scripts/recipes/finetune_coref.sh
#
# Data        OntoNotes 5.0 of the Linguistic Data Consortium (LDC2013T19), as the scripts of
#             CoNLL-2012 write it, in $ONTONOTES: train.english.v4_gold_conll, dev.... and test....
#             For LitBank, which is free (https://github.com/dbamman/litbank, coref/conll), give the
#             files: TRAIN_FILE, DEV_FILE, TEST_FILE, patterns with commas between them
# Published   mean F1 of MUC, B3 and CEAFe on the test set (README of mandarjoshi90/coref, with the
#             settings below): BERT-Base 73.9, BERT-Large 76.9, SpanBERT-Base 77.7
# Time        the original names no time. 2,802 documents of up to 11 segments of 128 tokens, 20
#             times: an estimated 4 hours on one GPU for BERT-Base. Not run for this recipe, for
#             lack of the data and a GPU; docs/coreference.md has figures on LitBank
#
# MODEL is a released model or a folder (docs/models.md); arguments go to finetune.py.
# OUTPUT/eval_results.txt has the metrics with and without entities of one mention (OntoNotes has
# none), OUTPUT/predictions.conll what the official scorer reads.
set -euo pipefail

if [ -n "${TRAIN_FILE:-}" ]; then
  data="train_file=$TRAIN_FILE,dev_file=${DEV_FILE:?},test_file=${TEST_FILE:-$DEV_FILE}"
else
  data="data_dir=${ONTONOTES:?the folder with train*conll, dev*conll and test*conll}"
fi
"${PYTHON:-python}" "$(dirname "${BASH_SOURCE[0]}")/../finetune.py" \
  --task=coref --task_options="$data,max_span_width=30,ffnn_size=3000,max_training_segments=11" \
  --model="${MODEL:-bert_base_cased}" --output_dir="${OUTPUT:-coref}" \
  --do_train --do_eval --do_predict --max_seq_length=128 --train_batch_size=1 \
  --eval_batch_size=1 --predict_batch_size=1 --num_train_epochs=20 \
  --learning_rate=1e-5 --head_learning_rate=2e-4 "$@"
