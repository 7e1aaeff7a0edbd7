#!/usr/bin/env bash
# SpanBERT-Base as in its paper, from a corpus to a checkpoint, on all GPUs of one machine: 2,400,000
# steps of 256 segments of 512 tokens, masked spans, masked LM and the span boundary objective, Adam
# with a peak rate of 1e-4 and 10,000 steps of warm-up, cased, on English Wikipedia and books.
#
#   CORPUS=enwiki-latest-pages-articles.xml.bz2 OUTPUT=/data/spanbert \
#       bash run_scripts/recipes/pretrain_spanbert_mirrored.sh
#
# SIZE=large in front of it trains SpanBERT-Large. What is to be expected; what is planned is an
# estimate of run_scripts/plan_pretraining.py, which does not know the boundary head: that adds some 4 %
#
# Time        3 days on 8 x A100-80G in bfloat16, 9.5 days for SIZE=large (planned, without
#             evaluations). The authors trained 15 days on 32 V100s
# Memory      27 GB of 80 a GPU, 68 for SIZE=large (planned; 32 sequences a GPU). With less:
#             TRAIN_FLAGS=--gradient_accumulation_steps=2, with the same result
# Storage     48 GB of records (planned, for 3.3 billion words); 1.3 GB a checkpoint, 4 for
#             SIZE=large, of which the last five are kept
# Quality     fine-tuned, F1 (facebookresearch/SpanBERT, README.md): SQuAD 1.1 92.4, SQuAD 2.0 83.6
#             (development sets), coreference on OntoNotes 77.4, TACRED 68.2; of SIZE=large 94.6,
#             88.7 (test sets), 79.6 and 70.8. No masked_lm_loss was published: spans are harder to
#             guess than single tokens, so expect more than the 1.38 of BERT-Base (see
#             pretrain_base_mirrored.sh)
#
# The other settings are explained in pretraining_steps.sh; docs/family.md says what differs from
# the authors' code. pretrain_spanbert_mirrored_dryrun.sh tries it all on this machine first.
SIZE=${SIZE:-base}
MASKING=${MASKING:-dynamic}
DEVICE_FLAGS="--distribution_strategy=mirrored --mixed_precision=bfloat16"
[[ ! ${DRYRUN:-} ]] || DEVICE_FLAGS="--distribution_strategy=mirrored --num_virtual_devices=2"
DEVICE_FLAGS+=" --bias_correction --adam_epsilon=1e-8"

own_settings() {
  SHORT= LONG_STEPS=2400000
  OBJECTIVE=masked_lm+span_boundary RECORD_FLAGS="--do_span_mask=True --next_sentence=False"
  ACT=gelu_erf LOWER_CASE=False VOCAB_SIZE=28996
}

source "$(dirname "${BASH_SOURCE[0]}")/pretraining_steps.sh"
