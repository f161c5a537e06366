#!/usr/bin/env bash
# Compiles and runs the samples in the header's comments (@code ... @endcode), and compiles the examples of the manual pages.
#
#   scripts/samples.sh                          builds the library
#   PUSHER_LIB_DIR=folder scripts/samples.sh    uses libpusher.so from there
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

need cc=gcc python3
out=build/samples
rm -rf "$out"
mkdir -p "$out"

# Writes a C file for each sample. A sample that creates no client gets one.
extract() {
  python3 - include/pusher.h "$out" <<'PYTHON'
import re, sys

header, out = sys.argv[1:]
text = open(header, encoding="utf-8").read()
blocks = re.findall(r"@code\n(.*?)@endcode", text, re.S)
assert len(blocks) == text.count("@code") == text.count("@endcode") > 0, "a sample without an end"
for number, block in enumerate(blocks):
    lines = [re.sub(r"^ *\* ?", "", line) for line in block.splitlines()]
    code = "\n".join("  " + line for line in lines).rstrip()
    made = "Pusher *client;" in code
    own = "" if made else (
        "  Pusher *client;\n"
        '  if (pusher_new(getenv("SAMPLE_CONFIG"), &client, NULL) != PUSHER_STATUS_OK) return 2;\n')
    free = "" if made else "  pusher_free(client);\n"
    with open(f"{out}/sample{number}.c", "w", encoding="utf-8") as file:
        file.write("#include <pusher.h>\n\n#include <stdio.h>\n#include <stdlib.h>\n\n"
                   f"int main(void) {{\n{own}{code}\n{free}  return 0;\n}}\n")
PYTHON
}

build() {
  local sample
  library "$out/libpusher.so.0"
  for sample in "$out"/sample*.c; do
    cc -std=c99 -Wall -Wextra -Werror -pedantic -Iinclude -o "${sample%.c}" "$sample" "$out/libpusher.so.0" -Wl,-rpath,'$ORIGIN'
  done
  for sample in docs/examples/*.c; do
    cc -std=c99 -Wall -Wextra -Werror -pedantic -Iinclude -c -o "$out/example.o" "$sample"
  done
  # A planted wrong name must not compile.
  sed 's/pusher_/pusherr_/' "$out/sample0.c" >"$out/wrong.c"
  if cc -std=c99 -Wall -Werror -Iinclude -o "$out/wrong" "$out/wrong.c" "$out/libpusher.so.0" 2>/dev/null; then
    fail "a sample with a wrong name compiles"
  fi
}

# Runs the first sample against a closed port: it prints the error.
trigger() {
  sed 's#https://\(KEY:SECRET\)@[^/"]*#http://\1@127.0.0.1:1#' "$out/sample0.c" >"$out/local.c"
  cc -std=c99 -Iinclude -o "$out/local" "$out/local.c" "$out/libpusher.so.0" -Wl,-rpath,'$ORIGIN'
  "$out/local" 2>"$out/said" || fail "the first sample ended with $?"
  grep -q '"status":"NOT_SENT"' "$out/said" || fail "the first sample said: $(cat "$out/said")"
}

# Runs the webhook sample with an authentic webhook, a changed one, and none.
webhook() {
  local body signature said
  body="{\"time_ms\":$(date +%s)000,\"events\":[]}"
  signature=$(printf %s "$body" |
    python3 -c 'import hashlib, hmac, sys; print(hmac.new(b"SECRET", sys.stdin.buffer.read(), hashlib.sha256).hexdigest())')
  export SAMPLE_CONFIG='http://KEY:SECRET@127.0.0.1:1/apps/1' HTTP_X_PUSHER_KEY=KEY
  said=$(printf %s "$body" | HTTP_X_PUSHER_SIGNATURE=$signature "$out/sample1")
  [ "${said%%$'\r'*}" = 'Status: 200 OK' ] || fail "an authentic webhook: $said"
  said=$(printf '%s ' "$body" | HTTP_X_PUSHER_SIGNATURE=$signature "$out/sample1")
  [ "${said%%$'\r'*}" = 'Status: 401 Unauthorized' ] || fail "a changed webhook: $said"
  said=$(env -u HTTP_X_PUSHER_KEY "$out/sample1" </dev/null)
  [ "${said%%$'\r'*}" = 'Status: 401 Unauthorized' ] || fail "no webhook: $said"
}

step "the header's samples" extract
step "they compile" build
step "the event" trigger
step "the webhook" webhook
