#!/usr/bin/env bash
# Tries pretrain_base_multi_worker.sh: the same steps and code in minutes, on this machine's CPU.
# See dryrun.sh.
#
#   bash run_scripts/recipes/pretrain_base_multi_worker_dryrun.sh
source "$(dirname "${BASH_SOURCE[0]}")/dryrun.sh"
dry_run_two_workers pretrain_base_multi_worker
