#!/usr/bin/env bash
# Has ONNX's own checker, with its inference of shapes, look at every network
# that the cases of test/frameworks and test/operators import. ONNX files are left
# out: they stay as they were.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.zoo/checker
if [ ! -x "$venv/bin/check-ready" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q onnx==1.23.2
  ln -s python "$venv/bin/check-ready" # only a finished install has it
fi
export STOA_KEEP_ONNX
STOA_KEEP_ONNX=$(mktemp -d)
trap 'rm -rf "$STOA_KEEP_ONNX"' EXIT
go test -count=1 ./test/operators ./test/frameworks -run 'TestOperators|TestCases'
"$venv/bin/python" - "$STOA_KEEP_ONNX" <<'PY'
import pathlib, sys
import onnx

bad, files = 0, sorted(p for p in pathlib.Path(sys.argv[1]).glob("*.onnx") if not p.name.startswith("onnx_"))
for path in files:
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as err:  # whatever the checker has to say
        bad += 1
        print(f"{path.name}: {err}")
print(f"checker: {len(files) - bad} of {len(files)} networks pass")
sys.exit(bad > 0 or not files)
PY
