#!/usr/bin/env bash
# Counts the system calls of a trigger on a kept-alive connection: one liveness check, one write, one read, and neither a name
# lookup nor a thread.
#
#   scripts/syscalls.sh                          builds the library
#   PUSHER_LIB_DIR=folder scripts/syscalls.sh    uses libpusher.so from there
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

need cc=gcc strace
out=build/syscalls
mkdir -p "$out"
few=10 many=110

build() {
  library "$out/libpusher.so.0"
  cc -std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -pthread -Iinclude -o "$out/contract" \
    tests/c/contract.c "$out/libpusher.so.0" -Wl,-rpath,'$ORIGIN'
}

# count MODE CALLS: counts the system calls of a process that triggers CALLS times, as "name count" lines. A recv with MSG_PEEK is
# counted separately.
count() {
  strace -f -qq -o "$out/trace.$1.$2" "$out/contract" "$1" "$port" "$2" || fail "the program failed under strace"
  sed -nE 's/^[0-9]+ +([a-z0-9_]+)\(.*MSG_PEEK.*/\1+MSG_PEEK/p; t; s/^[0-9]+ +([a-z0-9_]+)\(.*/\1/p' "$out/trace.$1.$2" |
    sort | uniq -c | awk '{ print $2, $1 }' >"$out/counts.$1.$2"
}

# compare MODE: compares the system calls per trigger with the permitted ones. A call without a limit is not permitted.
compare() {
  awk -v calls=$((many - few)) '
    BEGIN {
      most["write"] = most["read"] = most["look"] = 1
      # Waiting for a response is permitted. A client that blocks in recv does not call poll.
      most["wait"] = 1
      kind["sendto"] = kind["sendmsg"] = kind["write"] = kind["writev"] = "write"
      kind["recvfrom"] = kind["recvmsg"] = kind["read"] = kind["readv"] = "read"
      kind["recvfrom+MSG_PEEK"] = "check"
      kind["poll"] = kind["ppoll"] = "wait"
    }
    NR == FNR { before[$1] = $2; next }
    { after[$1] = $2 }
    END {
      # In both directions: a call that only the short run makes is as wrong as one that only the long run makes.
      for (name in before) if (!(name in after)) after[name] = 0
      for (name in after) {
        each = (after[name] - before[name]) / calls
        if (each == 0) continue
        what = name in kind ? kind[name] : "not expected"
        printf "%-24s %6.2f a call: %s\n", name, each, what
        # The process allocates memory now and then.
        if (name ~ /^(brk|mmap|munmap|mremap|madvise)$/ && each < 0.1) continue
        if (name in kind) sum[kind[name]] += each; else wrong = wrong " " name
      }
      for (what in most) if (sum[what] > most[what]) wrong = wrong " (more than " most[what] ": " what ")"
      if (sum["write"] != 1 || sum["read"] != 1 || sum["check"] != 1) wrong = wrong " (not one write, read and check each)"
      if (wrong != "") { print "wrong:" wrong; exit 1 }
    }' "$out/counts.$1.$few" "$out/counts.$1.$many" || fail "A warm call makes more system calls than it may."
}

# The check must find a client per call, or it proves nothing.
can_fail() {
  count fresh $few
  count fresh $many
  if (compare fresh) >/dev/null 2>&1; then fail "a connection per call is taken for a kept-alive one"; fi
}

warm() {
  count calls $few
  count calls $many
  compare calls
}

step "building" build

# The server exits at the end of its standard input, and so with this script.
rm -f "$out/input" "$out/output"
mkfifo "$out/input" "$out/output"
"$out/contract" serve <"$out/input" >"$out/output" &
exec 9>"$out/input"
read -r -t 10 port <"$out/output" || fail "the server did not start"

step "a new connection for each call is found" can_fail
step "the system calls of a warm call" warm
