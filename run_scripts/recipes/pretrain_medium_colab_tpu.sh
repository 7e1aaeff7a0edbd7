#!/usr/bin/env bash
# A BERT of 8 layers and width 512, from a corpus to a checkpoint, within a session on a TPU of Google
# Colab: 36,000 steps of 256 sequences of 128 tokens and 4,000 of 512.
#
#   CORPUS=simplewiki-latest-pages-articles.xml.bz2 OUTPUT=/content/drive/MyDrive/medium \
#       bash run_scripts/recipes/pretrain_medium_colab_tpu.sh
#
# in a runtime with a TPU, after the first code cell of colab/02_pretrain_on_your_text.ipynb;
# docs/tpu.md says which TensorFlow a TPU needs. A session ends after hours at the latest: with OUTPUT on Google Drive,
# the same command resumes in the next one. The code has not run on a TPU.
#
# What is to be expected; what is planned is an estimate of run_scripts/plan_pretraining.py, for a
# corpus of 50 million words:
#
# Time        1.6 hours on a v5e chip, 5.1 on a v2-8 (planned), and before that an hour or two for the
#             records, on the runtime's few cores
# Memory      3 GB of a v5e chip's 16 at 128 tokens and 12 at 512 (planned)
# Storage     1.4 GB of records (planned); 0.5 GB a checkpoint, of which the last five and one of each
#             phase are kept
# Quality     not published for such a run; it reads this corpus about 20 times. Watch masked_lm_loss
#             on the held-out documents, which is evaluated every 4,000 steps
#
# The other settings are explained in pretraining_steps.sh. pretrain_medium_colab_tpu_dryrun.sh tries
# it all on a CPU first.
SIZE=medium
MASKING=${MASKING:-dynamic}
NUM_SHARDS=${NUM_SHARDS:-16}
DEVICE_FLAGS="--distribution_strategy=tpu --tpu_name=${TPU_NAME:-local} --mixed_precision=bfloat16"
DEVICE_FLAGS+=" --gradient_accumulation_steps=8"
# One device stands in for the TPU; what the compiler would get is compiled there too.
[[ ! ${DRYRUN:-} ]] || DEVICE_FLAGS="--distribution_strategy=one_device --xla"

own_settings() {
  SHORT_STEPS=36000 LONG_STEPS=4000 WARMUP=2000 RATE=3e-4
  SAVE_STEPS=1000 EVAL_STEPS=4000
}

source "$(dirname "${BASH_SOURCE[0]}")/pretraining_steps.sh"
