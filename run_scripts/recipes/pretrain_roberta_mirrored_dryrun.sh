#!/usr/bin/env bash
# Tries pretrain_roberta_mirrored.sh: the same steps and code in minutes, on this machine's CPU. See
# dryrun.sh.
#
#   bash run_scripts/recipes/pretrain_roberta_mirrored_dryrun.sh
source "$(dirname "${BASH_SOURCE[0]}")/dryrun.sh"
dry_run pretrain_roberta_mirrored
