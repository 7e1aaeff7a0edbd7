#!/usr/bin/env bash
# BERT-Base as in the paper, from a corpus to a checkpoint, on all GPUs of one machine: 900,000
# steps of 256 sequences of 128 tokens and 100,000 of 512, Adam with a peak rate of 1e-4 and 10,000
# steps of warm-up, on English Wikipedia and books (3.3 billion words).
#
#   CORPUS=enwiki-latest-pages-articles.xml.bz2 OUTPUT=/data/base \
#       bash run_scripts/recipes/pretrain_base_mirrored.sh
#
# What is to be expected, from published runs; what is planned is planned by
# run_scripts/plan_pretraining.py, which docs/planning.md holds to such runs:
#
# Time        8.4 hours on 8 x A100-80G in bfloat16 (planned, at the 40 % of their peak at which
#             NVIDIA's BERT-Large ran). Published for comparison: 11.5 hours on such a machine for a
#             BERT-Base on 287 million sequences of 128 tokens (MosaicBERT's authors)
# Memory      6.8 GB of 80 a GPU at 128 tokens and 26 at 512 (planned; 32 sequences a GPU). On
#             V100-16G and other small ones: TRAIN_FLAGS=--gradient_accumulation_steps=4, or
#             --recompute_activations
# Storage     903 GB of records with MASKING=static and dupe_factor 10 (442 of 128 tokens, 461 of
#             512), a tenth with MASKING=dynamic; 1.3 GB a checkpoint, of which the last five and
#             one of each phase are kept
# Quality     a masked-LM perplexity of 3.99 on held-out text (Devlin et al. 2019, table 6), which
#             is a masked_lm_loss of 1.38. A masked-LM accuracy was published for BERT-Large only
#             (0.72). Fine-tuned: MNLI 84.4, SQuAD 1.1 F1 88.5 (the same paper, development sets)
#
# The other settings are explained in pretraining_steps.sh. pretrain_base_mirrored_dryrun.sh tries
# it all on this machine first.
SIZE=base
DEVICE_FLAGS="--distribution_strategy=mirrored --mixed_precision=bfloat16"
[[ ! ${DRYRUN:-} ]] || DEVICE_FLAGS="--distribution_strategy=mirrored --num_virtual_devices=2"

source "$(dirname "${BASH_SOURCE[0]}")/pretraining_steps.sh"
