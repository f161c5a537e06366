#!/usr/bin/env bash
# Tests pusher.hpp, pusher_asio.hpp and pusher.ffi.h, and the conformance cases in C and C++.
#
#   scripts/bindings/cpp.sh                                              builds the library and the fault server
#   PUSHER_LIBRARY=file FAULT_SERVER=file scripts/bindings/cpp.sh        uses these
#   scripts/bindings/cpp.sh bench                                        measures pusher.hpp against the C functions instead
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib.sh

out=build/cpp
rm -rf "$out"
mkdir -p "$out"
need gcc g++ clang-19 python3 luajit php=php-cli /usr/include/nlohmann/json.hpp=nlohmann-json3-dev \
  /usr/include/cjson/cJSON.h=libcjson-dev /usr/include/boost/asio.hpp=libboost-dev /usr/include/asio.hpp=libasio-dev \
  /usr/lib/llvm-19/lib/clang/19/lib/linux=libclang-rt-19-dev /usr/lib/python3/dist-packages/cffi/__init__.py=python3-cffi

FLAGS=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -pthread -Iinclude)
# Stricter flags for the header, which users compile, than for the sources of the tests.
STRICT=(-Wsign-conversion -Wold-style-cast -Wcast-qual -Wnon-virtual-dtor -Woverloaded-virtual -Wnull-dereference -Wundef)
QUIET=(-fno-exceptions -fno-rtti -DJSON_NOEXCEPTION)
SANITIZED=(-g -O1 -fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all -DSANITIZED)
LIBRARY=("$out/libpusher.so.0" "-Wl,-rpath,$PWD/$out")

# Runs a command with a time limit.
bounded() { timeout 300 "$@"; }

get_library() {
  library "$out/libpusher.so.0"
  fault_server
}

# Waits for these processes, and fails if one of them failed.
all_of() {
  local job
  for job in "$@"; do wait "$job"; done
}

every_call() {
  local compiler=$1 standard=$2 exceptions=$3 program=$out/every_call-$1-$2-$3 quiet=()
  [ "$exceptions" = yes ] || quiet=("${QUIET[@]}")
  "$compiler" -std="$standard" -O2 "${FLAGS[@]}" "${STRICT[@]}" "${quiet[@]}" -o "$program" tests/cpp/every_call.cpp "${LIBRARY[@]}" ||
    fail "$compiler -std=$standard, exceptions: $exceptions"
  bounded "$program" >/dev/null || fail "$compiler -std=$standard, exceptions: $exceptions: not every call succeeds"
}

# Every standard, both compilers, with and without exceptions: no warning, and each call works.
every_standard() {
  local compiler standard exceptions jobs
  for compiler in g++ clang++-19; do
    for standard in c++17 c++20 c++23; do
      jobs=()
      for exceptions in yes no; do
        every_call "$compiler" "$standard" "$exceptions" &
        jobs+=($!)
      done
      all_of "${jobs[@]}"
    done
  done
}

# The compiler refuses wrong code.
compiler_refuses() {
  local name code refused
  while IFS='|' read -r name code; do
    printf '#include <pusher.hpp>\nvoid f(pusher::client &client) { %s }\n' "$code" >"$out/refused.cpp"
    refused=no
    g++ -std=c++17 "${FLAGS[@]}" -fsyntax-only "$out/refused.cpp" >"$out/refused.log" 2>&1 || refused=yes
    [ "$refused" = "${name%% *}" ] || { cat "$out/refused.log" >&2; fail "refused by the compiler: $refused, expected: $name"; }
  done <<'CASES'
no right|client.trigger("c", "e", "1");
yes an ignored failure|client.try_trigger("c", "e", "1");
yes a client that is copied|pusher::client copy(client);
yes a callback with another parameter|client.set_log([](int) {});
yes a number for a channel|client.trigger(1, "e", "1");
CASES
}

# pusher.hpp has every C function.
every_function() {
  local function
  while read -r function; do
    grep -q "\b$function(" include/pusher.hpp || fail "pusher.hpp has no $function"
  done <abi/symbols.txt
}

# Runs the samples of the header, on a port without a listener, and those of the manual, which publish.
samples() {
  local sample
  python3 - "$out" <<'PYTHON'
import re, sys

out = sys.argv[1]
with open("include/pusher.hpp", encoding="utf-8") as file:
    text = file.read()
blocks = re.findall(r"@code\n(.*?)@endcode", text, re.S)
assert len(blocks) == text.count("@code") == text.count("@endcode") > 2, "a sample without an end"
for number, block in enumerate(blocks):
    code = "\n".join("  " + re.sub(r"^ *\* ?", "", line) for line in block.splitlines()).rstrip()
    own = "" if "client::make" in code or "client client" in code else "  pusher::client client;\n"
    code = re.sub(r"https://(KEY:SECRET)@[^/]*", r"http://\1@127.0.0.1:1", code)
    code = code.replace('.cluster("eu")', '.host("127.0.0.1").port(1).ssl(false)')
    with open(f"{out}/sample{number}.cpp", "w", encoding="utf-8") as file:
        file.write(f"#include <pusher.hpp>\n\n#include <iostream>\n\nint main() {{\n{own}{code}\n  return 0;\n}}\n")
with open("docs/migrating.md", encoding="utf-8") as file:
    programs = re.findall(r"^```cpp\n(.*?)^```", file.read(), re.S | re.M)
assert len(programs) == 1, "the manual has one program"
with open(f"{out}/program.cpp", "w", encoding="utf-8") as file:
    file.write(programs[0])
PYTHON
  for sample in "$out"/sample*.cpp; do
    g++ -std=c++17 "${FLAGS[@]}" -o "${sample%.cpp}" "$sample" "${LIBRARY[@]}"
    PUSHER_URL=http://KEY:SECRET@127.0.0.1:1/apps/1 bounded "${sample%.cpp}" >/dev/null 2>"${sample%.cpp}.said" ||
      fail "$sample ended with $?"
    grep -q 'refused' "${sample%.cpp}.said" || fail "$sample said: $(cat "${sample%.cpp}.said")"
  done
  g++ -std=c++17 "${FLAGS[@]}" -o "$out/program" "$out/program.cpp" "${LIBRARY[@]}"
  PYTHONPATH=tests/support PYTHONDONTWRITEBYTECODE=1 bounded python3 tests/cpp/program.py "$out/program"
}

build_wrapper() {
  sanitized_wrapper &
  local sanitized=$!
  clang++-19 -std=c++20 -O1 "${FLAGS[@]}" "${QUIET[@]}" -c -o "$out/not_throwing.o" tests/cpp/not_throwing.cpp
  clang++-19 -std=c++20 -O1 -D_GNU_SOURCE "${FLAGS[@]}" -o "$out/wrapper" tests/cpp/wrapper.cpp tests/cpp/allocations.cpp \
    "$out/not_throwing.o" "${LIBRARY[@]}"
  all_of "$sanitized"
}
sanitized_wrapper() {
  g++ -std=c++17 "${SANITIZED[@]}" "${FLAGS[@]}" "${QUIET[@]}" -c -o "$out/not_throwing-sanitized.o" tests/cpp/not_throwing.cpp
  g++ -std=c++17 "${SANITIZED[@]}" -D_GNU_SOURCE "${FLAGS[@]}" -o "$out/wrapper-sanitized" tests/cpp/wrapper.cpp \
    tests/cpp/allocations.cpp "$out/not_throwing-sanitized.o" "${LIBRARY[@]}"
}

# The sanitizers must find a planted leak, or their silence proves nothing.
sanitizers_see() {
  printf '#include <pusher.hpp>\nint main() { pusher_authenticate(pusher::client("http://k:s@127.0.0.1:1/apps/1").native_handle(), %s; }\n' \
    '"private-c", "1.2", nullptr, new char *)' >"$out/leak.cpp"
  g++ -std=c++17 "${SANITIZED[@]}" -Iinclude -o "$out/leak" "$out/leak.cpp" "${LIBRARY[@]}"
  if "$out/leak" >"$out/leak.log" 2>&1; then fail "the sanitizers do not find a leaked result"; fi
  grep -q 'LeakSanitizer: detected memory leaks' "$out/leak.log" || fail "$(cat "$out/leak.log")"
}

# asio_test NAME COMPILER [FLAG…]: compiles the test of pusher_asio.hpp.
asio_test() {
  local name=$1 compiler=$2
  shift 2
  # Asio of Debian 12 does not know that newer versions of clang have coroutines.
  case $compiler in clang*) set -- "$@" -D{BOOST_,}ASIO_HAS_{CO_AWAIT,STD_COROUTINE} ;; esac
  "$compiler" -std=c++20 -g "${FLAGS[@]}" "${STRICT[@]}" "$@" -o "$out/asio-$name" tests/cpp/asio.cpp "${LIBRARY[@]}"
}

# Each of the two libraries with each sanitizer and each compiler, in four programs. Without optimisation they compile in half the time.
build_asio() {
  local jobs=() sanitizers=(-fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all)
  asio_test boost-address g++ "${sanitizers[@]}" &
  jobs+=($!)
  asio_test boost-thread clang++-19 -fsanitize=thread &
  jobs+=($!)
  all_of "${jobs[@]}"
  asio_test standalone-address clang++-19 -DPUSHER_ASIO_STANDALONE "${sanitizers[@]}" &
  jobs=($!)
  # Asio has fences, which ThreadSanitizer does not see.
  asio_test standalone-thread g++ -DPUSHER_ASIO_STANDALONE -fsanitize=thread -Wno-tsan &
  jobs+=($!)
  all_of "${jobs[@]}"
}
asio() {
  local program
  # ThreadSanitizer cannot see the locks of the library, which scripts/torture/sanitizers.sh compiles with it.
  echo 'called_from_lib:libpusher.so.0' >"$out/tsan.txt"
  for program in "$out"/asio-{boost,standalone}-{address,thread}; do
    TSAN_OPTIONS=suppressions=$PWD/$out/tsan.txt bounded "$program" >"$out/asio.log" 2>&1 || { cat "$out/asio.log" >&2; fail "$program"; }
  done
}

# ThreadSanitizer must find a planted race, or its silence proves nothing.
races_are_found() {
  local compiler
  printf '#include <thread>\nint main() { int x = 0; std::thread other([&] { x++; }); x++; other.join(); return x == 3; }\n' >"$out/race.cpp"
  for compiler in g++ clang++-19; do
    "$compiler" -std=c++20 -g -fsanitize=thread -pthread -o "$out/race" "$out/race.cpp"
    if "$out/race" >"$out/race.log" 2>&1; then fail "$compiler: ThreadSanitizer does not find a race"; fi
    grep -q 'ThreadSanitizer: data race' "$out/race.log" || fail "$(cat "$out/race.log")"
  done
}

# Compiles the samples of the header and of docs/event-loops.md, and the header without exceptions.
asio_samples() {
  {
    printf '#include <pusher_asio.hpp>\n\n#include <boost/asio.hpp>\n#include <iostream>\n\n'
    printf 'namespace header {\n'
    sed -n '/@code/,/@endcode/ { /@code\|@endcode/d; s/^ \* \?//; p }' include/pusher_asio.hpp
    printf '} // namespace header\n'
    sed -n '/^```cpp/,/^```$/ { /^```/d; p }' docs/event-loops.md
  } >"$out/asio_sample.cpp"
  [ "$(grep -c 'co_await publisher.async_publish' "$out/asio_sample.cpp")" = 2 ] || fail "two samples are expected: $out/asio_sample.cpp"
  g++ -std=c++20 "${FLAGS[@]}" -fsyntax-only "$out/asio_sample.cpp"
  printf '#include <exception>\nnamespace asio::detail { template <typename E> void throw_exception(const E &) { std::terminate(); } }\n' \
    >"$out/asio_throw.hpp"
  cat >"$out/asio_quiet.cpp" <<'CPP'
#include <pusher_asio.hpp>
void f(pusher::async_publisher &publisher) {
  publisher.async_publish("c", "e", "1", [](auto, const auto &) {});
  publisher.async_drain(std::chrono::seconds(1), [](auto, const auto &) {});
  publisher.async_restore("", [](auto, const auto &) {});
}
CPP
  g++ -std=c++20 "${FLAGS[@]}" -fno-exceptions -DPUSHER_ASIO_STANDALONE -DASIO_NO_EXCEPTIONS -include "$out/asio_throw.hpp" -fsyntax-only \
    "$out/asio_quiet.cpp"
}

conformance() {
  # Without optimisation it compiles in half the time.
  g++ -std=c++17 "${SANITIZED[@]}" -O0 -D_GNU_SOURCE "${FLAGS[@]}" -o "$out/conformance" tests/cpp/conformance.cpp "${LIBRARY[@]}" &
  local sanitized=$! program
  clang++-19 -std=c++20 -D_GNU_SOURCE "${FLAGS[@]}" "${QUIET[@]}" -o "$out/conformance-quiet" tests/cpp/conformance.cpp "${LIBRARY[@]}"
  gcc -std=c11 "${SANITIZED[@]}" -D_GNU_SOURCE "${FLAGS[@]}" -o "$out/conformance-c" tests/c/conformance.c "${LIBRARY[@]}" -lcjson
  all_of "$sanitized"
  for program in conformance conformance-quiet conformance-c; do bounded "$out/$program" tests/conformance.json tests/answers.json; done
}

# Each wrong case must fail.
conformance_can_fail() {
  python3 - tests/conformance.json "$out" <<'PYTHON'
import copy, json, sys

source, out = sys.argv[1:]
with open(source, encoding="utf-8") as file:
    whole = json.load(file)
first = next(case for case in whole["cases"] if case["call"] == "trigger" and case.get("published") and case.get("ok") == {})
failing = next(case for case in whole["cases"] if case.get("error", {}).get("delivery") == "unknown" and case["call"] == "trigger")
reported = next(case for case in whole["cases"] if case.get("reports"))
wrong = [copy.deepcopy(case) for case in (first, first, first, failing, failing, reported)]
wrong[0]["ok"] = {"more": 1}
wrong[1]["published"].append({"channel": "c", "name": "e", "data": "1"})
del wrong[2]["ok"]
wrong[2]["error"] = {"status": "NOT_SENT"}
wrong[3]["error"] = {"delivery": "not_sent"}
wrong[4]["error"] = {"delivery": None}
wrong[5]["reports"][0]["status"] = "FORKED"
for number, case in enumerate(wrong):
    with open(f"{out}/wrong{number}.json", "w", encoding="utf-8") as file:
        json.dump(dict(whole, cases=[case]), file)
PYTHON
  local file program
  for file in "$out"/wrong?.json; do
    for program in conformance conformance-quiet conformance-c; do
      code=0
      bounded "$out/$program" "$file" >"$out/wrong.log" 2>&1 || code=$?
      [ "$code" = 1 ] || { cat "$out/wrong.log" >&2; fail "$program ends with $code on $file"; }
    done
  done
}

# Compares pusher.ffi.h with preprocessed pusher.h, token by token: the Rust test that writes pusher.ffi.h has its own preprocessor.
tokens() { tr '\n' ' ' | sed -E 's/[[:space:]]+/ /g; s/, ?\}/ }/g; s/; ?/;\n/g; s/ \n/\n/g'; }
same_as_preprocessed() {
  mkdir -p "$out/empty"
  : >"$out/empty/stddef.h"
  : >"$out/empty/stdint.h"
  gcc -E -P -std=c99 -nostdinc -I"$out/empty" include/pusher.h | tokens >"$out/pusher.h.tokens"
  gcc -E -P -std=c99 include/pusher.ffi.h | tokens | grep -v PUSHER_VERSION_NUMBER >"$out/pusher.ffi.h.tokens"
  diff "$out/pusher.h.tokens" "$out/pusher.ffi.h.tokens" || fail "pusher.ffi.h is not what a preprocessor leaves of pusher.h"
}

# With the headers for its types, pusher.ffi.h is valid C.
ffi_header_is_c() {
  printf '#include <stddef.h>\n#include <stdint.h>\n#include "pusher.ffi.h"\n' >"$out/ffi.c"
  gcc -std=c99 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only "$out/ffi.c"
  clang-19 -std=c99 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only "$out/ffi.c"
}

ffi_parsers() {
  bounded /usr/bin/python3 tests/cpp/ffi/parse.py include/pusher.ffi.h "$PWD/$out/libpusher.so.0"
  bounded php -d ffi.enable=1 tests/cpp/ffi/parse.php include/pusher.ffi.h "$PWD/$out/libpusher.so.0"
  bounded luajit tests/cpp/ffi/parse.lua include/pusher.ffi.h "$PWD/$out/libpusher.so.0"
}

benchmark() {
  g++ -std=c++17 -O2 "${FLAGS[@]}" -o "$out/benchmark" tests/cpp/benchmark.cpp "${LIBRARY[@]}"
  bounded "$out/benchmark" "$@"
}

# Runs the benchmark once, so that it keeps working. The figures are not used.
benchmark_works() { benchmark 1 >/dev/null; }

step "library and fault server" get_library
if [ "${1:-}" = bench ]; then
  step "what pusher.hpp costs" benchmark
  exit
fi
step "pusher.hpp in every C++ since C++17, with exceptions and without" every_standard
step "what the compiler has to refuse" compiler_refuses
step "every function of the library" every_function
step "the samples in pusher.hpp and the manual" samples
step "building the tests of pusher.hpp" build_wrapper
step "pusher.hpp" bounded "$out/wrapper"
step "the sanitizers" sanitizers_see
step "pusher.hpp under the sanitizers" bounded "$out/wrapper-sanitized"
step "building the tests of pusher_asio.hpp" build_asio
step "ThreadSanitizer" races_are_found
step "pusher_asio.hpp with Boost.Asio and standalone Asio, under the sanitizers" asio
step "the samples of pusher_asio.hpp" asio_samples
step "conformance: C++ with exceptions, C++ without, C" conformance
step "conformance can fail" conformance_can_fail
step "pusher.ffi.h beside a preprocessor" same_as_preprocessed
step "pusher.ffi.h as C" ffi_header_is_c
step "pusher.ffi.h in cffi, PHP and LuaJIT" ffi_parsers
step "the benchmark, once" benchmark_works
