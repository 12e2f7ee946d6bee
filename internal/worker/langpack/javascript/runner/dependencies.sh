# Fills $DEPS/node_modules with the packages that package.json names.
if ! node "$LANG_DIR/wanted.js"; then exit 0; fi

# The package's own scripts, which need its source, are left out; those of its
# dependencies run.
node "$LANG_DIR/wanted.js" write "$DEPS/package.json"
source=$PWD
command=install
for lock in npm-shrinkwrap.json package-lock.json; do
  if [ -f "$lock" ]; then
    cp "$lock" "$DEPS/"
    command=ci
  fi
done
for file in *.tgz; do # that file: names
  if [ -f "$file" ]; then cp "$file" "$DEPS/"; fi
done

export npm_config_cache="$CACHE/npm" npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false
export npm_config_progress=false npm_config_omit=dev
offline() {
  if [ -z "$STOA_NETWORK" ]; then echo "this build had no network: set code.build.network in stoa.yaml"; fi
}

errors=$(mktemp)
cd "$DEPS"
echo "npm $command"
npm "$command" 2>"$errors" || {
  cat "$errors"
  # npm names the package: a person wants FILE:LINE.
  sed -nE "s/^npm (error|ERR!) (404 +'|notarget No matching version found for )(@?[^@']+)@.*/\3/p" "$errors" | sort -u | while read -r name; do
    line=$(grep -nF "\"$name\"" "$source/package.json" | sed -n '1s/:.*//p')
    if [ -n "$line" ]; then echo "package.json:$line: no such version of $name can be had"; fi
  done
  offline
  exit 1
}
cat "$errors"
rm -f "$errors" ./*.tgz
