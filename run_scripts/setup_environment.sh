# Sourced by quickstart.sh, test.sh and .ci/run. Gives
#
#   REPOSITORY            the checkout's folder, which is made the working directory
#   CALLED_FROM           the working directory before
#   PYTHON                the virtual environment's Python
#   set_up_environment X  makes the environment if there is none, and installs this checkout into it
#                         with the extras X of setup.py (`vocab`, `dev`); called again, it is quick
#
# The environment is .venv in the checkout; $BERT_TF_VENV names another place. $BERT_TF_PYTHON names
# the Python to make it from, where the first fitting one on the path is not the one wanted.

# An absolute path: names given relative to the caller's folder hold after the change of folder.
absolute() {
  [[ $1 == /* ]] && printf '%s\n' "$1" || printf '%s\n' "$PWD/$1"
}

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$(absolute "${BERT_TF_VENV:-$REPOSITORY/.venv}")
CALLED_FROM=$PWD
cd "$REPOSITORY"
PYTHON=$VENV/bin/python

# The messages of TensorFlow's own C++ code (which CPU instructions it was built for, ...) hide ours.
export TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-3}
export PIP_DISABLE_PIP_VERSION_CHECK=1

step() {
  printf '\n== %s\n' "$*"
}

# Prints the first Python that TensorFlow 2.18 to 2.21 have packages for.
find_python() {
  local candidate
  for candidate in ${BERT_TF_PYTHON:-python3 python3.13 python3.12 python3.11 python3.10 python}; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' \
        2>/dev/null; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  echo "No Python from 3.10 to 3.13 was found, which TensorFlow needs. Install one, or name it:" >&2
  echo "  BERT_TF_PYTHON=/path/to/python3.12 bash $0" >&2
  return 1
}

make_environment() {
  local python existed=$VENV
  python=$(find_python)
  [[ -e $VENV ]] || existed=
  echo "A virtual environment with $("$python" --version), in $VENV"
  if ! "$python" -m venv "$VENV"; then
    [[ $existed ]] || rm -rf "$VENV"
    echo "Python could not make a virtual environment. On Debian and Ubuntu it needs a package:" >&2
    echo "  apt-get install python3-venv" >&2
    return 1
  fi
}

free_space() { # free_space MB: warns if the disk of the environment has less
  local free
  free=$(($(df -Pk "$VENV" | awk 'NR == 2 { print $4 }') / 1024))
  [[ $free -ge $1 ]] || echo "Only $free MB are free there. BERT_TF_VENV names another place." >&2
}

set_up_environment() {
  local extras=$1 stamp
  stamp=$VENV/installed-$extras
  # The stamp is a copy of setup.py and the place: only when one of them changes is pip needed.
  if [[ -x $PYTHON && -f $stamp ]] && cat setup.py <(pwd) | cmp -s - "$stamp"; then
    echo "The environment in $VENV is ready."
    return
  fi
  [[ -x $PYTHON ]] || make_environment
  echo "Installing this package and TensorFlow in $VENV:"
  echo "600 MB to download, 2.6 GB on the disk, a few minutes the first time."
  free_space 2600
  # Of what pip says, what takes long: each download with its size, and the last step.
  "$PYTHON" -m pip install --progress-bar=off --editable ".[$extras]" |
    awk '/^ *Downloading |^Installing collected/ { print "  " substr($0, match($0, /[A-Z]/), 76); fflush() }'
  cat setup.py <(pwd) >"$stamp"
}
