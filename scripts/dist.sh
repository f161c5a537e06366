#!/usr/bin/env bash
# `make dist`: writes the files of a release into build/dist. Each part is a script in packaging/dist.
#
#   scripts/dist.sh                  all parts
#   scripts/dist.sh PART…            only these, such as source
#   DIST=folder DIST_BUILD=folder    other folders than build/dist and build/dist-build
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."

PARTS=(source)
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=("${PARTS[@]}")
for part in "${parts[@]}"; do
  [[ " ${PARTS[*]} " = *" $part "* ]] || fail "no such part: $part. There are: ${PARTS[*]}"
done
for part in "${parts[@]}"; do step "$part" "packaging/dist/$part.sh"; done
