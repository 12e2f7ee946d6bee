#!/usr/bin/env bash
# Writes dist/stoa-VERSION-linux-ARCH.tar.gz for each architecture given (amd64
# and arm64 by default), and dist/SHA256SUMS. The same commit with the same
# compilers gives the same bytes: times are the commit's, files are sorted,
# nobody owns them. Every failure is one sentence and its remedy.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'release: %s\n' "$*" >&2; exit 1; }
. tools/onnxruntime.sh

version=$(git describe --tags --always --dirty) || fail "this is no clone of the repository: the version comes from git."
stamp=$(git log -1 --format=%ct)
export LC_ALL=C TZ=UTC
umask 022

# compiler names the C compiler for an architecture; the binding to ONNX Runtime
# is C.
compiler() {
  if [ "$1" = "$(go env GOHOSTARCH)" ]; then go env CC; return; fi
  case "$1" in
    arm64) echo aarch64-linux-gnu-gcc ;;
    amd64) echo x86_64-linux-gnu-gcc ;;
    *) fail "architecture $1 is not known: write amd64 or arm64." ;;
  esac
}

need_compiler() {
  command -v "$(compiler "$1")" >/dev/null && return
  case "$1" in
    arm64) fail "no C compiler for arm64: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross, then try again." ;;
    *) fail "no C compiler for $1: apt-get install gcc-x86-64-linux-gnu libc6-dev-amd64-cross, then try again." ;;
  esac
}

# licences prints the licences of what is linked into the program: Go itself,
# and each module that a package of it comes from.
licences() {
  echo "# What is linked into stoa"
  echo
  echo "Each with its licence, as it came with its source. ONNX Runtime has its own beside it, in lib/."
  one "The Go programming language $(go env GOVERSION)" "$(go env GOROOT)"
  GOARCH=$1 CGO_ENABLED=1 go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/stoa | sort -u |
    while read -r path number dir; do one "$path $number" "$dir"; done
}

one() {
  local found=0 file
  printf '\n## %s\n' "$1"
  while read -r file; do
    found=1
    printf '\n%s:\n\n' "$file"
    sed 's/\r$//; s/^/    /; s/[[:space:]]*$//' "$2/$file"
  done < <(find "$2/" -maxdepth 1 -type f -iregex '.*/\(licen[sc]e\|copying\|notice\|patents\|.*-license\)[^/]*' -printf '%f\n' | grep -v '\.go$' | sort)
  [ "$found" = 1 ] || fail "$1 has no licence beside its source: look why before it is given away."
}

# pack builds for one architecture and writes its archive.
pack() {
  local arch=$1 name="stoa-$version-linux-$1" top
  top="$work/$name"
  mkdir -p "$top/lib"
  CGO_ENABLED=1 GOOS=linux GOARCH=$arch CC=$(compiler "$arch") go build -trimpath -buildvcs=false \
    -ldflags "-s -w -buildid= -X main.build=$version" -o "$top/stoa" ./cmd/stoa
  CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -buildvcs=false -ldflags "-s -w -buildid=" -o "$top/stoa-init" ./cmd/stoa-init
  fetch_onnxruntime "$(wheel_arch "$arch")" ".cache/onnxruntime/$onnxruntime-$arch"
  cp .cache/onnxruntime/"$onnxruntime-$arch"/* "$top/lib/"
  git archive HEAD demo | tar -x -C "$top"
  cp LICENSE "$top/"
  cp tools/release/README.md tools/release/stoa.service tools/release/Dockerfile "$top/"
  licences "$arch" > "$top/THIRD-PARTY.md"
  find "$top" -type d -exec chmod 755 {} +
  find "$top" -type f ! -name stoa ! -name stoa-init ! -name '*.so' -exec chmod 644 {} +
  tar --sort=name --mtime="@$stamp" --owner=0 --group=0 --numeric-owner --format=gnu -C "$work" -cf - "$name" |
    gzip -n -9 > "$work/$name.tar.gz"
  mv "$work/$name.tar.gz" dist/
  rm -rf "$top"
  echo "dist/$name.tar.gz"
}

[ $# -gt 0 ] || set -- amd64 arm64
for arch in "$@"; do need_compiler "$arch"; done
mkdir -p dist
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for arch in "$@"; do pack "$arch"; done
(cd dist && sha256sum "stoa-$version-linux-"*.tar.gz > SHA256SUMS)
echo dist/SHA256SUMS
