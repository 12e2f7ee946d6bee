#!/usr/bin/env bash
# Unpacks this machine's archive in an empty Debian (minbase) that has neither
# Go nor compiler nor pip, and no network but loopback, and holds it to what is
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
root=$PWD/.cache/minbase-$suite
if [ ! -d "$root" ]; then
  step "an empty Debian ($suite)"
  mkdir -p .cache
  rm -rf "$root.new"
  timeout 300 debootstrap --variant=minbase "$suite" "$root.new" "$mirror" > .cache/debootstrap.log 2>&1 ||
    unready "debootstrap failed: $(tail -n 1 .cache/debootstrap.log)"
  rm -rf "$root.new/var/cache/apt/archives" "$root.new/dev"
  mkdir "$root.new/dev"
  mv "$root.new" "$root"
fi

bwrap --unshare-net --ro-bind "$root" / --proc /proc --dev /dev true 2>/dev/null ||
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

# inside runs a script in the empty Debian, with the options of bwrap that make
# it somebody.
inside() {
  rm -rf "$work/home" && mkdir "$work/home"
  bwrap "$@" --unshare-net --unshare-pid --unshare-ipc --die-with-parent --new-session --clearenv \
    --ro-bind "$root" / --proc /proc --dev /dev --tmpfs /tmp --bind "$work/home" /root \
    --ro-bind "$archive" /archive.tar.gz --ro-bind "$work/inside.sh" /inside.sh \
    --setenv PATH /usr/sbin:/usr/bin:/sbin:/bin --setenv HOME /root --chdir /root sh /inside.sh
}
touch "$root/archive.tar.gz" "$root/inside.sh" # where the two are bound to
step "as an ordinary user"
inside --unshare-user --uid 1000 --gid 1000
step "as root"
inside
