#!/usr/bin/env bash
# Tests of lib.sh that need neither root nor a network.
. "$(dirname "$0")/lib.sh"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# An apt-get that prints $scratch/says, and fails once for each line of $scratch/fails.
cat >"$scratch/apt-get" <<'APT'
#!/usr/bin/env bash
here=$(dirname "$0")
echo "$*" >>"$here/calls"
[ -s "$here/fails" ] || exit 0
sed -i 1d "$here/fails"
cat "$here/says" >&2
exit 100
APT
chmod +x "$scratch/apt-get"

# run TIMES MESSAGE: installs a package with an apt-get that fails TIMES times with this message.
run() {
  : >"$scratch/calls"
  yes x 2>/dev/null | head -n "$1" >"$scratch/fails"
  echo "$2" >"$scratch/says"
  (PATH=$scratch:$PATH APT_PATIENCE=${3:-60} APT_PAUSE=0.01 apt install hello) >"$scratch/said" 2>&1
}
calls() { wc -l <"$scratch/calls"; }

locked='E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1 (apt-get)'
run 0 '' || fail 'An apt-get that succeeds is reported as failed.'
[ "$(calls)" = 1 ] || fail 'An apt-get that succeeds is run again.'
run 3 "$locked" || fail "A held lock is not waited for: $(cat "$scratch/said")"
[ "$(calls)" = 4 ] || fail "Three held locks take $(calls) calls, not 4."
if run 1 'E: Unable to locate package hello'; then fail 'A real failure is not reported.'; fi
[ "$(calls)" = 1 ] || fail 'A real failure is retried.'
grep -q 'Unable to locate package' "$scratch/said" || fail "The reason is not printed: $(cat "$scratch/said")"
if run 1000 "$locked" 1; then fail 'A lock that is never released is waited for without end.'; fi
