#!/usr/bin/env bash
# ELECTRA-Small as in its paper, from a corpus to a checkpoint, on one GPU: 1,000,000 steps of 128
# sequences of 128 tokens, replaced token detection with a generator of a quarter of the width, a peak
# rate of 5e-4 and 10,000 steps of warm-up, on English Wikipedia and books.
#
#   CORPUS=enwiki-latest-pages-articles.xml.bz2 OUTPUT=/data/electra_small \
#       bash run_scripts/recipes/pretrain_electra_small_one_gpu.sh
#
# What is to be expected; what is planned is an estimate of run_scripts/plan_pretraining.py, by the
# speed of much wider models:
#
# Time        3.4 hours on an A100-80G in bfloat16, 8 on a V100 in float16 (planned, without
#             evaluations). Layers this narrow leave much of a GPU idle, so expect some times that:
#             the authors trained 4 days on one V100
# Memory      7 GB (planned). V100s: TRAIN_FLAGS=--mixed_precision=float16
# Storage     41 GB of records (planned, for 3.3 billion words); 170 MB a checkpoint, of which the last
#             five are kept
# Quality     fine-tuned, the development sets' medians of the authors' small model trained on
#             OpenWebText (google-research/electra, README.md): CoLA 56.8, SST-2 88.3, MRPC 87.4,
#             STS-B 86.8, QQP 88.3, MNLI 78.9, QNLI 87.9, RTE 68.5. The released electra_small, with a
#             wider generator and 4 times the steps, has 57.0, 91.2, 88.0, 87.5, 89.0, 81.3, 88.4, 66.7.
#             No masked_lm_loss or disc_loss was published; not run to its end here
#
# The other settings are explained in pretraining_steps.sh, docs/family.md says what differs from the
# authors' code. pretrain_electra_small_one_gpu_dryrun.sh tries it all on this machine first.
SIZE=electra_small
MASKING=dynamic
DEVICE_FLAGS="--distribution_strategy=one_device --mixed_precision=bfloat16"
[[ ! ${DRYRUN:-} ]] || DEVICE_FLAGS="--distribution_strategy=one_device"
DEVICE_FLAGS+=" --learning_rate_schedule=product"

own_settings() {
  WIDTH=256 LAYERS=12 HEADS=4 ACT=gelu_erf POSITIONS=512
  SHORT= LONG=128 LONG_PREDICTIONS=19 LONG_STEPS=1000000 BATCH=128 RATE=5e-4
  OBJECTIVE=replaced_tokens RECORD_FLAGS=--packing=electra
  MORE_CONFIG='"model_type": "electra", "embedding_size": 128,
  "generator_hidden_size": 0.25, "generator_layers": 1.0,'
}

source "$(dirname "${BASH_SOURCE[0]}")/pretraining_steps.sh"
