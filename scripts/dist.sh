#!/usr/bin/env bash
# `make dist`: writes the files of a release into build/dist. Each part is a script in packaging/dist.
#
#   scripts/dist.sh                  all parts
#   scripts/dist.sh PART…            only these, such as source
#   scripts/dist.sh --check [PART…]  builds them twice, in two clones of the commit in different folders, and compares the files
#   DIST=folder DIST_BUILD=folder    other folders than build/dist and build/dist-build
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."

# The folder of --check.
TWICE=$(realpath -m "${DIST_BUILD:-build/dist-check}")
PARTS=(source debian rpm arch recipes wheels gem windows sbom sums)
check=''
if [ "${1:-}" = --check ]; then
  check=1
  shift
fi
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=("${PARTS[@]}")
for part in "${parts[@]}"; do
  [[ " ${PARTS[*]} " = *" $part "* ]] || fail "no such part: $part. There are: ${PARTS[*]}"
done

# built NAME CLONE SETTING…: builds the parts in a clone of the commit. The settings differ as those of two machines do.
built() {
  local name=$1 clone=$2
  shift 2
  mkdir -p "$(dirname "$clone")"
  # As a condition, the subshell would go on after its first failure: hence &&. The steps are its progress: a line for each.
  (
    unset DIST DIST_BUILD
    umask "$UMASK"
    git clone --quiet --no-hardlinks . "$clone" &&
      cd "$clone" &&
      env "$@" scripts/dist.sh "${parts[@]}" &&
      # The signature is not always the same.
      cd build/dist &&
      find . -type f ! -name 'SHA256SUMS*' ! -name '*.pub' -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum
  ) 2>&1 | tee "$clone.log" | sed -un "s/^   ok: /   $name: /p" >&3 || { tail -n 60 "$clone.log" >&2; fail "cannot build in $clone"; }
  grep -E '^[0-9a-f]{64}  ' "$clone.log" >"$clone.sums"
}
one() { UMASK=022 built one "$TWICE/one" TZ=UTC LC_ALL=C; }
another() { UMASK=027 built another "$TWICE/another/path" TZ=Pacific/Auckland LC_ALL=C.UTF-8; }

compared() {
  { diff "$TWICE/one.sums" "$TWICE/another/path.sums" || true; } | sed -n 's/^[<>] [0-9a-f]*  //p' | sort -u >"$TWICE/differences"
  cat "$TWICE/one.sums"
  [ ! -s "$TWICE/differences" ] || fail "These files differ between two builds:
$(cat "$TWICE/differences")"
}

if [ -n "$check" ]; then
  rm -rf "$TWICE"
  # At the same time: most of a build's time is that of a linker, which uses one core.
  exec 3>&1
  background one
  background another
  say 'build in one folder, and in another'
  finish one 'build in one folder'
  finish another 'build in another folder'
  step 'the files are the same' compared
  exit
fi

# What an earlier version left must not be among the files of this one.
former=${DIST:-build/dist}/SHA256SUMS
if [ $# = 0 ] && [ -e "$former" ]; then
  (cd "$(dirname "$former")" && sed 's/^[0-9a-f]*  //' SHA256SUMS | xargs -d '\n' rm -f)
fi
for part in "${parts[@]}"; do step "$part" "packaging/dist/$part.sh"; done
