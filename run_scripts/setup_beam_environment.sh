#!/usr/bin/env bash
# Makes a virtual environment for create_pretraining_data.py --runner=beam: Apache Beam and this
# package, in .venv-beam in the checkout; $BERT_TF_BEAM_VENV names another place. Half a minute and
# 500 MB the first time; called again, it is quick.
#
#   bash run_scripts/setup_beam_environment.sh
#   .venv-beam/bin/python run_scripts/create_pretraining_data.py --runner=beam ... -- --runner=...
#
# It is an environment of its own because Beam needs an older protobuf than some of what the other
# one may hold. TensorFlow is not in it: making records does not need it, unless text or records lie
# at gs:// (see docs/data.md). Words after the script's name are installed too: 'apache-beam[gcp]'.
set -euo pipefail
export BERT_TF_VENV=${BERT_TF_BEAM_VENV:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.venv-beam}
source "$(dirname "${BASH_SOURCE[0]}")/setup_environment.sh"

REQUIREMENTS=("apache-beam>=2.77,<3" "absl-py>=2" "numpy>=1.26" "$@")
STAMP=$VENV/installed-beam

if [[ -x $PYTHON && -f $STAMP ]] && printf '%s\n' "$PWD" "${REQUIREMENTS[@]}" | cmp -s - "$STAMP"
then
  echo "The environment in $VENV is ready."
else
  [[ -x $PYTHON ]] || make_environment
  echo "Installing Apache Beam and this package: 110 MB to download."
  "$PYTHON" -m pip install --quiet "${REQUIREMENTS[@]}"
  "$PYTHON" -m pip install --quiet --no-deps --editable .
  printf '%s\n' "$PWD" "${REQUIREMENTS[@]}" >"$STAMP"
fi
