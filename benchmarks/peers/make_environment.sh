#!/usr/bin/env bash
# Makes the virtual environment of a peer, for run_scripts/benchmark.py.
#
#     bash benchmarks/peers/make_environment.sh PEER [FOLDER]
#
# PEER is huggingface, keras_hub, original, onnxruntime, or bert_tf for this package without what
# development adds to it; benchmarks/peers/PEER.txt pins its versions. FOLDER defaults to
# .benchmark_environments. Downloads up to 700 MB.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
peer=${1:?Usage: make_environment.sh PEER [FOLDER]}
folder=${2:-.benchmark_environments}
requirements=$here/$peer.txt
[[ -f $requirements ]] || { echo "Error: no peer $peer; there are: $(cd "$here" && ls ./*.txt)" >&2; exit 1; }
"${PYTHON:-python3}" -m venv "$folder/$peer"
folder=$(cd "$folder" && pwd)
cd "$here/../.."  # The . in bert_tf.txt.
"$folder/$peer/bin/python" -m pip install --quiet --requirement "$requirements"
echo "Made $folder/$peer."
