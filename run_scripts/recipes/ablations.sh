#!/usr/bin/env bash
# The paper's ablations, on a corpus of one's own: what each part of BERT is worth (Devlin et al. 2019,
# tables 5, 6, 7 and 8, figure 5). Every row has the same text, steps and seeds.
#
#   CORPUS='text/*.txt.gz' VOCAB_FILE=vocab.txt GLUE=glue_data OUTPUT=ablations \
#       bash run_scripts/recipes/ablations.sh --small
#
#   objectives  table 5   BERT; no next-sentence prediction; left-to-right; the same under a BiLSTM
#   masking     table 8   six mixes of [MASK], unchanged and random tokens
#   sizes       table 6   layers, width, heads
#   steps       figure 5  a quarter, half and all of the steps
#   features    table 7   NER: fine-tuned, and six choices of frozen layers under a BiLSTM
#
# Given in the environment:
#
#   CORPUS       text, one sentence a line, a blank line between documents; HELD_OUT: other such
#                text, to evaluate on
#   VOCAB_FILE   a vocabulary; DO_LOWER_CASE (true)
#   GLUE         a folder with MNLI, QNLI, MRPC, SST-2: those that are there are fine-tuned on
#   SQUAD        a folder with train-v1.1.json and dev-v1.1.json, or their .gz; CONLL: one with
#                eng.train, eng.testa. Without them their columns stay empty
#   STUDIES      some of the names above, with commas (all); SEEDS ("1 2 3")
#   MODEL        for features: a pre-trained model, cased; by default the study's own `bert`
#   OUTPUT       the folder for everything (ablations); PYTHON, NUM_WORKERS, NUM_SHARDS (8)
#   STEPS, BATCH, LENGTH, WIDTH, LAYERS, HEADS, RATE, DROPOUT, EPOCHS (of fine-tuning) change the scale
#
# Without --small: BERT-Base, 1,000,000 steps of 256 x 128 tokens, the paper's size: 14 pre-trainings
# of several days on an accelerator for each seed. With it: 2 layers of width 128, 8,000 steps of
# 32 x 64 tokens, about eight minutes a pre-training on one core. So small a model learns to use the
# context only with few word pieces: learn_vocab.py --vocab_size=1000.
#
# Started again, it goes on. At the end, comparison.md, comparison.json and plots are beside the
# runs: our figures and the published ones (compare_with_paper.py).
set -euo pipefail
REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-3}
PYTHON=${PYTHON:-python}
OUTPUT=${OUTPUT:-ablations}
CORPUS=${CORPUS:?the text to pre-train on, for example CORPUS=\'text/*.txt.gz\'}
VOCAB_FILE=${VOCAB_FILE:?a vocabulary, for example VOCAB_FILE=vocab.txt}
HELD_OUT=${HELD_OUT:-}
DO_LOWER_CASE=${DO_LOWER_CASE:-true}
STUDIES=${STUDIES:-objectives,masking,sizes,steps,features}
SEEDS=${SEEDS:-1 2 3}
NUM_SHARDS=${NUM_SHARDS:-8}
NUM_WORKERS=${NUM_WORKERS:-$("$PYTHON" -c 'import os; print(os.cpu_count())')}
case ${1:-} in
  --small)
    : "${STEPS:=8000}" "${BATCH:=32}" "${LENGTH:=64}" "${WIDTH:=128}" "${LAYERS:=2}" "${HEADS:=2}"
    : "${RATE:=1e-3}" "${INIT:=0.05}" "${DROPOUT:=0.0}" "${FINETUNING_RATE:=2e-4}" "${EPOCHS:=3}"
    SIZES=("1 64 2" "2 64 1" "2 64 2" "2 128 2" "2 192 3" "4 192 3")
    ;;
  "")
    : "${STEPS:=1000000}" "${BATCH:=256}" "${LENGTH:=128}" "${WIDTH:=768}" "${LAYERS:=12}" "${HEADS:=12}"
    : "${RATE:=1e-4}" "${INIT:=0.02}" "${DROPOUT:=0.1}" "${FINETUNING_RATE:=3e-5}" "${EPOCHS:=3}"
    SIZES=("3 768 12" "6 768 3" "6 768 12" "12 768 12" "12 1024 16" "24 1024 16")
    ;;
  *) echo "Usage: ablations.sh [--small]" >&2; exit 2 ;;
esac
PREDICTIONS=(--max_predictions_per_seq=$((LENGTH * 15 / 100 + 1))) # 20 of 128, as in the original.

step() {
  printf '\n== %s\n' "$*"
}

run() { # run SCRIPT FLAGS...
  "$PYTHON" "$REPOSITORY/run_scripts/$1" "${@:2}"
}

wanted() {
  [[ ,$STUDIES, == *,$1,* ]]
}

of() { # of PART WHOLE-NUMBER: a part of it
  "$PYTHON" -c 'import sys; print(max(1, int(float(sys.argv[1]) * float(sys.argv[2]))))' "$1" "$2"
}

make_records() { # make_records NAME FLAGS...: for training and evaluation, made once
  run create_pretraining_data.py --input_file="$CORPUS" --output_dir="$OUTPUT/records/$1" \
    --vocab_file="$VOCAB_FILE" --do_lower_case="$DO_LOWER_CASE" --max_seq_length="$LENGTH" \
    --masking=dynamic --num_shards="$NUM_SHARDS" --num_workers="$NUM_WORKERS" \
    "${PREDICTIONS[@]}" "${@:2}"
  [[ ! $HELD_OUT ]] || run create_pretraining_data.py --input_file="$HELD_OUT" \
    --output_dir="$OUTPUT/records/${1}_held_out" --vocab_file="$VOCAB_FILE" \
    --do_lower_case="$DO_LOWER_CASE" --max_seq_length="$LENGTH" --dupe_factor=1 \
    "${PREDICTIONS[@]}" "${@:2}"
}

write_config() { # write_config FILE LAYERS WIDTH HEADS
  mkdir -p "$(dirname "$1")"
  cat >"$1" <<JSON
{
  "vocab_size": $("$PYTHON" -c 'import sys; print(len(open(sys.argv[1], "rb").read().splitlines()))' "$VOCAB_FILE"),
  "num_hidden_layers": $2,
  "hidden_size": $3,
  "num_attention_heads": $4,
  "intermediate_size": $((4 * $3)),
  "initializer_range": $INIT,
  "hidden_dropout_prob": $DROPOUT,
  "attention_probs_dropout_prob": $DROPOUT,
  "max_position_embeddings": 512,
  "type_vocab_size": 2
}
JSON
}

pretrain() { # pretrain ROW RECORDS OBJECTIVE STEPS LAYERS WIDTH HEADS
  local seed folder eval=()
  for seed in $SEEDS; do
    folder=$OUTPUT/runs/$1/seed-$seed/pretraining
    [[ ! -f $folder/done ]] || continue
    step "Pre-training: $1, seed $seed"
    [[ ! $HELD_OUT ]] || eval=(--do_eval --eval_file="$OUTPUT/records/${2}_held_out/*.tfrecord" --max_eval_steps=0)
    [[ -f $folder/config.json ]] || write_config "$folder/config.json" "$5" "$6" "$7"
    run run_pretraining.py --bert_config_file="$folder/config.json" --output_dir="$folder" \
      --input_file="$OUTPUT/records/$2/*.tfrecord" --objective="$3" --do_train \
      --max_seq_length="$LENGTH" --train_batch_size="$BATCH" --learning_rate="$RATE" \
      --num_train_steps="$4" --num_warmup_steps="$(of 0.05 "$4")" --seed="$seed" \
      --save_checkpoints_steps="$(of 0.25 "$4")" "${PREDICTIONS[@]}" "${eval[@]}"
    touch "$folder/done"
  done
}

finetune() { # finetune ROW PRETRAINED[@STEP] TASKS FLAGS...: of every seed; TASKS with spaces
  local seed task folder model
  for seed in $SEEDS; do
    folder=$OUTPUT/runs/${2%@*}/seed-$seed/pretraining
    model=(--bert_config_file="$folder/bert_config.json" --vocab_file="$VOCAB_FILE"
      --do_lower_case="$DO_LOWER_CASE" --init_checkpoint="$folder")
    [[ $2 != *@* ]] || model+=(--init_checkpoint="$folder/model.ckpt-${2#*@}")
    for task in $3; do
      finetune_once "$1" "$seed" "$task" "${model[@]}" "${@:4}"
    done
  done
}

finetune_once() { # finetune_once ROW SEED TASK FLAGS...
  local folder=$OUTPUT/runs/$1/seed-$2/$3 flags=()
  [[ ! -f $folder/done ]] || return 0
  step "Fine-tuning: $1, seed $2, $3"
  case $3 in
    squad) flags=(--task=squad --max_seq_length=384 --train_file="$(squad_file train-v1.1.json)"
      --predict_file="$(squad_file dev-v1.1.json)" --train_batch_size=16 --mask_padding) ;;
    ner*) flags=(--task=ner --data_dir="$CONLL" --max_seq_length=128 --train_batch_size=32) ;;
    *) flags=(--task="glue:$3" --data_dir="$(glue_folder "$3")" --max_seq_length=128
      --train_batch_size=32) ;;
  esac
  [[ $3 != ner_features ]] || flags+=(--feature_based=concat_last_four)
  run finetune.py --do_train --do_eval --keep_optimizer=false "${flags[@]}" "${@:4}" \
    --learning_rate="$FINETUNING_RATE" --num_train_epochs="$EPOCHS" --seed="$2" \
    --output_dir="$folder"
  rm -f "$folder"/model.ckpt-* # The figures are kept, not the weights.
  touch "$folder/done"
}

glue_folder() { # MNLI for mnli, as the server's zips are named
  echo "$GLUE/${1^^}"
}

squad_file() {
  local path=$SQUAD/$1
  [[ -f $path ]] && echo "$path" || echo "$path.gz"
}

there() { # there TASK...: those whose data is there
  local task found=()
  for task in "$@"; do
    case $task in
      squad) [[ ${SQUAD:-} && -f $(squad_file train-v1.1.json) ]] && found+=("$task") ;;
      ner | ner_features) [[ ${CONLL:-} && -d $CONLL ]] && found+=("$task") ;;
      *) [[ ${GLUE:-} ]] && compgen -G "$(glue_folder "$task")/*train*" >/dev/null && found+=("$task") ;;
    esac
  done
  echo "${found[@]:-}"
}


BERT=masked_lm+next_sentence # The paper's objective.
SHAPE="$LAYERS $WIDTH $HEADS"

make_records pairs
pretrain bert pairs $BERT "$STEPS" $SHAPE

if wanted objectives || wanted steps; then
  make_records segments --next_sentence=false
  pretrain left_to_right segments left_to_right "$STEPS" $SHAPE
fi

if wanted objectives; then
  pretrain no_nsp segments masked_lm "$STEPS" $SHAPE
  TASKS=$(there mnli qnli mrpc sst-2 squad)
  for row in bert no_nsp left_to_right; do
    finetune "$row" "$row" "$TASKS"
  done
  finetune left_to_right_bilstm left_to_right "$TASKS" --bilstm_layers=1
fi

if wanted masking; then
  TASKS=$(there mnli mrpc sst-2 ner ner_features)
  finetune bert bert "$TASKS"
  for mix in 100,0,0 80,0,20 80,20,0 0,20,80 0,0,100; do
    row=mix_${mix//,/_}
    make_records "$row" --masking_mix="$mix"
    pretrain "$row" "$row" $BERT "$STEPS" $SHAPE
    finetune "$row" "$row" "$TASKS"
  done
fi

if wanted sizes; then
  TASKS=$(there mnli mrpc sst-2)
  for number in 1 2 3 4 5 6; do
    pretrain "size_$number" pairs $BERT "$STEPS" ${SIZES[number - 1]}
    finetune "size_$number" "size_$number" "$TASKS"
  done
fi

if wanted steps; then
  TASKS=$(there mnli mrpc sst-2)
  for row in bert left_to_right; do
    finetune "$row" "$row" "$TASKS"
    for part in 1 2; do # Checkpoints are there at every quarter.
      finetune "${row}_${part}of4" "$row@$((part * (STEPS / 4)))" "$TASKS"
    done
  done
fi

if wanted features && [[ $(there ner) ]]; then
  choices="embeddings second_to_last last weighted_last_four concat_last_four weighted_all"
  for choice in "" $choices; do
    flags=(${choice:+--feature_based=$choice})
    for seed in $SEEDS; do
      if [[ ${MODEL:-} ]]; then
        finetune_once "${choice:-fine_tuned}" "$seed" ner --model="$MODEL" "${flags[@]}"
      else
        SEEDS=$seed finetune "${choice:-fine_tuned}" bert ner "${flags[@]}"
      fi
    done
  done
fi

step "Our figures and the paper's"
"$PYTHON" "$REPOSITORY/run_scripts/recipes/compare_with_paper.py" \
  --tables=table_5,table_6,table_7,table_8,figure_5 "$OUTPUT"
