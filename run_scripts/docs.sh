#!/usr/bin/env bash
# Builds the documentation site and shows it, in a virtual environment that it makes if there is
# none.
#
#   bash run_scripts/docs.sh          builds it and serves it at http://127.0.0.1:8000
#   bash run_scripts/docs.sh build    only builds it, into docs/_build/html
#
# The notebooks are executed first, once, in their small setting: five minutes on two cores.
# $EXECUTED_NOTEBOOKS names a folder that already has them; what it lacks is shown without outputs.
# $PORT is another port.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup_environment.sh"

BUILD=$REPOSITORY/docs/_build

step "Environment"
set_up_environment docs,notebook

NOTEBOOKS=${EXECUTED_NOTEBOOKS:-$BUILD/notebooks}
if [[ -z ${EXECUTED_NOTEBOOKS:-} && -f colab/execute.py ]]; then
  step "Notebooks"
  "$PYTHON" colab/execute.py --output_dir="$NOTEBOOKS"
fi

step "Site"
"$PYTHON" docs/site/build.py --output_dir="$BUILD" --notebooks_dir="$NOTEBOOKS"

if [[ ${1:-} != build ]]; then
  step "http://127.0.0.1:${PORT:-8000} until Ctrl-C"
  exec "$PYTHON" -m http.server --bind 127.0.0.1 --directory "$BUILD/html" "${PORT:-8000}"
fi
