#!/usr/bin/env bash
# XQuAD (questions in 12 languages) and MLQA (7 languages), zero-shot from SQuAD 1.1 in English.
#
#   SQUAD=squad XQUAD=xquad MLQA=MLQA_V1 OUTPUT=squad_multilingual \
#       bash run_scripts/recipes/finetune_xquad.sh
#
# Data        train-v1.1.json and dev-v1.1.json of SQuAD in $SQUAD; xquad.*.json of
#             https://github.com/google-deepmind/xquad; MLQA_V1.zip of
#             https://github.com/facebookresearch/MLQA. For translate-train, set TRAIN_FILE to a
#             translation of SQuAD, such as those for MLQA
# Published   F1 of multilingual BERT, zero-shot. XQuAD (its README): en 83.5 ar 61.5 de 70.6 el
#             62.6 es 75.5 hi 59.2 ru 71.3 th 42.7 tr 55.4 vi 69.5 zh 58.0 ro 72.7, mean 65.2 (EM
#             50.3). MLQA (its README): en 77.7 es 64.3 de 57.9 ar 45.7 hi 43.8 vi 57.1 zh 57.5
# Time        60 minutes at 10 TFLOP/s (planned: 3.5e16 operations) and some to evaluate. Not run
#             for this recipe, for lack of a GPU
#
# MODEL is a released model or a folder (docs/models.md). OUTPUT/eval_*/eval_results_by_split.tsv
# has EM and F1 of each language. For MLQA's G-XLT, with passages and questions in two languages,
# set QUESTION_LANGUAGES=all.
set -euo pipefail

run() {
  "${PYTHON:-python}" "$(dirname "${BASH_SOURCE[0]}")/../finetune.py" \
    --model="${MODEL:-bert_base_multilingual_cased}" --output_dir="${OUTPUT:-squad_multilingual}" \
    --max_seq_length=384 --train_batch_size=32 --learning_rate=3e-5 --num_train_epochs=2 "$@"
}
train="train_file=${TRAIN_FILE:-${SQUAD:?the folder with train-v1.1.json}/train-v1.1.json}"
run --task=squad --task_options="$train,data_dir=$SQUAD,mask_padding=true" --do_train --do_eval
[ -z "${XQUAD:-}" ] ||
  run --task=xquad --task_options="data_dir=$XQUAD,mask_padding=true" --do_eval --do_predict
[ -z "${MLQA:-}" ] ||
  run --task=mlqa --do_eval --do_predict --task_options="data_dir=$MLQA,eval_set=test,$(
    echo "mask_padding=true,question_languages=${QUESTION_LANGUAGES:-same}"
  )"
