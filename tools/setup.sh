#!/usr/bin/env bash
# Fetches what a build needs and this machine lacks: ONNX Runtime's library.
# Does nothing where all is there. Every failure is one sentence and its remedy.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

version=1.32.0
lib=bin/lib/libonnxruntime.so

go=$(command -v go) || fail "Go is not installed: install Go 1.26 (https://go.dev/dl), then try again."
have=$("$go" env GOVERSION)
case "$have" in
  go1.2[6-9]*|go1.[3-9][0-9]*) ;;
  *) fail "Go is $have, and Stoa needs 1.26 or newer: install it, then try again." ;;
esac
command -v "$("$go" env CC)" >/dev/null || fail "no C compiler: install one (apt-get install gcc libc6-dev), then try again."

if [ -f "$lib" ] && [ "$(cat bin/lib/VERSION 2>/dev/null)" = "$version" ]; then
  exit 0
fi
case "$(uname -m)" in
  x86_64) arch=x86_64 ;;
  aarch64|arm64) arch=aarch64 ;;
  *) fail "no ONNX Runtime wheel for $(uname -m): build the library, and give its path by --onnxruntime." ;;
esac
python=$(command -v python3) || fail "Python 3 is not installed (only its pip is needed, to fetch ONNX Runtime): apt-get install python3-pip, then try again."
"$python" -m pip --version >/dev/null 2>&1 || fail "Python has no pip: apt-get install python3-pip, then try again."

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
echo "setup: fetching ONNX Runtime $version ($arch, 27 MB)" >&2
if ! "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --python-version 3.12 --implementation cp --abi cp312 --platform "manylinux_2_28_$arch" \
    --dest "$tmp" -r tools/requirements-onnxruntime.txt 2>"$tmp/log"; then
  tail -n 3 "$tmp/log" >&2
  fail "ONNX Runtime could not be fetched: check the network and pip's index, then try again; or put libonnxruntime.so $version at $lib."
fi
"$python" - "$tmp" <<'PY'
import glob, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/onnxruntime-*.whl")[0])
for name in wheel.namelist():
    if name.startswith("onnxruntime/capi/libonnxruntime.so."):
        open(sys.argv[1] + "/lib", "wb").write(wheel.read(name))
    if name == "onnxruntime/LICENSE":
        open(sys.argv[1] + "/LICENSE", "wb").write(wheel.read(name))
PY
mkdir -p bin/lib
mv "$tmp/lib" "$lib.new" && chmod 755 "$lib.new" && mv "$lib.new" "$lib"
cp "$tmp/LICENSE" bin/lib/LICENSE.onnxruntime
echo "$version" > bin/lib/VERSION
