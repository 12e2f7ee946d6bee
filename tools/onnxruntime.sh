# Fetches ONNX Runtime out of its Python wheel. Sourced by setup.sh and
# release.sh, which define fail.

# The version is that of requirements-onnxruntime.txt.
onnxruntime=1.32.0

# wheel_arch names an architecture as the wheels do.
wheel_arch() {
  case "$1" in
    x86_64|amd64) echo x86_64 ;;
    aarch64|arm64) echo aarch64 ;;
    *) fail "no ONNX Runtime wheel for $1: build the library, and give its path by --onnxruntime." ;;
  esac
}

# have_onnxruntime tells whether folder $1 has the library of this version.
have_onnxruntime() { [ -f "$1/libonnxruntime.so" ] && [ "$(cat "$1/VERSION" 2>/dev/null)" = "$onnxruntime" ]; }

# fetch_onnxruntime brings the library for wheel architecture $1 into folder $2,
# with its version, licence and notices. It does nothing where it is there.
fetch_onnxruntime() (
  arch=$1 dir=$2
  if have_onnxruntime "$dir"; then return 0; fi
  python=$(command -v python3) || fail "Python 3 is not installed (only its pip is needed, to fetch ONNX Runtime): apt-get install python3-pip, then try again."
  "$python" -m pip --version >/dev/null 2>&1 || fail "Python has no pip: apt-get install python3-pip, then try again."
  tmp=$(mktemp -d)
  trap 'rm -rf "$tmp"' EXIT
  echo "fetching ONNX Runtime $onnxruntime ($arch, 27 MB)" >&2
  if ! "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
      --python-version 3.12 --implementation cp --abi cp312 --platform "manylinux_2_28_$arch" \
      --dest "$tmp" -r tools/requirements-onnxruntime.txt 2>"$tmp/log"; then
    tail -n 3 "$tmp/log" >&2
    fail "ONNX Runtime could not be fetched: check the network and pip's index, then try again; or put libonnxruntime.so $onnxruntime at $dir/libonnxruntime.so."
  fi
  "$python" - "$tmp" <<'PY'
import glob, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/onnxruntime-*.whl")[0])
for name in wheel.namelist():
    base = {"onnxruntime/LICENSE": "LICENSE", "onnxruntime/ThirdPartyNotices.txt": "NOTICES"}.get(name)
    if name.startswith("onnxruntime/capi/libonnxruntime.so."):
        base = "lib"
    if base:
        open(sys.argv[1] + "/" + base, "wb").write(wheel.read(name))
PY
  [ -s "$tmp/lib" ] && [ -s "$tmp/LICENSE" ] && [ -s "$tmp/NOTICES" ] || fail "the wheel of ONNX Runtime $onnxruntime has another form than it had: see tools/onnxruntime.sh."
  mkdir -p "$dir"
  chmod 755 "$tmp/lib"
  cp "$tmp/lib" "$dir/libonnxruntime.so.new" && mv "$dir/libonnxruntime.so.new" "$dir/libonnxruntime.so"
  cp "$tmp/LICENSE" "$dir/LICENSE.onnxruntime"
  cp "$tmp/NOTICES" "$dir/NOTICES.onnxruntime"
  echo "$onnxruntime" > "$dir/VERSION"
)
