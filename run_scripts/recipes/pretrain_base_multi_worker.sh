#!/usr/bin/env bash
# BERT-Base as in the paper, from a corpus to a checkpoint, on the GPUs of several machines: 900,000
# steps of 256 sequences of 128 tokens and 100,000 of 512, Adam with a peak rate of 1e-4 and 10,000
# steps of warm-up, on English Wikipedia and books (3.3 billion words).
#
# on every host, with its own TASK_INDEX and a folder that all of them see:
#
#   CORPUS=enwiki-latest-pages-articles.xml.bz2 OUTPUT=/shared/base \
#       WORKER_HOSTS=host0:12345,host1:12345 TASK_INDEX=0 \
#       bash run_scripts/recipes/pretrain_base_multi_worker.sh
#
# What is to be expected, from published runs; what is planned is planned by
# run_scripts/plan_pretraining.py, which docs/planning.md holds to such runs:
#
# Time        10.4 hours on 2 hosts of 8 x V100-32G in float16 (planned, at the 43 % of their peak
#             at which NVIDIA's BERT-Large ran on 16 of them)
# Memory      5 GB of 32 a GPU at 128 tokens and 15 at 512 (planned; 16 sequences a GPU)
# Storage     903 GB of records with MASKING=static and dupe_factor 10 (442 of 128 tokens, 461 of
#             512), a tenth with MASKING=dynamic; 1.3 GB a checkpoint, of which the last five and
#             one of each phase are kept
# Quality     a masked-LM perplexity of 3.99 on held-out text (Devlin et al. 2019, table 6), which
#             is a masked_lm_loss of 1.38. A masked-LM accuracy was published for BERT-Large only
#             (0.72). Fine-tuned: MNLI 84.4, SQuAD 1.1 F1 88.5 (the same paper, development sets)
#
# The other settings are explained in pretraining_steps.sh. pretrain_base_multi_worker_dryrun.sh
# tries it all on this machine first.
SIZE=base
WORKER_HOSTS=${WORKER_HOSTS:?host:port of all hosts, with commas between them}
TASK_INDEX=${TASK_INDEX:?the place of this host in WORKER_HOSTS, from 0}
DEVICE_FLAGS="--distribution_strategy=multi_worker --worker_hosts=$WORKER_HOSTS --task_index=$TASK_INDEX"
[[ ${DRYRUN:-} ]] || DEVICE_FLAGS+=" --mixed_precision=${MIXED_PRECISION:-float16}"

source "$(dirname "${BASH_SOURCE[0]}")/pretraining_steps.sh"
