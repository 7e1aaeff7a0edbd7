#!/usr/bin/env bash
# RoBERTa-Base with its paper's settings, from a corpus to a checkpoint, on all GPUs of one machine:
# 500,000 steps of 8,192 sequences of 512 tokens, full sentences across documents, other masks in each
# epoch, masked LM alone, Adam with a second decay of 0.98, a peak rate of 6e-4, 24,000 steps of
# warm-up and no clipping, byte-level BPE of 50,265 tokens.
#
#   CORPUS=enwiki-latest-pages-articles.xml.bz2 OUTPUT=/data/roberta \
#       bash run_scripts/recipes/pretrain_roberta_mirrored.sh
#
# SIZE=large in front of it trains RoBERTa-Large. VOCAB_FILE=vocab.json, with merges.txt beside it,
# takes the released vocabulary; without it one is learned from the corpus. What is to be expected;
# what is planned is an estimate of run_scripts/plan_pretraining.py:
#
# Time        20 days on 8 x A100-80G in bfloat16, 62 for SIZE=large (planned, without evaluations).
#             The authors had hundreds of V100s
# Memory      28 GB of 80 a GPU, 70 for SIZE=large (planned; 32 sequences a GPU at a time). With less:
#             ACCUMULATE=64, with the same result
# Storage     48 GB of records (planned, for 3.3 billion words); 1.5 GB a checkpoint, 4.3 for
#             SIZE=large, of which the last five are kept
# Quality     fine-tuned, GLUE's development sets, of the authors' models trained on 160 GB of text
#             (fairseq, examples/roberta/README.md): MNLI 87.6, QNLI 92.8, QQP 91.9, RTE 78.7, SST-2
#             94.8, MRPC 90.2, CoLA 63.6, STS-B 91.2; of SIZE=large 90.2, 94.7, 92.2, 86.6, 96.4,
#             90.9, 68.0 and 92.4. With books and Wikipedia alone, 31,000 steps of 8,192 reached a
#             perplexity of 3.77 on held-out text, a masked_lm_loss of 1.33 (paper, table 3)
#
# The other settings are explained in pretraining_steps.sh; docs/family.md says what differs.
# pretrain_roberta_mirrored_dryrun.sh tries it all on this machine first.
SIZE=${SIZE:-base}
MASKING=dynamic
DEVICE_FLAGS="--distribution_strategy=mirrored --mixed_precision=bfloat16"
DEVICE_FLAGS+=" --gradient_accumulation_steps=${ACCUMULATE:-32}"
[[ ! ${DRYRUN:-} ]] || DEVICE_FLAGS="--distribution_strategy=mirrored --num_virtual_devices=2"
DEVICE_FLAGS+=" --bias_correction --adam_beta_2=0.98 --clip_norm=0"

own_settings() {
  SHORT= LONG_STEPS=500000 BATCH=8192 RATE=6e-4 WARMUP=24000
  [[ $SIZE != large ]] || RATE=4e-4 WARMUP=30000
  OBJECTIVE=masked_lm RECORD_FLAGS=--full_sentences
  VOCAB_NAME=tokenizer.json VOCAB_SIZE=50265 LOWER_CASE=False TYPES=1
  ACT=gelu_erf POSITIONS=514 MORE_CONFIG='"model_type": "roberta", "layer_norm_eps": 1e-5,'
}

source "$(dirname "${BASH_SOURCE[0]}")/pretraining_steps.sh"
