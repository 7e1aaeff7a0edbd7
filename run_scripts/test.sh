#!/usr/bin/env bash
# Runs the whole test suite, in a virtual environment that it makes if there is none.
#
#   bash run_scripts/test.sh                        all tests, the slow ones and the notebooks too
#   bash run_scripts/test.sh tests/text -k cased    what is said here goes to pytest
#
# Tests on real data sets, which are no part of the repository, look for them in $BERT_TF_DATA and
# are skipped without it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup_environment.sh"

step "Environment"
set_up_environment dev

step "Tests"
exec "$PYTHON" -m pytest -m "slow or not slow" --durations=10 "$@"
