#!/usr/bin/env bash
# Puts sockudo, a Channels server written in Rust (MIT), into the cache, and prints the path of its program. It can share
# its state with other nodes through Redis.
#
# The first run compiles it at a low priority, which takes 4 to 10 minutes on two cores.
. "$(dirname "$0")/../../scripts/lib.sh"
# shellcheck disable=SC2034 # cargo_program reads it
NEEDS=(
  pkg-config /usr/include/openssl/ssl.h=libssl-dev
  protoc=protobuf-compiler /usr/include/google/protobuf/timestamp.proto=libprotobuf-dev
)
cargo_program sockudo 5.2.0 local,redis
