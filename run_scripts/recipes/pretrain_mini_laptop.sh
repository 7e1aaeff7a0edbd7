#!/usr/bin/env bash
# A small BERT (4 layers of width 256), from a corpus to a checkpoint, overnight on the processor of a
# laptop: 27,000 steps of 32 sequences of 128 tokens and 3,000 of 256. The step after the quickstart.
#
#   CORPUS=simplewiki-latest-pages-articles.xml.bz2 OUTPUT=mini \
#       bash run_scripts/recipes/pretrain_mini_laptop.sh
#
# What is to be expected; what is planned is an estimate of run_scripts/plan_pretraining.py, for a
# corpus of 50 million words:
#
# Time        8 hours on a processor of 200 GFLOP/s (planned; --hardware=cpu of that script measures
#             yours, and half the GFLOP/s take twice the time), and an hour for the records
# Memory      1.1 GB at 128 tokens and 2.1 at 256 (planned)
# Storage     1.3 GB of records (planned), 0.1 GB a checkpoint, of which the last five and one of each
#             phase are kept
# Quality     a masked_lm_loss well below 5.7: where such a model was after an eighth of these examples
#             (measured, docs/training.md). No score for all of them was measured. It is for trying
#             one's own text and fine-tuning, and no match for a released model
#
# The settings are explained in pretraining_steps.sh. As in the quickstart, weights start wider and
# there is no dropout, as fits a small model and a short run. pretrain_mini_laptop_dryrun.sh tries it
# all in minutes.
SIZE=mini
MASKING=${MASKING:-dynamic}
NUM_SHARDS=${NUM_SHARDS:-8}
DEVICE_FLAGS="--distribution_strategy=one_device"

own_settings() {
  SHORT_STEPS=27000
  LONG=256 LONG_PREDICTIONS=39 LONG_STEPS=3000
  BATCH=32 RATE=5e-4 WARMUP=1000 VOCAB_SIZE=16000 INIT=0.05 DROPOUT=0.0
  SAVE_STEPS=1000 EVAL_STEPS=3000
}

source "$(dirname "${BASH_SOURCE[0]}")/pretraining_steps.sh"
