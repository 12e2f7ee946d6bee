# Fills $DEPS/mod, a module cache, with the modules that go.mod names. Source that
# brings its vendor folder needs none.
if [ ! -f go.mod ] || [ -d vendor ]; then exit 0; fi
export GOMODCACHE="$DEPS/mod" GOFLAGS=-modcacherw GOTOOLCHAIN=local GOWORK=off GOCACHE="$CACHE/go-build"
if [ "$(go list -m all 2>&1 | wc -l)" -le 1 ]; then
  go list -m >/dev/null # says what is wrong with go.mod, if that is why
  exit 0
fi
echo "go mod download"
go mod download
# What was unpacked is not needed twice.
find "$DEPS/mod/cache/download" -name '*.zip' -exec rm -f {} +
