#!/usr/bin/env bash
# Writes SHA256SUMS with all files of the release, and signs it with minisign.
#
#   MINISIGN_KEY=FILE        the secret key; its password is asked for, or is the line in MINISIGN_PASSWORD. A key without a password
#                            (minisign -G -W) needs neither
#
# The public key of that secret key is put beside it, as libpusher.pub. Without a key, a test key signs: it shows that the verification
# works, and proves nothing about who made the files. Its public key is TEST-KEY.pub.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need minisign

sums() {
  rm -f "$DIST"/SHA256SUMS* "$DIST"/*.pub
  (cd "$DIST" && find . -type f -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum) >"$WORK/SHA256SUMS"
  mv "$WORK/SHA256SUMS" "$DIST/"
}

# Each file is in the table of RELEASE.md.
documented() {
  local name pattern patterns
  mapfile -t patterns < <(sed -n 's/^\(| `[^|]*\)|.*/\1/p' RELEASE.md | grep -o '`[^`]*`' | tr -d '`' | sed "s/VERSION/$VERSION/")
  while read -r name; do
    for pattern in "${patterns[@]}"; do
      # shellcheck disable=SC2053 # a pattern
      [[ $name != $pattern ]] || continue 2
    done
    fail "RELEASE.md does not say what $name is"
  done < <(sed 's/^[0-9a-f]*  //' "$DIST/SHA256SUMS")
}

# signed COMMAND…: runs minisign with the password. It reads it from the terminal or from standard input.
signed() {
  if [ -n "${MINISIGN_PASSWORD:-}" ]; then "$@" <<<"$MINISIGN_PASSWORD"; else "$@"; fi
}

sign() {
  local key=${MINISIGN_KEY:-} public=libpusher.pub comment="libpusher $VERSION"
  if [ -z "$key" ]; then
    key=$WORK/test.key public=TEST-KEY.pub comment="libpusher $VERSION, signed with a TEST KEY, which proves nothing"
    quiet minisign -G -W -s "$key" -p "$WORK/test.pub"
  fi
  # Without a comment of ours, the time would be in it.
  signed minisign -S -s "$key" -m "$DIST/SHA256SUMS" -x "$DIST/SHA256SUMS.minisig" -c "signature of $comment" -t "$comment" \
    >"$WORK/sign.log" || fail "minisign cannot sign with $key"
  signed minisign -R -s "$key" -p "$DIST/$public" >"$WORK/sign.log" || fail "minisign cannot make the public key of $key"
  rm -f "$WORK/test.key"
  [ $public = libpusher.pub ] || say 'SHA256SUMS is signed with a TEST KEY: set MINISIGN_KEY for a release'
  PUBLIC=$public
}

# As a stranger does.
verify() {
  (
    cd "$DIST"
    minisign -Vm SHA256SUMS -p "$PUBLIC"
    sha256sum --check --quiet --ignore-missing SHA256SUMS
  )
  # A changed file is found.
  sed 's/^./x/' "$DIST/SHA256SUMS" >"$WORK/SHA256SUMS"
  ! minisign -V -q -m "$WORK/SHA256SUMS" -x "$DIST/SHA256SUMS.minisig" -p "$DIST/$PUBLIC" 2>/dev/null ||
    fail 'the signature does not depend on the file'
  say "$(wc -l <"$DIST/SHA256SUMS") files, $(du -sh "$DIST" | cut -f 1)"
}

sums
documented
sign
verify
