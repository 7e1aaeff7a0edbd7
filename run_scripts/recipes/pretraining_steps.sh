# Sourced by the pretrain_*.sh recipes, which set SIZE (mini, medium, base, large) and
# DEVICE_FLAGS, may change the paper's settings by a function own_settings, and say what is to be
# expected. SHORT= leaves out the first of the two lengths. From a corpus to a checkpoint:
#
#   1 corpus      prepare_corpus.py: one sentence a line, and some documents held out
#   2 vocabulary  learn_vocab.py, or that of $VOCAB_FILE
#   3 records     create_pretraining_data.py: of both lengths, to train and to evaluate on
#   4 training    run_pretraining.py: both lengths in one run
#
# Given in the environment:
#
#   CORPUS        files that prepare_corpus.py reads, with commas between them
#                 (enwiki-*.xml.bz2,books/*.txt)
#   OUTPUT        the folder for all of this; gs://... for a TPU that is not this machine's. All
#                 hosts must see it under this name
#   TEXT          a folder on this machine for corpus and vocabulary ($OUTPUT/text, where that is
#                 one)
#   VOCAB_FILE    a vocabulary, in place of one that is learned from the corpus
#   NUM_WORKERS   processes that prepare the data (all cores)
#   NUM_SHARDS    record files of each length (1000)
#   MASKING       static, as in the paper (10 passes over the text, on disk), or dynamic (a tenth of
#                 the bytes)
#   TRAIN_FLAGS   more flags for run_pretraining.py (--gradient_accumulation_steps=2)
#   PYTHON        the Python with this package, tokenizers, mwparserfromhell and sentencex
#
# Started again, it goes on: what is finished is not made twice, and training goes on from its
# newest checkpoint. With DRYRUN=1 everything is a thousandth as long, on a small model and short
# sequences.
set -euo pipefail
CALLED_FROM=$PWD
REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

export TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-3}
PYTHON=${PYTHON:-python}
CORPUS=${CORPUS:?the files of the corpus, for example CORPUS=enwiki-latest-pages-articles.xml.bz2}
OUTPUT=${OUTPUT:-$CALLED_FROM/pretrain_$SIZE}
TEXT=${TEXT:-$([[ $OUTPUT == *://* ]] && echo "$CALLED_FROM/pretrain_${SIZE}_text" || echo "$OUTPUT/text")}
NUM_WORKERS=${NUM_WORKERS:-$("$PYTHON" -c 'import os; print(os.cpu_count())')}
NUM_SHARDS=${NUM_SHARDS:-1000}
MASKING=${MASKING:-static}
TASK_INDEX=${TASK_INDEX:-0}

# The paper's: 256 sequences a step, the first 90 % of the steps on 128 tokens.
SHORT=128 SHORT_PREDICTIONS=20 SHORT_STEPS=900000
LONG=512 LONG_PREDICTIONS=77 LONG_STEPS=100000
BATCH=256 RATE=1e-4 WARMUP=10000 VOCAB_SIZE=30522 HELD_OUT=0.001 DUPE_FACTOR=10
SAVE_STEPS=5000 EVAL_STEPS=50000 LOG_STEPS=100
INIT=0.02 DROPOUT=0.1 ACT=gelu LOWER_CASE=True OBJECTIVE=masked_lm+next_sentence RECORD_FLAGS=
POSITIONS= MORE_CONFIG= # Positions of the model, if more than LONG; more keys of its configuration.
VOCAB_NAME=vocab.txt TYPES=2 # tokenizer.json: byte-level BPE.
case $SIZE in
  mini) WIDTH=256 LAYERS=4 HEADS=4 ;;
  medium) WIDTH=512 LAYERS=8 HEADS=8 ;;
  base) WIDTH=768 LAYERS=12 HEADS=12 ;;
  large) WIDTH=1024 LAYERS=24 HEADS=16 ;;
esac
if declare -F own_settings >/dev/null; then own_settings; fi
if [[ ${DRYRUN:-} ]]; then
  LONG=64 LONG_PREDICTIONS=10 LONG_STEPS=$((1000000 / DRYRUN_PART))
  [[ ! $SHORT ]] || SHORT=32 SHORT_PREDICTIONS=5 SHORT_STEPS=$((900000 / DRYRUN_PART)) \
    LONG_STEPS=$((100000 / DRYRUN_PART))
  BATCH=16 RATE=2e-3 WARMUP=$((10000 / DRYRUN_PART)) VOCAB_SIZE=2000 HELD_OUT=0.02 DUPE_FACTOR=1
  SAVE_STEPS=$((400000 / DRYRUN_PART)) EVAL_STEPS=$((500000 / DRYRUN_PART)) LOG_STEPS=10
  NUM_SHARDS=2
  WIDTH=32 LAYERS=$(((LAYERS + 5) / 6)) HEADS=2
fi

step() {
  printf '\n== %s\n' "$*"
}

run() { # run SCRIPT FLAGS...
  "$PYTHON" "$REPOSITORY/run_scripts/$1" "${@:2}"
}

there() {
  "$PYTHON" -c 'import sys; from bert_tf import files; sys.exit(not files.exists(sys.argv[1]))' "$1"
}

put() { # put FILE: what comes in is written there, whole or not at all
  "$PYTHON" -c '
import sys
from bert_tf import files
with files.atomic_write(sys.argv[1], "w") as file:
    file.write(sys.stdin.read())' "$1"
}

vocabulary_size() {
  "$PYTHON" -c '
import sys
from bert_tf.text.tokenizer import load_tokenizer
print(load_tokenizer(sys.argv[1], do_lower_case=sys.argv[2] == "True").vocab_size)' \
    "$VOCAB_FILE" "$LOWER_CASE"
}

# shellcheck disable=SC2086  # RECORD_FLAGS is a list of flags.
make_records() { # make_records NAME TEXT LENGTH NUM_SHARDS FLAGS..., the latter of masks
  local masks=("${@:5}")
  [[ $OBJECTIVE != replaced_tokens ]] || masks=() # Its records have none.
  run create_pretraining_data.py \
    --input_file="$2" --output_dir="$OUTPUT/records/$1" --vocab_file="$VOCAB_FILE" \
    --max_seq_length="$3" --num_shards="$4" --num_workers="$NUM_WORKERS" \
    --do_lower_case="$LOWER_CASE" $RECORD_FLAGS "${masks[@]}"
}

make_data() {
  step "1/4 The corpus"
  run prepare_corpus.py --input_file="$CORPUS" --output_dir="$TEXT/corpus" \
    --num_shards="$NUM_SHARDS" --num_workers="$NUM_WORKERS" --held_out_share="$HELD_OUT"

  step "2/4 The vocabulary"
  if [[ ! ${VOCAB_FILE:-} ]]; then
    VOCAB_FILE=$TEXT/$VOCAB_NAME
    there "$VOCAB_FILE" || run learn_vocab.py --input_file="$TEXT/corpus/corpus-*.txt" \
      --output_file="$VOCAB_FILE" --vocab_size="$VOCAB_SIZE" --do_lower_case="$LOWER_CASE"
  fi

  step "3/4 The records"
  local dupe=() length predictions
  [[ $MASKING == dynamic ]] || dupe=(--dupe_factor="$DUPE_FACTOR")
  for length in $SHORT "$LONG"; do
    predictions=$SHORT_PREDICTIONS
    [[ $length == "$SHORT" ]] || predictions=$LONG_PREDICTIONS
    make_records "train_$length" "$TEXT/corpus/corpus-*.txt" "$length" "$NUM_SHARDS" \
      --max_predictions_per_seq="$predictions" --masking="$MASKING" "${dupe[@]}"
    make_records "held_out_$length" "$TEXT/corpus/held_out.txt" "$length" 1 \
      --max_predictions_per_seq="$predictions" --dupe_factor=1
  done

  put "$OUTPUT/bert_config.json" <<JSON
{
  $MORE_CONFIG
  "vocab_size": $(vocabulary_size),
  "hidden_size": $WIDTH,
  "num_hidden_layers": $LAYERS,
  "num_attention_heads": $HEADS,
  "intermediate_size": $((4 * WIDTH)),
  "hidden_act": "$ACT",
  "hidden_dropout_prob": $DROPOUT,
  "attention_probs_dropout_prob": $DROPOUT,
  "initializer_range": $INIT,
  "max_position_embeddings": ${POSITIONS:-$LONG},
  "type_vocab_size": $TYPES
}
JSON
  "$PYTHON" -c '
import sys
from bert_tf import files
files.copy_vocabulary(*sys.argv[1:])' "$VOCAB_FILE" "$OUTPUT"
  echo "made" | put "$OUTPUT/data_is_made"
}

# One host makes the data, the others wait for it.
if [[ $TASK_INDEX == 0 ]]; then
  there "$OUTPUT/data_is_made" || make_data
else
  step "Waiting for $OUTPUT/data_is_made, which the host with TASK_INDEX=0 makes"
  until there "$OUTPUT/data_is_made"; do sleep 5; done
fi

records() { # records NAME LENGTH
  echo "$OUTPUT/records/$1_$2/*.tfrecord"
}
PHASES="seq${LONG}pred$LONG_PREDICTIONS:$LONG_STEPS:$(records train "$LONG")"
EVAL_FILE="seq$LONG:$(records held_out "$LONG")"
STEPS="$LONG_STEPS steps of $LONG tokens" RESULTS=("$OUTPUT/model/eval_results.txt")
if [[ $SHORT ]]; then
  PHASES="seq${SHORT}pred$SHORT_PREDICTIONS:$SHORT_STEPS:$(records train "$SHORT"),$PHASES"
  EVAL_FILE="seq$SHORT:$(records held_out "$SHORT"),$EVAL_FILE"
  STEPS="$SHORT_STEPS steps of $SHORT tokens, $LONG_STEPS of $LONG"
  RESULTS=("$OUTPUT/model/phase_1_seq$SHORT/eval_results.txt"
    "$OUTPUT/model/phase_2_seq$LONG/eval_results.txt")
fi

step "4/4 Training: $STEPS"
# shellcheck disable=SC2086  # Both are lists of flags.
run run_pretraining.py \
  --bert_config_file="$OUTPUT/bert_config.json" \
  --output_dir="$OUTPUT/model" \
  --objective="$OBJECTIVE" \
  --phases="$PHASES" \
  --eval_file="$EVAL_FILE" \
  --do_train --do_eval \
  --train_batch_size="$BATCH" --learning_rate="$RATE" --num_warmup_steps="$WARMUP" \
  --save_checkpoints_steps="$SAVE_STEPS" --eval_steps="$EVAL_STEPS" --log_steps="$LOG_STEPS" \
  --eval_batch_size="$BATCH" --max_eval_steps=0 \
  $DEVICE_FLAGS ${TRAIN_FLAGS:-}

if [[ $TASK_INDEX == 0 ]]; then
  step "Done: $OUTPUT/model. On text it has not seen, at the end of each length:"
  "$PYTHON" -c '
import sys
from bert_tf import files
for name in sys.argv[1:]:
    with files.open_file(name, "r") as file:
        print(file.read())' "${RESULTS[@]}"
fi
