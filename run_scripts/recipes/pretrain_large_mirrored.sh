#!/usr/bin/env bash
# BERT-Large as in the paper, from a corpus to a checkpoint, on all GPUs of one machine: 900,000
# steps of 256 sequences of 128 tokens and 100,000 of 512, Adam with a peak rate of 1e-4 and 10,000
# steps of warm-up, on English Wikipedia and books (3.3 billion words).
#
#   CORPUS=enwiki-latest-pages-articles.xml.bz2 OUTPUT=/data/large \
#       bash run_scripts/recipes/pretrain_large_mirrored.sh
#
# What is to be expected, from published runs; what is planned is planned by
# run_scripts/plan_pretraining.py, which docs/planning.md holds to such runs:
#
# Time        27 hours on 8 x A100-80G: NVIDIA's BERT-Large for TensorFlow 2 did 3,799 sequences/s
#             of 128 tokens and 650 to 750 of 512 there, which is 17 hours for the first phase and
#             10 for the second
# Memory      18 GB of 80 a GPU at 128 tokens and 67 at 512 (planned; 32 sequences a GPU). With 40
#             GB: TRAIN_FLAGS=--gradient_accumulation_steps=2, or --recompute_activations
# Storage     903 GB of records with MASKING=static and dupe_factor 10 (442 of 128 tokens, 461 of
#             512), a tenth with MASKING=dynamic; 4 GB a checkpoint, of which the last five and one
#             of each phase are kept
# Quality     a masked-LM perplexity of 3.23 on held-out text (Devlin et al. 2019, table 6), which
#             is a masked_lm_loss of 1.17; a masked_lm_accuracy of 0.72 on sequences of 512 tokens
#             (where MLPerf's benchmark of BERT-Large stops). Fine-tuned: MNLI 86.6, SQuAD 1.1 F1
#             90.9 (the same paper, development sets)
#
# The other settings are explained in pretraining_steps.sh. pretrain_large_mirrored_dryrun.sh tries
# it all on this machine first.
SIZE=large
DEVICE_FLAGS="--distribution_strategy=mirrored --mixed_precision=bfloat16"
[[ ! ${DRYRUN:-} ]] || DEVICE_FLAGS="--distribution_strategy=mirrored --num_virtual_devices=2"

source "$(dirname "${BASH_SOURCE[0]}")/pretraining_steps.sh"
