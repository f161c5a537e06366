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

# made COMMAND: makes a folder once, by an install that begins with COMMAND. As in the scripts, this is a process of its own,
# and the path comes from a command substitution.
cat >"$scratch/made.sh" <<'MADE'
. "$1/lib.sh"
here=$2 first=$3
path() (
  finished() { [ -d "$here/made" ]; }
  install() {
    echo x >>"$here/installs"
    "$first"
    mkdir "$here/made"
  }
  once "$here/made" 'install it' >&2
  echo "$here/made"
)
made=$(path)
[ "$made" = "$here/made" ]
MADE
made() { bash "$scratch/made.sh" "$(dirname "$0")" "$scratch" "$1" >"$scratch/said" 2>&1; }

if made false; then fail 'A failed install is not reported.'; fi
[ -s "$scratch/installs" ] || fail "The install did not run: $(cat "$scratch/said")"
[ ! -e "$scratch/made" ] || fail 'A failed install leaves its folder.'
made true || fail "An install fails: $(cat "$scratch/said")"
made false || fail "A finished install runs again: $(cat "$scratch/said")"
[ "$(wc -l <"$scratch/installs")" = 2 ] || fail "Two installs ran $(wc -l <"$scratch/installs") times."

# beside COMMAND…: a script that starts these commands with `background`, and waits for them. sleep.pid has the process of `lasting`.
cat >"$scratch/beside.sh" <<'BESIDE'
cd "$2"
. "$1/lib.sh"
good() { step 'something good' true; }
also_good() { good; }
bad() { echo 'what was said'; false; echo 'not reached'; }
lasting() { sleep 1000 & echo $! >sleep.pid; wait; }
shift 2
for name in "$@"; do background "$name"; done
for name in "$@"; do
  if [ "$name" = lasting ]; then
    while [ ! -s sleep.pid ]; do sleep 0.01; done
  else
    finish "$name"
  fi
done
BESIDE
beside() { bash "$scratch/beside.sh" "$(realpath "$(dirname "$0")")" "$scratch" "$@" >"$scratch/said" 2>&1; }

beside good also_good || fail "What succeeds is reported as failed: $(cat "$scratch/said")"
grep -q 'ok: something good' "$scratch/said" || fail "The steps are not printed: $(cat "$scratch/said")"
if beside good bad; then fail 'A failure beside the other steps is not reported.'; fi
grep -q 'what was said' "$scratch/said" || fail "The log is not printed: $(cat "$scratch/said")"
if grep -q 'not reached' "$scratch/said"; then fail 'What runs beside goes on after a failure.'; fi
beside lasting || fail "$(cat "$scratch/said")"
# The signal was sent before the script ended; the process ends a moment later.
for _ in $(seq 500); do kill -0 "$(cat "$scratch/sleep.pid")" 2>/dev/null || break; sleep 0.01; done
if kill -0 "$(cat "$scratch/sleep.pid")" 2>/dev/null; then fail 'What runs beside outlives the script.'; fi

# in_lines FUNCTION…: a script that runs these steps and background functions as lines, with logs in $scratch/logs.
cat >"$scratch/lines.sh" <<'LINES'
cd "$2"
. "$1/lib.sh"
quiet() { step 'a step in a step' echo 'what a step says'; }
bad() { echo 'what was said'; false; echo 'not reached'; }
nested() { bash -c '. "$1/lib.sh"; step "a script in a step" true' -- "$library"; }
beside() { echo 'what was said beside'; "${BESIDE:-true}"; echo 'not reached'; }
library=$1
shift 2
names=("$@")
steps() {
  local name
  background beside
  for name in "${names[@]}"; do step "it is $name: \$[a-z]*" "$name"; done
  finish beside 'beside'
}
in_lines logs steps
echo 'the end'
LINES
# A test run may have it.
unset VERBOSE
in_lines() { bash "$scratch/lines.sh" "$(realpath "$(dirname "$0")")" "$scratch" "$@" >"$scratch/said" 2>&1; }
says() { grep -qE "$1" "$scratch/said" || fail "$2: $(cat "$scratch/said")"; }

in_lines quiet nested || fail "Steps that succeed are reported as failed: $(cat "$scratch/said")"
[ "$(wc -l <"$scratch/said")" = 4 ] || fail "Three steps and an end are not four lines: $(cat "$scratch/said")"
says '^1 of 3  it is quiet: .* \.\.\. ok, [0-9]+ s \([0-9]+ s since the start, 2 left\)$' 'A step without known durations prints another line'
grep -q '   ok: a step in a step' "$scratch/logs/01-it-is-quiet-a-z-.log" || fail 'A step in a step is not in its log.'
grep -q '   ok: a script in a step' "$scratch/logs/02-it-is-nested-a-z-.log" || fail 'A step of a script is not in the log.'
grep -q 'what was said beside' "$scratch/logs/03-beside.log" || fail 'What ran beside has no log.'
in_lines quiet nested || fail "$(cat "$scratch/said")"
says '^1 of 3 .*, 2 left: about [0-9]+ s\)$' 'The durations of the run before are not used'

VERBOSE=1 in_lines quiet || fail "$(cat "$scratch/said")"
says 'what a step says' 'VERBOSE does not print the log of a step that succeeds'

if in_lines quiet bad nested; then fail 'A failed step is not reported.'; fi
says '^2 of 4  it is bad: .* \.\.\. FAILED after' 'The line does not say that the step has failed'
says '^what was said$' 'The log of a failed step is not printed'
says '^FAILED: it is bad: .*logs/02-it-is-bad' 'The last line does not name the step and its log'
for never in 'not reached' 'what a step says' 'it is nested' 'the end'; do
  if grep -q "$never" "$scratch/said"; then fail "After a failed step it prints '$never': $(cat "$scratch/said")"; fi
done
if BESIDE=false in_lines quiet; then fail 'A failure beside the lines is not reported.'; fi
says '^2 of 2  beside \.\.\. FAILED' 'The line does not say that what ran beside has failed'
says '^what was said beside$' 'The log of what ran beside is not printed'
if grep -q 'not reached' "$scratch/said"; then fail "What runs beside goes on after a failure: $(cat "$scratch/said")"; fi
