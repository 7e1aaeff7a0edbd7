# Sourced by the pretrain_*_dryrun.sh scripts: a recipe's own steps and code, each a thousandth as
# long, with a small model, on the documentation inside of installed packages and on this machine's
# CPU. Whether the recipe runs through is known in minutes, before a corpus is downloaded and a
# machine is paid for.
#
#   OUTPUT        where all of it is written (pretrain_dryrun; made anew where it is not there)
#   CORPUS        another text in place of that documentation
#   DRYRUN_PART   which part of the recipe's steps is done (1000)
#   PYTHON        the Python with this package, tokenizers, mwparserfromhell and sentencex
set -euo pipefail
RECIPES=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

export DRYRUN=1 DRYRUN_PART=${DRYRUN_PART:-1000} PYTHON=${PYTHON:-python} NUM_WORKERS=${NUM_WORKERS:-2}
export OUTPUT=${OUTPUT:-$PWD/pretrain_dryrun}
export CUDA_VISIBLE_DEVICES=
mkdir -p "$OUTPUT"
if [[ ! ${CORPUS:-} ]]; then
  CORPUS=$OUTPUT/documentation.jsonl
  if [[ ! -f $CORPUS ]]; then
    "$PYTHON" "$RECIPES/../collect_documentation.py" --output_dir="$OUTPUT/documentation"
    # A document a line, as prepare_corpus.py can take them; some thousands are enough.
    "$PYTHON" -c '
import json
import sys
documents = open(sys.argv[1], encoding="utf-8").read().split("\n\n")[:4000]
with open(sys.argv[2], "w", encoding="utf-8") as file:
    file.writelines(json.dumps({"text": document}) + "\n" for document in documents)' \
      "$OUTPUT/documentation/train.txt" "$CORPUS"
  fi
fi
export CORPUS

dry_run() { # dry_run RECIPE: starts it on one machine
  bash "$RECIPES/$1.sh"
}

# Two workers on this machine, each a process that sees one CPU device.
dry_run_two_workers() { # dry_run_two_workers RECIPE
  local ports status=0
  ports=$("$PYTHON" -c '
import socket
held = [socket.create_server(("localhost", 0)) for _ in range(2)]
print(",".join(f"localhost:{each.getsockname()[1]}" for each in held))')
  export WORKER_HOSTS=$ports
  TASK_INDEX=1 bash "$RECIPES/$1.sh" >"$OUTPUT.worker_1.log" 2>&1 &
  local second=$!
  TASK_INDEX=0 bash "$RECIPES/$1.sh" || status=$?
  [[ $status == 0 ]] || kill "$second" 2>/dev/null || true
  wait "$second" || status=$?
  [[ $status == 0 ]] || { echo "The log of the second worker:" >&2; tail -20 "$OUTPUT.worker_1.log" >&2; }
  return "$status"
}
