#!/usr/bin/env bash
# Unpacks this machine's archive in an empty Debian (minbase and bubblewrap) that has
# neither Go nor compiler nor pip, and no network but loopback, and holds it to what is
# promised: ./stoa up colours the photo within 20 s. As root, who alone can make
# an empty Debian; the first time it fetches 40 MB. Status 77 says that the test
# could not be made ready here, which tells nothing of the release.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'test-release: %s\n' "$*" >&2; exit 1; }
unready() { printf 'test-release: %s\n' "$*" >&2; exit 77; }
step() { printf '== %s\n' "$*"; }

[ "$(id -u)" = 0 ] || unready "making an empty Debian needs root: run it as root, or in a container."
for tool in debootstrap bwrap; do
  command -v "$tool" >/dev/null ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends debootstrap bubblewrap; } >/dev/null ||
    unready "there is no $tool: apt-get install debootstrap bubblewrap, then try again."
done

. tools/onnxruntime.sh
arch=$(go env GOHOSTARCH)
fetch_onnxruntime "$(wheel_arch "$arch")" ".cache/onnxruntime/$onnxruntime-$arch" || unready "the archive lacks ONNX Runtime."

# The mirror and the release are those of this machine.
read -r mirror suite < <(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | awk '$2 !~ /[-\/]/' | head -n 1) ||
  unready "apt names no mirror on this machine: see /etc/apt/sources.list."
root=$PWD/.cache/minbase-bwrap-$suite
if [ ! -d "$root" ]; then
  step "an empty Debian ($suite)"
  mkdir -p .cache
  rm -rf "$root.new"
  timeout 300 debootstrap --variant=minbase --include=bubblewrap "$suite" "$root.new" "$mirror" > .cache/debootstrap.log 2>&1 ||
    unready "debootstrap failed: $(tail -n 1 .cache/debootstrap.log)"
  rm -rf "$root.new/var/cache/apt/archives" "$root.new/dev"
  mkdir "$root.new/dev"
  mv "$root.new" "$root"
fi

bwrap --cap-add ALL --dev-bind / / --unshare-net unshare --mount --pid --fork true 2>/dev/null ||
  unready "bubblewrap may not make namespaces here: run it outside of this container."

step "the archive, twice: the same bytes"
tools/release.sh "$arch" >/dev/null
first=$(cat dist/SHA256SUMS)
tools/release.sh "$arch" >/dev/null
[ "$(cat dist/SHA256SUMS)" = "$first" ] || fail "the second archive differs from the first: $first, $(cat dist/SHA256SUMS)"
(cd dist && sha256sum --check --quiet SHA256SUMS)
archive=$PWD/dist/$(awk -v arch="$arch" '$2 ~ "-linux-" arch "[.]" {print $2}' dist/SHA256SUMS)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/inside.sh" <<'INSIDE'
set -eu
fail() { echo "as $(id -u): $*" >&2; exit 1; }
for tool in go gcc cc python3 pip; do
  if command -v $tool >/dev/null; then fail "$tool is here, so that this proves nothing"; fi
done
cd "$HOME"
start=$(date +%s%N)
tar xf /archive.tar.gz
cd stoa-*
top=$PWD
./stoa up > up.txt || { cat up.txt; cat .stoa/server.log; fail "stoa up failed"; }
took=$(( ($(date +%s%N) - start) / 1000000 ))
cat up.txt
picture=$(sed -n 's/^demo\/colorize turned .* into //p' up.txt)
[ "$(head -c 3 "$picture" | od -An -tx1 | tr -d ' ')" = ffd8ff ] || fail "$picture is no JPEG"
[ "$(stat -c %s "$picture")" -gt 20000 ] || fail "$picture is too small for a photo"
./stoa call demo/places --file demo/places/samples/stream.jpg | grep -q '"label":"forest"' || fail "the stream is in no forest"
./stoa doctor || fail "stoa doctor is not content"
./stoa down
# From elsewhere, by its path.
mkdir "$HOME/elsewhere"
cd "$HOME/elsewhere"
"$top/stoa" up --listen 127.0.0.1:8081 | grep -q "turned $top/demo/colorize/samples/before.jpg into .stoa/colorize.jpg" || fail "from elsewhere the demos are not found"
"$top/stoa" down
[ $took -le 20000 ] || fail "tar and stoa up took $took ms, more than 20 s"
echo "as $(id -u): tar xf and stoa up took $took ms"
INSIDE

# inside runs a script in the empty Debian as a user. bubblewrap takes the network
# away; the rest is by hand, since a sandbox within bubblewrap's own /proc could not
# mount one of its own.
inside() {
  rm -rf "$work/home" && mkdir "$work/home" && chown "$1:$1" "$work/home"
  bwrap --cap-add ALL --dev-bind / / --unshare-net unshare --mount --pid --ipc --fork --kill-child sh -ec '
    mount --bind "$1" "$1"
    mount -o remount,bind,ro "$1"
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    mount --rbind /sys "$1/sys"
    mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
    mount --bind "$2/home" "$1/root"
    mount --bind "$3" "$1/archive.tar.gz"
    mount --bind "$2/inside.sh" "$1/inside.sh"
    cd "$1"
    pivot_root . . # a chroot could make no user namespaces
    umount -l .
    cd /root
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root setpriv --reuid="$4" --regid="$4" --clear-groups sh /inside.sh
  ' sh "$root" "$work" "$archive" "$1"
}
touch "$root/archive.tar.gz" "$root/inside.sh" # where the two are bound to
chmod 755 "$work" && chmod 644 "$work/inside.sh"
step "as an ordinary user"
inside 1000
step "as root"
inside 0
