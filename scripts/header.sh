#!/usr/bin/env bash
# Compiles the header, included once and twice, in every C since C99 and every C++ since C++11, without a warning.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

need gcc g++ clang-19

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
printf '#include <pusher.h>\n' >"$WORK/alone"
printf '#include <pusher.h>\n#include <pusher.h>\n' >"$WORK/twice"

# compile LANGUAGE COMPILER STANDARD…
compile() {
  local language=$1 compiler=$2 standard how flags=(-Wall -Wextra -Werror -pedantic -fsyntax-only -I "$ROOT/include")
  shift 2
  [ "$language" != c ] || flags+=(-Wstrict-prototypes)
  for standard in "$@"; do
    for how in alone twice; do
      "$compiler" -std="$standard" -x "$language" "${flags[@]}" "$WORK/$how" ||
        fail "pusher.h, included $how, does not compile cleanly: $compiler -std=$standard"
    done
  done
}

# Older compilers know C23 only as c2x.
step "pusher.h as C, gcc" compile c gcc c99 c11 c17 c2x
step "pusher.h as C, clang" compile c clang-19 c99 c11 c17 c23
step "pusher.h as C++, g++" compile c++ g++ c++11 c++14 c++17 c++20
step "pusher.h as C++, clang" compile c++ clang-19 c++11 c++14 c++17 c++20

# needs COMPILER HEADER STANDARD OLDER: an older standard is refused with a sentence.
needs() {
  printf '#include <%s>\n' "$2" >"$WORK/wrapper"
  ! "$1" -std="$4" -x c++ -fsyntax-only -I "$ROOT/include" "$WORK/wrapper" 2>"$WORK/said" || fail "$2 compiles as $4"
  grep -q "#error \"$2 needs $3\"" "$WORK/said" || grep -q "error: \"$2 needs $3\"" "$WORK/said" ||
    fail "the compiler says: $(head -n 5 "$WORK/said")"
}

step "pusher.hpp before C++17, g++" needs g++ pusher.hpp C++17 c++14
step "pusher.hpp before C++17, clang" needs clang++-19 pusher.hpp C++17 c++14
step "pusher_asio.hpp before C++20, g++" needs g++ pusher_asio.hpp C++20 c++17
step "pusher_asio.hpp before C++20, clang" needs clang++-19 pusher_asio.hpp C++20 c++17
