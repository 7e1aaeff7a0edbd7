#!/usr/bin/env bash
# From nothing to a pre-trained, evaluated BERT: about ten minutes on two cores, after the download.
#
#   bash run_scripts/quickstart.sh
#
# makes a virtual environment (.venv), a corpus from the English documentation inside the Python
# packages installed there, a vocabulary, pre-training records, and a small BERT; evaluates it on
# documents it has not seen, and fills masked sentences in with it.
#
#   QUICKSTART_DIR=/some/folder    where all of this is written (quickstart_output)
#   QUICKSTART_STEPS=20            trains so many steps only
#
# Run again, it goes on: what is finished is not made twice.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup_environment.sh"

DEFAULT_STEPS=4000
STEPS=${QUICKSTART_STEPS:-$DEFAULT_STEPS}
if [[ ! $STEPS =~ ^[1-9][0-9]*$ ]]; then
  echo "QUICKSTART_STEPS must be a whole number above 0. Received: $STEPS" >&2
  exit 1
fi
OUTPUT=quickstart_output
[[ -z ${QUICKSTART_DIR:-} ]] || OUTPUT=$(cd "$CALLED_FROM" && absolute "$QUICKSTART_DIR")
MODEL=$OUTPUT/model
# The learning rate depends on how long training is to be: another length is another model.
[[ $STEPS == "$DEFAULT_STEPS" ]] || MODEL=$OUTPUT/model_$STEPS

SENTENCES=(
  "Returns the [MASK] of the input tensor."
  "Returns a [MASK] of strings."
  "The values must have the same [MASK] as the input."
  "Raises an error if the [MASK] does not exist."
  "This function is [MASK] when the file is closed."
)

step "1/7 Environment"
set_up_environment vocab
mkdir -p "$OUTPUT"

step "2/7 A corpus: the documentation of numpy, keras, tensorflow and Python"
if [[ -f $OUTPUT/corpus/train.txt ]]; then
  echo "$OUTPUT/corpus is there already."
else
  "$PYTHON" run_scripts/collect_documentation.py --output_dir="$OUTPUT/corpus"
fi

step "3/7 A vocabulary of 8,000 word pieces, learned from it"
if [[ -f $OUTPUT/vocab.txt ]]; then
  echo "$OUTPUT/vocab.txt is there already."
else
  "$PYTHON" run_scripts/learn_vocab.py \
    --input_file="$OUTPUT/corpus/train.txt" \
    --output_file="$OUTPUT/vocab.txt" \
    --vocab_size=8000 \
    --do_lower_case=True
fi

step "4/7 Pre-training records"
make_records() { # make_records NAME INPUT MORE_FLAGS...
  if [[ -f $OUTPUT/$1/manifest.json ]]; then
    echo "$OUTPUT/$1 is there already."
  else
    "$PYTHON" run_scripts/create_pretraining_data.py \
      --input_file="$2" \
      --vocab_file="$OUTPUT/vocab.txt" \
      --output_dir="$OUTPUT/$1" \
      --max_seq_length=64 \
      --max_predictions_per_seq=10 \
      "${@:3}"
  fi
}
make_records train_records "$OUTPUT/corpus/train.txt" --dupe_factor=5 --num_shards=4 --num_workers=2
make_records held_out_records "$OUTPUT/corpus/held_out.txt" --dupe_factor=1

# Weights start at 0.05 instead of the usual 0.02, which is for a width of 768: what goes into a layer
# then has the same spread in a narrow one. And a short training has no use for dropout.
cat >"$OUTPUT/bert_config.json" <<JSON
{
  "vocab_size": $(wc -l <"$OUTPUT/vocab.txt"),
  "hidden_size": 128,
  "num_hidden_layers": 4,
  "num_attention_heads": 2,
  "intermediate_size": 512,
  "max_position_embeddings": 128,
  "type_vocab_size": 2,
  "initializer_range": 0.05,
  "hidden_dropout_prob": 0.0,
  "attention_probs_dropout_prob": 0.0
}
JSON

step "5/7 Masked sentences, filled in before training"
fill_mask() {
  "$PYTHON" run_scripts/fill_mask.py \
    --bert_config_file="$OUTPUT/bert_config.json" --vocab_file="$OUTPUT/vocab.txt" \
    --top_k=4 "$@" "${SENTENCES[@]}"
}
fill_mask --untrained

step "6/7 Pre-training for $STEPS steps, and evaluation on held-out documents"
"$PYTHON" run_scripts/run_pretraining.py \
  --bert_config_file="$OUTPUT/bert_config.json" \
  --input_file="$OUTPUT/train_records/*.tfrecord" \
  --eval_file="$OUTPUT/held_out_records/*.tfrecord" \
  --output_dir="$MODEL" \
  --do_train=True \
  --do_eval=True \
  --max_seq_length=64 \
  --max_predictions_per_seq=10 \
  --train_batch_size=32 \
  --eval_batch_size=64 \
  --max_eval_steps=0 \
  --learning_rate=5e-4 \
  --num_train_steps="$STEPS" \
  --num_warmup_steps=$((STEPS / 10)) \
  --save_checkpoints_steps=1000
cp "$OUTPUT/vocab.txt" "$MODEL/vocab.txt"

step "7/7 The same sentences after training"
fill_mask --init_checkpoint="$MODEL"

describe() {
  printf '  %s\n      %s\n' "$@"
}
step "Done, in $((SECONDS / 60)) minutes $((SECONDS % 60)) seconds. What was made:"
describe \
  "$OUTPUT/corpus/" "the text: a sentence a line, a blank line after each document" \
  "$OUTPUT/vocab.txt" "the vocabulary: a word piece a line" \
  "$OUTPUT/train_records/, held_out_records/" "TFRecords; manifest.json says what is in them" \
  "$OUTPUT/bert_config.json" "the shape of the model" \
  "$MODEL/" "checkpoints, metrics.jsonl, TensorBoard's files, and from held-out text eval_results.txt:"
sed 's/^/          /' "$MODEL/eval_results.txt"
cat <<TEXT

What to run next, in $REPOSITORY:

  source ${VENV#"$REPOSITORY"/}/bin/activate
  python run_scripts/fill_mask.py --model_dir=$MODEL "Your own [MASK] here."
  tensorboard --logdir=$MODEL
  bash run_scripts/test.sh

docs/pretrain_tutorial.md says how to pre-train on your own text.
TEXT
