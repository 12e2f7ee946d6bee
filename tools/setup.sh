#!/usr/bin/env bash
# Fetches what a build needs and this machine lacks: ONNX Runtime's library, and
# bubblewrap, of which sandboxes are made. Does nothing where all is there. Every
# failure is one sentence and its remedy.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
. tools/onnxruntime.sh

# have_bwrap: it is installed, or an earlier setup has unpacked it beside stoa.
have_bwrap() {
  command -v bwrap >/dev/null && return
  for path in bin/bwrap bin/usr/bin/bwrap; do [ -x "$path" ] && return; done
  return 1
}

# fetch_bwrap: with apt as root; as another user the package is only unpacked,
# which is enough: it needs no rights, but its library, which most systems have.
fetch_bwrap() {
  command -v apt-get >/dev/null || fail "bubblewrap (bwrap) is not installed: install it with this system's package manager, then try again."
  if [ "$(id -u)" = 0 ]; then
    echo "setup: installing bubblewrap"
    apt-get install -y -qq --no-install-recommends bubblewrap >/dev/null 2>&1 ||
      { apt-get update -qq && apt-get install -y -qq --no-install-recommends bubblewrap >/dev/null; } ||
      fail "bubblewrap cannot be installed: run apt-get install bubblewrap and look at what it says."
    return
  fi
  echo "setup: unpacking bubblewrap into bin/usr"
  local tmp; tmp=$(mktemp -d)
  (cd "$tmp" && apt-get download -qq bubblewrap >/dev/null 2>&1) && dpkg -x "$tmp"/bubblewrap_*.deb "$tmp/root" &&
    mkdir -p bin/usr/bin && cp "$tmp/root/usr/bin/bwrap" bin/usr/bin/bwrap ||
    { rm -rf "$tmp"; fail "bubblewrap (bwrap) is not installed and cannot be fetched: ask an administrator for apt-get install bubblewrap."; }
  rm -rf "$tmp"
  bin/usr/bin/bwrap --version >/dev/null 2>&1 ||
    fail "bubblewrap was unpacked, but a library that it needs is missing: ask an administrator for apt-get install bubblewrap."
}

go=$(command -v go) || fail "Go is not installed: install Go 1.26 (https://go.dev/dl), then try again."
have=$("$go" env GOVERSION)
case "$have" in
  go1.2[6-9]*|go1.[3-9][0-9]*) ;;
  *) fail "Go is $have, and Stoa needs 1.26 or newer: install it, then try again." ;;
esac
command -v "$("$go" env CC)" >/dev/null || fail "no C compiler: install one (apt-get install gcc libc6-dev), then try again."
have_bwrap || fetch_bwrap

if have_onnxruntime bin/lib; then exit 0; fi
arch=$(wheel_arch "$(uname -m)")
fetch_onnxruntime "$arch" bin/lib
