#!/usr/bin/env bash
# Tries pretrain_mini_laptop.sh: the same steps and code in minutes, on this machine's CPU. See
# dryrun.sh.
#
#   bash run_scripts/recipes/pretrain_mini_laptop_dryrun.sh
source "$(dirname "${BASH_SOURCE[0]}")/dryrun.sh"
dry_run pretrain_mini_laptop
