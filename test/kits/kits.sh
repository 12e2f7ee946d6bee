#!/usr/bin/env bash
# Installs Algorithmia's published kits for Python into .cache/kits and runs
# algorithms that are written for them, unchanged, through package runner.
set -euo pipefail
cd "$(dirname "$0")/../.."
fail() { printf 'kits: %s\n' "$*" >&2; exit 1; }
venv=.cache/kits/venv
command -v python3 >/dev/null || fail "there is no python3: apt-get install python3 python3-venv, then try again."
if ! cmp -s test/kits/requirements.txt "$venv/requirements.txt"; then
  rm -rf "$venv"
  mkdir -p .cache/kits
  python3 -m venv "$venv" || fail "python3 has no venv: apt-get install python3-venv, then try again."
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r test/kits/requirements.txt || fail "pip could not install the kits."
  cp test/kits/requirements.txt "$venv/requirements.txt"
fi
STOA_KITS=required go test -count=1 "$@" ./test/kits
