#!/usr/bin/env bash
# Fetches what a build needs and this machine lacks: ONNX Runtime's library.
# Does nothing where all is there. Every failure is one sentence and its remedy.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
. tools/onnxruntime.sh

go=$(command -v go) || fail "Go is not installed: install Go 1.26 (https://go.dev/dl), then try again."
have=$("$go" env GOVERSION)
case "$have" in
  go1.2[6-9]*|go1.[3-9][0-9]*) ;;
  *) fail "Go is $have, and Stoa needs 1.26 or newer: install it, then try again." ;;
esac
command -v "$("$go" env CC)" >/dev/null || fail "no C compiler: install one (apt-get install gcc libc6-dev), then try again."

if have_onnxruntime bin/lib; then exit 0; fi
arch=$(wheel_arch "$(uname -m)")
fetch_onnxruntime "$arch" bin/lib
