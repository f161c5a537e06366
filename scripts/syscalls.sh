#!/usr/bin/env bash
# Counts the system calls of a trigger on a kept-alive connection: one write, one read, one look whether the connection is
# still good, and neither a name look-up nor a thread.
#
#   scripts/syscalls.sh                          builds the library
#   PUSHER_LIB_DIR=folder scripts/syscalls.sh    takes libpusher.so from there
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

# count MODE CALLS: how often each system call is made in a process that triggers so often, one "name count" a line. A recv
# that only looks has a name of its own.
count() {
  strace -f -qq -o "$out/trace.$1.$2" "$out/contract" "$1" "$port" "$2" || fail "the program failed under strace"
  sed -nE 's/^[0-9]+ +([a-z0-9_]+)\(.*MSG_PEEK.*/\1+MSG_PEEK/p; t; s/^[0-9]+ +([a-z0-9_]+)\(.*/\1/p' "$out/trace.$1.$2" |
    sort | uniq -c | awk '{ print $2, $1 }' >"$out/counts.$1.$2"
}

# compare MODE: the difference of the two counts, divided, against what may be. What is not named may not be at all.
compare() {
  awk -v calls=$((many - few)) '
    BEGIN {
      most["write"] = most["read"] = most["look"] = 1
      # Waiting for an answer is no fault, and whoever blocks in recv does not wait otherwise.
      most["wait"] = 1
      kind["sendto"] = kind["sendmsg"] = kind["write"] = kind["writev"] = "write"
      kind["recvfrom"] = kind["recvmsg"] = kind["read"] = kind["readv"] = "read"
      kind["recvfrom+MSG_PEEK"] = "look"
      kind["poll"] = kind["ppoll"] = "wait"
    }
    NR == FNR { before[$1] = $2; next }
    { after[$1] = $2 }
    END {
      # Both ways: what only the short run does is as strange as what only the long one does.
      for (name in before) if (!(name in after)) after[name] = 0
      for (name in after) {
        each = (after[name] - before[name]) / calls
        if (each == 0) continue
        what = name in kind ? kind[name] : "nothing that a warm call needs"
        printf "%-24s %6.2f a call: %s\n", name, each, what
        # Memory is asked for now and then, as the process sees fit.
        if (name ~ /^(brk|mmap|munmap|mremap|madvise)$/ && each < 0.1) continue
        if (name in kind) sum[kind[name]] += each; else wrong = wrong " " name
      }
      for (what in most) if (sum[what] > most[what]) wrong = wrong " (more than " most[what] ": " what ")"
      if (sum["write"] != 1 || sum["read"] != 1 || sum["look"] != 1) wrong = wrong " (not one write, read and look each)"
      if (wrong != "") { print "wrong:" wrong; exit 1 }
    }' "$out/counts.$1.$few" "$out/counts.$1.$many" || fail "A warm call costs more than it is meant to."
}

# A client for each call has to be found out, or the table means nothing.
can_fail() {
  count fresh $few
  count fresh $many
  if (compare fresh) >/dev/null 2>&1; then fail "a connection for each call passes for a kept one"; fi
}

warm() {
  count calls $few
  count calls $many
  compare calls
}

step "building" build

# The server ends with its standard input, so with this script.
rm -f "$out/input" "$out/output"
mkfifo "$out/input" "$out/output"
"$out/contract" serve <"$out/input" >"$out/output" &
exec 9>"$out/input"
read -r -t 10 port <"$out/output" || fail "the server did not start"

step "the count finds what is wrong" can_fail
step "the system calls of a warm call" warm
