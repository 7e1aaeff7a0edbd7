#!/usr/bin/env bash
# BERT-Large as in the paper, from a corpus to a checkpoint, on a TPU: 900,000 steps of 256
# sequences of 128 tokens and 100,000 of 512, Adam with a peak rate of 1e-4 and 10,000 steps of
# warm-up, on English Wikipedia and books (3.3 billion words).
#
#   CORPUS=enwiki-latest-pages-articles.xml.bz2 OUTPUT=gs://bucket/large TPU_NAME=local \
#       bash run_scripts/recipes/pretrain_large_tpu.sh
#
# on a TPU VM, or from elsewhere with TPU_NAME, TPU_ZONE and GCP_PROJECT of a Cloud TPU.
#
# What is to be expected, from published runs; what is planned is planned by
# run_scripts/plan_pretraining.py, which docs/planning.md holds to such runs:
#
# Time        4 days on 64 TPU v2 chips (Devlin et al. 2019, A.2); 81.4 hours on 16 TPU v3 chips
#             with twice the batch (You et al. 2020, table 1)
# Memory      7.1 GB of a core's 17 at 128 tokens and 13.4 at 512 in two parts (planned; 8 sequences
#             a core, 32 cores of TPU v3). A TPU v2's cores have 8.6 GB: take 64 chips, as the paper
# Storage     903 GB of records with MASKING=static and dupe_factor 10 (442 of 128 tokens, 461 of
#             512), a tenth with MASKING=dynamic; 4 GB a checkpoint, of which the last five and one
#             of each phase are kept
# Quality     a masked-LM perplexity of 3.23 on held-out text (Devlin et al. 2019, table 6), which
#             is a masked_lm_loss of 1.17; a masked_lm_accuracy of 0.72 on sequences of 512 tokens
#             (where MLPerf's benchmark of BERT-Large stops). Fine-tuned: MNLI 86.6, SQuAD 1.1 F1
#             90.9 (the same paper, development sets)
#
# The other settings are explained in pretraining_steps.sh. pretrain_large_tpu_dryrun.sh tries it
# all on this machine first.
SIZE=large
DEVICE_FLAGS="--distribution_strategy=tpu --tpu_name=${TPU_NAME:-local} --mixed_precision=bfloat16"
DEVICE_FLAGS+="${TPU_ZONE:+ --tpu_zone=$TPU_ZONE}${GCP_PROJECT:+ --gcp_project=$GCP_PROJECT}"
# One device stands in for the TPU; what the compiler would get is compiled there too.
[[ ! ${DRYRUN:-} ]] || DEVICE_FLAGS="--distribution_strategy=one_device --xla"
[[ ${DRYRUN:-} ]] || DEVICE_FLAGS+=" --gradient_accumulation_steps=2"

source "$(dirname "${BASH_SOURCE[0]}")/pretraining_steps.sh"
