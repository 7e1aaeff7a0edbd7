#!/usr/bin/env bash
# Makes the virtual environment of a package, for run_scripts/benchmark.py.
#
#     bash benchmarks/environments/make_environment.sh PACKAGE [FOLDER]
#
# PACKAGE is huggingface, keras_hub, original, onnxruntime, or bert_tf for this package without what
# development adds to it; benchmarks/environments/PACKAGE.txt pins its versions. FOLDER defaults to
# .benchmark_environments. Downloads up to 700 MB.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
package=${1:?Usage: make_environment.sh PACKAGE [FOLDER]}
folder=${2:-.benchmark_environments}
requirements=$here/$package.txt
[[ -f $requirements ]] || { echo "Error: no package $package; there are: $(cd "$here" && ls ./*.txt)" >&2; exit 1; }
"${PYTHON:-python3}" -m venv "$folder/$package"
folder=$(cd "$folder" && pwd)
cd "$here/../.."  # The . in bert_tf.txt.
"$folder/$package/bin/python" -m pip install --quiet --requirement "$requirements"
echo "Made $folder/$package."
