#!/usr/bin/env bash
# Writes the source tarball with the source of every crate.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

quiet "$CHECKOUT/packaging/tarball.sh" "$WORK"
release_file "$WORK/libpusher-$VERSION.tar.xz"
echo "$(git rev-parse HEAD) $(sha256sum "$DIST/libpusher-$VERSION.tar.xz")" >"$TARBALL_OF"
