# Fills $DEPS with the packages that the lock file names.
lock=requirements.txt
if [ -f requirements.lock ]; then lock=requirements.lock; fi
if [ ! -f "$lock" ]; then exit 0; fi
# pip alone: the host's other packages are none of the version's.
only=$(mktemp -d)
pip=$(python3 -c 'import os, pip; print(os.path.dirname(pip.__file__))') || {
  echo "python3 has no pip: install python3-pip" >&2
  exit 1
}
ln -s "$pip" "$only/pip"

offline() {
  if [ -z "$STOA_NETWORK" ]; then echo "this build had no network: set code.build.network in stoa.yaml"; fi
}

errors=$(mktemp)
echo "pip install -r $lock"
PYTHONPATH=$only python3 -S -m pip install --no-compile --no-input --disable-pip-version-check --no-warn-script-location \
  --root-user-action=ignore --progress-bar off --cache-dir "$CACHE/pip" --target "$DEPS" -r "$lock" 2>"$errors" || {
  cat "$errors"
  # pip names the package, or the line in words: a person wants FILE:LINE.
  at=$(sed -n 's/.*(from line \([0-9]*\) of \([^()]*\))$/\2:\1/p' "$errors" | sed -n '$p')
  if [ -n "$at" ]; then
    echo "$at: $(sed -n 's/ (from line.*//; s/^ERROR: //p' "$errors" | sed -n '1p')"
  fi
  sed -n 's/^ERROR: No matching distribution found for \([^ ]*\).*/\1/p' "$errors" | while read -r wanted; do
    name=$(printf '%s\n' "$wanted" | sed 's/[^A-Za-z0-9._-].*//')
    line=$(grep -niE "^ *$name([^A-Za-z0-9._-]|\$)" "$lock" | sed -n '1s/:.*//p')
    if [ -n "$line" ]; then echo "$lock:$line: no version of $wanted can be had"; fi
  done
  offline
  exit 1
}
cat "$errors"
rm -rf "$errors" "$only"
python3 -S "$LANG_DIR/compile.py" "$DEPS"
