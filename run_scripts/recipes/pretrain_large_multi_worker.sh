#!/usr/bin/env bash
# BERT-Large as in the paper, from a corpus to a checkpoint, on the GPUs of several machines:
# 900,000 steps of 256 sequences of 128 tokens and 100,000 of 512, Adam with a peak rate of 1e-4 and
# 10,000 steps of warm-up, on English Wikipedia and books (3.3 billion words).
#
# on every host, with its own TASK_INDEX and a folder that all of them see:
#
#   CORPUS=enwiki-latest-pages-articles.xml.bz2 OUTPUT=/shared/large \
#       WORKER_HOSTS=host0:12345,host1:12345 TASK_INDEX=0 \
#       bash run_scripts/recipes/pretrain_large_multi_worker.sh
#
# What is to be expected, from published runs; what is planned is planned by
# run_scripts/plan_pretraining.py, which docs/planning.md holds to such runs:
#
# Time        33 hours on 2 hosts of 8 x V100-32G: NVIDIA's BERT-Large for TensorFlow 2 did 3,078
#             sequences/s of 128 tokens and 615 of 512 on 16 of them, which is 21 hours for the
#             first phase and 12 for the second
# Memory      14 GB of 32 a GPU at 128 tokens and 25 at 512 in two parts (planned; 16 sequences a
#             GPU)
# Storage     903 GB of records with MASKING=static and dupe_factor 10 (442 of 128 tokens, 461 of
#             512), a tenth with MASKING=dynamic; 4 GB a checkpoint, of which the last five and one
#             of each phase are kept
# Quality     a masked-LM perplexity of 3.23 on held-out text (Devlin et al. 2019, table 6), which
#             is a masked_lm_loss of 1.17; a masked_lm_accuracy of 0.72 on sequences of 512 tokens
#             (where MLPerf's benchmark of BERT-Large stops). Fine-tuned: MNLI 86.6, SQuAD 1.1 F1
#             90.9 (the same paper, development sets)
#
# The other settings are explained in pretraining_steps.sh. pretrain_large_multi_worker_dryrun.sh
# tries it all on this machine first.
SIZE=large
WORKER_HOSTS=${WORKER_HOSTS:?host:port of all hosts, with commas between them}
TASK_INDEX=${TASK_INDEX:?the place of this host in WORKER_HOSTS, from 0}
DEVICE_FLAGS="--distribution_strategy=multi_worker --worker_hosts=$WORKER_HOSTS --task_index=$TASK_INDEX"
[[ ${DRYRUN:-} ]] || DEVICE_FLAGS+=" --mixed_precision=${MIXED_PRECISION:-float16}"
[[ ${DRYRUN:-} ]] || DEVICE_FLAGS+=" --gradient_accumulation_steps=2"

source "$(dirname "${BASH_SOURCE[0]}")/pretraining_steps.sh"
