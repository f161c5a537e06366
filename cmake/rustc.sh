#!/bin/sh
# Runs rustc for cargo (RUSTC_WRAPPER) so that the libraries name no folder of this machine: the sources are in /libpusher, the crates
# in /cargo. RUSTFLAGS would replace the flags of cargo's configuration, and the other way round.
#
#   PUSHER_SOURCE_DIR, PUSHER_TARGET_DIR    the folders of this build
#   PUSHER_RUSTC_WRAPPER                    another wrapper to run, such as sccache
if [ ${#HOME} -gt 1 ]; then set -- "$@" "--remap-path-prefix=$HOME=/home"; fi
# Of several that match, the last one counts.
exec ${PUSHER_RUSTC_WRAPPER:+"$PUSHER_RUSTC_WRAPPER"} "$@" "--remap-path-prefix=$PUSHER_SOURCE_DIR=/libpusher" \
  "--remap-path-prefix=$PUSHER_TARGET_DIR=/target" "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
