#!/usr/bin/env bash
# Semantic roles (PropBank) with the model of Shi and Lin (2019): CoNLL-2005, 2009, 2012, or
# Universal Propositions.
#
#   TRAIN=train.gold_conll DEV=development.gold_conll TEST=test.gold_conll OUTPUT=srl \
#       bash run_scripts/recipes/finetune_srl.sh
#
# Data        CoNLL-2005, CoNLL-2009 and OntoNotes are licensed (LDC). Universal Propositions:
#             https://github.com/UniversalPropositions/UP-1.0, merged with Universal Dependencies.
#             docs/semantic_roles.md describes the formats
# Published   test F1, BERT-Base / BERT-Large (Shi and Lin 2019): CoNLL-2005 WSJ 88.1 / 88.8, Brown
#             80.9 / 82.0; CoNLL-2012 86.2 / 86.5; CoNLL-2009 (senses and roles) WSJ 92.0 / 92.4,
#             Brown 85.1 / 85.7
# Time        2 hours for CoNLL-2012 and BERT-Base at 10 TFLOP/s (planned: 3e16 operations in the
#             encoder, and the LSTM's steps). Not run for this recipe, for lack of the data and a GPU
#
# From the paper: the model, its sizes and the learning rate; the batch size and epochs are ours.
# Several files are given as a quoted pattern: TRAIN='train/*.gold_conll'. MODEL is a released model
# or a folder (docs/models.md); other arguments go to finetune.py.
# predict_predictions.props is what srl-eval.pl takes; scores are in eval_results.txt.
set -euo pipefail

OPTIONS="train_file=${TRAIN:?files to train on},dev_file=${DEV:?files to evaluate}"
"${PYTHON:-python}" "$(dirname "${BASH_SOURCE[0]}")/../finetune.py" \
  --task=srl --task_options="$OPTIONS,test_file=${TEST:-$DEV}" \
  --model="${MODEL:-bert_base_cased}" --output_dir="${OUTPUT:-srl}" \
  --max_seq_length=128 --train_batch_size=32 --learning_rate=5e-5 --num_train_epochs=5 \
  --do_train --do_eval --do_predict "$@"
