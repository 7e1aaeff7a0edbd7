#!/usr/bin/env bash
# BERT-Base as in the paper, from a corpus to a checkpoint, on a TPU: 900,000 steps of 256
# sequences of 128 tokens and 100,000 of 512, Adam with a peak rate of 1e-4 and 10,000 steps of
# warm-up, on English Wikipedia and books (3.3 billion words).
#
#   CORPUS=enwiki-latest-pages-articles.xml.bz2 OUTPUT=gs://bucket/base TPU_NAME=local \
#       bash run_scripts/recipes/pretrain_base_tpu.sh
#
# on a TPU VM, or from elsewhere with TPU_NAME, TPU_ZONE and GCP_PROJECT of a Cloud TPU.
#
# What is to be expected, from published runs; what is planned is planned by
# run_scripts/plan_pretraining.py, which docs/planning.md holds to such runs:
#
# Time        4 days on 16 TPU v2 chips (Devlin et al. 2019, A.2); about 2 weeks, and $500
#             preemptible, on a single TPU v2 of 4 chips (the original's README)
# Memory      2.8 GB of a core's 8.6 at 128 tokens and 5.6 at 512 (planned; 8 sequences a core, 32
#             cores)
# Storage     903 GB of records with MASKING=static and dupe_factor 10 (442 of 128 tokens, 461 of
#             512), a tenth with MASKING=dynamic; 1.3 GB a checkpoint, of which the last five and
#             one of each phase are kept
# Quality     a masked-LM perplexity of 3.99 on held-out text (Devlin et al. 2019, table 6), which
#             is a masked_lm_loss of 1.38. A masked-LM accuracy was published for BERT-Large only
#             (0.72). Fine-tuned: MNLI 84.4, SQuAD 1.1 F1 88.5 (the same paper, development sets)
#
# The other settings are explained in pretraining_steps.sh. pretrain_base_tpu_dryrun.sh tries it all
# on this machine first.
SIZE=base
DEVICE_FLAGS="--distribution_strategy=tpu --tpu_name=${TPU_NAME:-local} --mixed_precision=bfloat16"
DEVICE_FLAGS+="${TPU_ZONE:+ --tpu_zone=$TPU_ZONE}${GCP_PROJECT:+ --gcp_project=$GCP_PROJECT}"
# One device stands in for the TPU; what the compiler would get is compiled there too.
[[ ! ${DRYRUN:-} ]] || DEVICE_FLAGS="--distribution_strategy=one_device --xla"

source "$(dirname "${BASH_SOURCE[0]}")/pretraining_steps.sh"
