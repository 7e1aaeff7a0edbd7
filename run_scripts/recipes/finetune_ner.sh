#!/usr/bin/env bash
# Named entities of CoNLL-2003 with BERT-Base, as in section 5.3 of the paper: fine-tuned, the best of
# five restarts and of the paper's grid of learning rates; or, with FEATURES, table 7's BiLSTM on a
# frozen encoder.
#
#   DATA=conll2003 OUTPUT=/data/ner bash run_scripts/recipes/finetune_ner.sh
#   DATA=conll2003 OUTPUT=/data/ner_features FEATURES=concat_last_four \
#       bash run_scripts/recipes/finetune_ner.sh
#
# Data        eng.train, eng.testa, eng.testb (14,041, 3,250 and 3,453 sentences), with -DOCSTART- lines:
#             https://www.clips.uantwerpen.be/conll2003/ner/; the texts are Reuters', for research
# Published   F1 on dev and test, means of five restarts (Devlin et al. 2019, table 7): fine-tuned 96.4
#             and 92.4; features, dev: embeddings 91.0, second_to_last 95.6, last 94.9,
#             weighted_last_four 95.9, concat_last_four 96.1, weighted_all 95.5. The
#             paper does not say how it used the document as context
# Time        estimated: 20 minutes a run on a V100, 15 runs; RESTARTS=1 RATES=5e-5 is one run
# Memory      6 GB for batches of 32, estimated
#
# MODEL is a released cased model's name or a folder. Other settings: LENGTH (of a window, with the
# sentences around), EPOCHS, BATCH, OPTIONS (such as crf=true); arguments go to finetune.py.
set -euo pipefail
PYTHON=${PYTHON:-python}
HERE=$(dirname "${BASH_SOURCE[0]}")
OPTIONS=${OPTIONS:-document_context=true}
RATES=${RATES:-5e-5,3e-5,2e-5} EPOCHS=${EPOCHS:-3}
if [[ ${FEATURES:-} ]]; then
  OPTIONS+=,feature_based=$FEATURES
  RATES=${FEATURE_RATES:-1e-3} EPOCHS=${FEATURE_EPOCHS:-20}
fi
"$PYTHON" "$HERE/../finetune.py" --task=ner --data_dir="$DATA" --task_options="$OPTIONS" \
  --model="${MODEL:-bert_base_cased}" --output_dir="$OUTPUT" --do_train --do_eval --do_predict \
  --max_seq_length="${LENGTH:-128}" --train_batch_size="${BATCH:-32}" --num_train_epochs="$EPOCHS" \
  --learning_rates="$RATES" --num_restarts="${RESTARTS:-5}" "$@"
