#!/bin/sh
# Sets up .venv with the packages of one lock file and with this checkout: sh scripts/set_up.sh requirements.lock
# The environment variable PYTHON names the Python to use; without it, the first usable one is taken.
set -eu
lock=$1
right_version='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'

fail() {
    echo "$1" >&2
    exit 2
}

# A name on the PATH may not run (pyenv has such shims), so each is tried.
runs() {
    "$1" -c "$2" </dev/null >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3.13 python3.12 python3.11 python3 python; fi
    without_venv=
    for name; do
        if runs "$name" "import ensurepip, venv; $right_version"; then
            echo "$name"
            return
        fi
        if runs "$name" "$right_version"; then without_venv=$name; fi
    done
    [ -z "$without_venv" ] || fail "$without_venv cannot make a virtual environment; run: apt-get install python3-venv"
    [ -z "${PYTHON:-}" ] || fail "PYTHON=$PYTHON is not a Python 3.11, 3.12 or 3.13 that runs; name another one."
    fail "No Python 3.11, 3.12 or 3.13 was found; install one, or name it: make demo PYTHON=/path/to/python3"
}

# pip writes a package's RECORD last. Without it the package is half there, from an interrupted run, and pip takes it for
# a whole one.
is_whole() {
    runs .venv/bin/python "import pip; $right_version" || return 1
    for package in .venv/lib/python*/site-packages/*.dist-info; do
        [ -e "$package/RECORD" ] || return 1
    done
}

pip_install() {
    .venv/bin/python -m pip --quiet --disable-pip-version-check --no-input install "$@" ||
        fail "pip could not install the packages; its message stands above. Repair the cause and run make again."
}

if ! is_whole; then
    python=$(find_python)
    rm -rf .venv
    "$python" -m venv .venv || fail "$python could not make .venv; its message stands above."
fi
echo "Setting up .venv from $lock; this is done once and takes about a minute." >&2
pip_install --require-hashes -r "$lock"
pip_install --no-deps -e .
