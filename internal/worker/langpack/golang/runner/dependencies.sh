# Fills $DEPS/mod, a module cache, with the modules that go.mod names. Source that
# brings its vendor folder needs none.
if [ ! -f go.mod ] || [ -d vendor ]; then exit 0; fi
export GOMODCACHE="$DEPS/mod" GOFLAGS=-modcacherw GOTOOLCHAIN=local GOWORK=off GOCACHE="$CACHE/go-build"

offline() {
  if [ -z "$STOA_NETWORK" ]; then echo "this build had no network: set code.build.network in stoa.yaml"; fi
}

errors=$(mktemp)
go mod download 2>"$errors" || {
  cat "$errors"
  # go names the module: a person wants FILE:LINE.
  sed -nE 's/^(go: |\t)?(module )?([^ @:]+)@[^ ]*: .*/\3/p' "$errors" | sort -u | while read -r name; do
    line=$(grep -nF "$name " go.mod | sed -n '1s/:.*//p')
    if [ -n "$line" ]; then echo "go.mod:$line: $name cannot be had"; fi
  done
  offline
  exit 1
}
grep -v 'no module dependencies to download' "$errors" || true
rm -f "$errors"
# What was unpacked is not needed twice.
if [ -d "$DEPS/mod/cache/download" ]; then
  find "$DEPS/mod/cache/download" -name '*.zip' -exec rm -f {} +
fi
