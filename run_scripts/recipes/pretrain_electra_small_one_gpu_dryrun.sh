#!/usr/bin/env bash
# Tries pretrain_electra_small_one_gpu.sh: the same steps and code in minutes, on this machine's CPU.
# See dryrun.sh.
#
#   bash run_scripts/recipes/pretrain_electra_small_one_gpu_dryrun.sh
source "$(dirname "${BASH_SOURCE[0]}")/dryrun.sh"
dry_run pretrain_electra_small_one_gpu
