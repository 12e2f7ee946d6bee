#!/usr/bin/env bash
# The suites that need more than make test: the site in a real browser, its
# TypeScript and its bundle; the race detector over the rooms that own
# goroutines, each fuzz corpus' neighbourhood for a moment, and what a newcomer
# does, through the real binary. Each prints its time.
set -euo pipefail
cd "$(dirname "$0")/.."
step() { local start=$SECONDS; echo "== $*"; "$@"; echo "== $* took $((SECONDS - start)) s"; }

# have installs a program of Debian's where it is missing and we may.
have() {
  command -v "$1" >/dev/null && return 0
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "$1 is missing: install it (apt-get install $1)"; exit 1; }
  { apt-get update && apt-get install -y --no-install-recommends "$1"; } >/dev/null
}

# site installs what the browser tests need, and holds the site's sources to
# their types and the committed bundle to the sources.
site() {
  have chromium
  have npm
  npm ci --prefix test/browser --no-audit --no-fund
  test/browser/node_modules/.bin/tsc --noEmit -p internal/web/tsconfig.json
  go generate ./internal/web
  [ -z "$(git status --porcelain internal/web/dist)" ] || {
    git diff --stat -- internal/web/dist
    echo "internal/web/dist is not what go generate ./internal/web makes: run it, and commit what it writes"
    exit 1
  }
}

# newcomer runs in a subshell, so that its server is stopped however it ends.
newcomer() (
  data=$(mktemp -d) home=$(mktemp -d)
  export HOME=$home
  trap 'bin/stoa down --data "$data" >/dev/null 2>&1 || true; rm -rf "$data" "$home"' EXIT
  bin/stoa up --data "$data" --listen 127.0.0.1:18080 --demos demo
  bin/stoa call demo/places --file demo/places/samples/stream.jpg | grep -q '"label":"forest"'
  bin/stoa up --data "$data" --listen 127.0.0.1:18080 --demos demo --json | grep -q '"new": false'
  curl -fsS http://127.0.0.1:18080/ | grep -q 'demo/colorize'
  bin/stoa down --data "$data"
)

# release uses the archive in an empty Debian, where one can be made: a mirror
# that is down says nothing of the change that is tested.
release() {
  local status=0
  tools/test-release.sh || status=$?
  [ "$status" != 77 ] || { echo "SKIPPED: the release was not tried, since the test could not be made ready here"; return 0; }
  return "$status"
}

# noskips runs all tests with those that fetch packages, and a storm of a minute,
# and refuses one that did not run, unless an acceptance table names it.
noskips() {
  local out
  out=$(mktemp)
  export STOA_REGISTRIES=1
  go test -timeout 20m -v $(go list ./... | grep -v /test/code) >"$out" 2>&1 &&
    go test -timeout 20m -v ./test/code -storm 60s >>"$out" 2>&1 || { grep -E -B25 -A5 '^ *--- FAIL|^panic' "$out"; rm "$out"; return 1; }
  [ "${STOA_CI:-}" = 1 ] || { rm "$out"; return 0; }
  sed -nE 's/^ *--- SKIP: ([A-Za-z0-9_]+).*/\1/p' "$out" | sort -u | while read -r name; do
    grep -rq "\`$name\`.*skipped" docs/acceptance || { echo "$name was skipped, and docs/acceptance does not say why"; exit 1; }
  done
  rm "$out"
}

# The race detector's own memory would meet the limits that these tests set to
# an import; make test runs them without it.
limits='TestLimitsOfTheManifest|TestImportsRunUnderTheServersLimit'

step site
step go test -count=1 ./test/browser
step test/kits/kits.sh
step noskips
step go test -race -skip "$limits" ./internal/wire/... ./internal/worker ./internal/worker/ort ./internal/runner ./internal/shim ./internal/invoke ./internal/logbook ./internal/egress ./internal/layers ./internal/fleet/... ./internal/catalog ./internal/account ./internal/api/... ./internal/serve
step newcomer
step release
# By count, not by time: at the end of its time the fuzzer may fail with nothing
# but "context deadline exceeded", as was seen here once.
step tools/fuzz.sh 2000x
