#!/usr/bin/env bash
# BERT-Base, from a corpus to a checkpoint, in a day on one GPU: three tenths of the paper's steps,
# 270,000 of 256 sequences of 128 tokens and 30,000 of 512, on English Wikipedia.
#
#   CORPUS=enwiki-latest-pages-articles.xml.bz2 OUTPUT=/data/base_day \
#       bash run_scripts/recipes/pretrain_base_one_gpu.sh
#
# What is to be expected; what is planned is an estimate of run_scripts/plan_pretraining.py, which
# docs/planning.md holds to published runs:
#
# Time        19 hours on an A100-80G in bfloat16, 9 on an H100, 44 on a V100-32G in float16 (planned,
#             without evaluations). All million steps of the paper: 2.6 days on the A100
# Memory      11 GB at 128 tokens and 50 at 512 (planned; a step is 4 parts of 64 sequences). Smaller
#             GPUs: TRAIN_FLAGS=--gradient_accumulation_steps=16, with the same result; V100s also
#             TRAIN_FLAGS=--mixed_precision=float16
# Storage     90 GB of records (planned, for 3.3 billion words); 1.3 GB a checkpoint, of which the last
#             five and one of each phase are kept
# Quality     not published for so few steps. The whole run reaches a masked-LM perplexity of 3.99
#             (Devlin et al. 2019, table 6), which is a masked_lm_loss of 1.38: expect more than that
#
# The other settings are explained in pretraining_steps.sh. pretrain_base_one_gpu_dryrun.sh tries it
# all on this machine first. The rest of the million steps: pretrain_base_mirrored.sh, on all GPUs.
SIZE=base
MASKING=${MASKING:-dynamic}
DEVICE_FLAGS="--distribution_strategy=one_device --mixed_precision=bfloat16"
DEVICE_FLAGS+=" --gradient_accumulation_steps=4"
[[ ! ${DRYRUN:-} ]] || DEVICE_FLAGS="--distribution_strategy=one_device"

own_settings() {
  SHORT_STEPS=270000 LONG_STEPS=30000
}

source "$(dirname "${BASH_SOURCE[0]}")/pretraining_steps.sh"
