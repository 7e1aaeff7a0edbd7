#!/usr/bin/env bash
# XNLI (inference in 15 languages): zero-shot, translate-train or translate-test.
#
#   XNLI=xnli OUTPUT=xnli_model bash run_scripts/recipes/finetune_xnli.sh zero_shot
#   XNLI=xnli OUTPUT=xnli_de bash run_scripts/recipes/finetune_xnli.sh translate_train de
#   XNLI=xnli OUTPUT=xnli_model bash run_scripts/recipes/finetune_xnli.sh translate_test
#
# Data        XNLI-1.0.zip and XNLI-MT-1.0.zip of https://github.com/facebookresearch/XNLI, unpacked
#             into one folder: xnli.dev.tsv, xnli.test.tsv, multinli/, xnli/ (translated to English)
# Published   accuracy on the test set, in en, zh, es, de, ar, ur (multilingual.md of
#             google-research/bert, with the settings below):
#               translate-train, cased      81.9 76.6 77.8 75.9 70.7 61.6
#               translate-train, uncased    81.4 74.2 77.3 75.2 70.5 61.7
#               translate-test, uncased     81.4 70.1 74.9 74.4 70.4 62.1
#               zero-shot, uncased          81.4 63.8 74.3 70.5 62.1 58.3
# Time        90 minutes at 10 TFLOP/s (planned: 5.2e16 operations), and 5 to evaluate in all
#             languages. Not run for this recipe, for lack of the data and a GPU
#
# MODEL is a released model or a folder (docs/models.md); arguments after the first one or two go to
# finetune.py. Zero-shot and translate-test share a model: it is trained once.
# OUTPUT/eval_xnli-*/eval_results_by_split.tsv has the accuracy of each language on the test set.
set -euo pipefail

mode="${1:?zero_shot, translate_train LANGUAGE or translate_test}"
shift
options=language=en,eval_languages=all
case "$mode" in
  zero_shot) ;;
  translate_test) options+=,translated=true ;;
  translate_train)
    options="language=${1:?the language to train on and evaluate}"
    shift
    ;;
  *) echo "zero_shot, translate_train or translate_test. Received: $mode" >&2 && exit 2 ;;
esac
run() {
  "${PYTHON:-python}" "$(dirname "${BASH_SOURCE[0]}")/../finetune.py" \
    --task=xnli --data_dir="${XNLI:?the folder with xnli.dev.tsv and multinli/}" \
    --model="${MODEL:-bert_base_multilingual_cased}" --output_dir="${OUTPUT:-xnli_model}" \
    --max_seq_length=128 --train_batch_size=32 --learning_rate=5e-5 --num_train_epochs=2 "$@"
}
trained_with="language=en"
[ "$mode" != translate_train ] || trained_with="$options"
run --task_options="$trained_with" --do_train --do_eval "$@"
run --task_options="$options,eval_set=test" --do_eval --do_predict "$@"
