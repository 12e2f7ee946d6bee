# Makes one static program of the author's package and the runner in this folder.
export CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off GOPROXY=off GOSUMDB=off GOFLAGS=-buildvcs=false
export GOMODCACHE="$DEPS/mod" GOCACHE="$CACHE/go-build"

fail() {
  echo "$*" >&2
  exit 1
}

# What is no Go source stays beside the program, which may read it.
cp -RP . "$OUT/"
rm -rf "$OUT/vendor"
find "$OUT" \( -name '*.go' -o -name go.mod -o -name go.sum \) -type f -exec rm -f {} +

if [ ! -f go.mod ]; then
  go mod init algorithm 2>/dev/null || fail "go.mod cannot be made: run go mod init"
fi

# The package: of the entry, or else the only one that has func Apply.
if [ -n "$STOA_ENTRY" ]; then
  package=$STOA_ENTRY
  case $package in *.go) package=$(dirname "$package") ;; esac
else
  files=$(find . -name '*.go' ! -name '*_test.go' ! -path './vendor/*' -exec grep -lE '^func Apply\(' {} + || true)
  [ -n "$files" ] || fail "no package here has func Apply: write func Apply(input string) (string, error)"
  packages=$(printf '%s\n' "$files" | sed 's|/[^/]*$||' | sort -u)
  [ "$(printf '%s\n' "$packages" | wc -l)" = 1 ] ||
    fail "func Apply is in several packages: name one in code.entry of stoa.yaml:" $packages
  package=$packages
fi
package=${package#./}
[ -d "$package" ] || fail "code.entry: there is no package $package"

name=$(go list -f '{{.Name}}' "./$package")
[ "$name" != main ] || fail "package main cannot be imported: call the package algorithm, and leave its main out"
module=$(go list -m)
import=$module
if [ "$package" != . ]; then import=$module/$package; fi

mkdir stoa_runner
cp "$LANG_DIR"/*.go stoa_runner/
load=nil
if find "$package" -maxdepth 1 -name '*.go' ! -name '*_test.go' -exec grep -qE '^func Load\(' {} +; then load=author.Load; fi
place=$(find "$package" -maxdepth 1 -name '*.go' ! -name '*_test.go' -exec grep -HnE '^func Apply\(' {} + | sed -n '1s|^\(\./\)*\([^:]*:[0-9]*\):.*|\2|p')
cat >stoa_runner/author.go <<END
package main

import author "$import"

var (
	place = "${place:-$import}"
	apply interface{} = author.Apply
	load  interface{} = $load
)
END
go build -trimpath -ldflags='-s -w' -o "$OUT/stoa-program" ./stoa_runner
"$OUT/stoa-program" -check
