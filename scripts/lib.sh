# Functions that the scripts share. Source this file.
#
#   need cmake strace /usr/include/curl/curl.h=libcurl4-openssl-dev    installs missing commands and files; the Debian
#                                                                      package follows "=" if its name differs
#   step "what is done" COMMAND…                                       prints the step, then "ok" and its duration
#   background FUNCTION                                                starts it beside the other steps, with its output in
#                                                                      build/FUNCTION.log; it is killed when the script exits
#   finish FUNCTION "what it does"                                     waits for it, and prints its steps, or the whole log if
#                                                                      it failed
#   in_lines FOLDER [FUNCTION]                                         from here on, a step is one line on the screen and a log in
#                                                                      the folder, which is printed if the step fails, or if
#                                                                      VERBOSE is set; with a function, runs it, and numbers
#                                                                      its steps: "12 of 40"
#   library FILE                                                       copies the shared library: the file PUSHER_LIBRARY, or
#                                                                      the one in the folder PUSHER_LIB_DIR, or builds it
#   as_installed FOLDER                                                copies it with its link, and writes a pusher.pc
#   fault_server                                                       exports FAULT_SERVER: the present value, or the path of
#                                                                      a fault server that it builds
#   torture_program FOLDER NAME [FLAG…]                                compiles tests/torture/NAME.c against the library in the
#                                                                      folder
#   quiet COMMAND…                                                     runs it, with its output in the file quiet.log of the folder
#                                                                      WORK, and prints that only if it fails
#   publish_from PREFIX FOLDER                                         builds the program of FOLDER, which is tests/packages, with
#                                                                      the library that is installed in PREFIX, and runs it
#   offline COMMAND…                                                   runs it with no network but the loopback, and tells cargo
#   version                                                            prints the version of the library
#   working_tree FOLDER                                                copies the files of git into the folder, as they are
#                                                                      now, and the new ones
#   npm_package NAME FOLDER                                            prints the path of an npm package in the cache, installed
#                                                                      by the package.json and package-lock.json of the folder
#   browser                                                            exports CHROMIUM, PLAYWRIGHT and AXE for e2e/browser, and
#                                                                      installs the fonts of the pictures in docs/pictures
#   python_packages NAME FILE                                          prints the path of a virtual environment in the cache
#                                                                      with the packages of a file of requirements
#   cargo_program NAME VERSION [FEATURES]                              prints the path of a program in the cache that cargo
#                                                                      installs, with these features only if given; the array
#                                                                      NEEDS has what else that needs

set -euo pipefail
NEEDS=()

# Colours only on a terminal.
if [ -t 1 ]; then
  BOLD=$(printf '\033[1m') GREEN=$(printf '\033[32m') RED=$(printf '\033[31m') PLAIN=$(printf '\033[0m')
else
  BOLD='' GREEN='' RED='' PLAIN=''
fi

say() { printf '%s== %s%s\n' "$BOLD" "$*" "$PLAIN"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

# Keeps results that take long to build.
CACHE=${LIBPUSHER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/libpusher}

# Runs apt-get, and waits up to APT_PATIENCE seconds for a lock that another program holds. DPkg::Lock::Timeout covers only
# dpkg's lock: for those of the lists and the archives, apt-get fails at once.
apt() {
  local said patience=${APT_PATIENCE:-600} start=$SECONDS
  while ! said=$(DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout="$patience" "$@" 2>&1 >/dev/null); do
    if [[ $said != *'Could not get lock'* ]] || ((SECONDS - start >= patience)); then fail "apt-get $1 failed: $said"; fi
    sleep "${APT_PAUSE:-2}"
  done
}

need() {
  local item what package missing=()
  for item in "$@"; do
    what=${item%%=*} package=${item#*=}
    case $what in
      /*) [ -e "$what" ] || missing+=("$package") ;;
      *) command -v "$what" >/dev/null || missing+=("$package") ;;
    esac
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    fail "Missing: ${missing[*]}. On Debian: sudo apt-get install ${missing[*]}"
  fi
  say "installing ${missing[*]}"
  # Only one apt runs at a time, even if two scripts need packages.
  mkdir -p "$CACHE"
  (
    flock 9
    # Other steps wait for the lock.
    renice -n 0 "$BASHPID" >/dev/null
    apt update
    apt install -y --no-install-recommends "${missing[@]}"
  ) 9>"$CACHE/apt.lock"
}

step() {
  local what=$1 start=$SECONDS
  shift
  if [ -n "$LOGS" ]; then
    in_line "$what" "$@"
    return
  fi
  say "$what"
  "$@"
  printf '   ok: %s (%d s)\n' "$what" $((SECONDS - start))
}

# The folder of the logs, if a step is one line. Not exported: a script that a step runs prints its steps as usual, into the log.
LOGS=''
# The titles of all steps if they are known, and the number of the present one.
PLAN=() AT=0 COUNTING=''

in_lines() {
  mkdir -p "$1"
  rm -f "$1"/*.log
  LOGS=$1
  [ $# -gt 1 ] || return 0
  touch "$LOGS/durations"
  COUNTING=yes
  "$2"
  COUNTING=''
  "$2"
}

# Prints a number of seconds.
duration() { if (($1 < 60)); then echo "$1 s"; else echo "$(($1 / 60)) min $(($1 % 60)) s"; fi; }

# Prints how much is left, and how long that took before. Without a duration for each of these steps it prints no time.
what_is_left() {
  local seconds
  printf '%d left' $((${#PLAN[@]} - AT))
  seconds=$(printf '%s\n' "${PLAN[@]:AT}" | awk -F '\t' '
    FILENAME != "-" { took[$2] = $1; next }
    !($0 in took) { unknown = 1 }
    { sum += took[$0] }
    END { if (!unknown) print sum }' "$LOGS/durations" -)
  [ -z "$seconds" ] || printf ': about %s' "$(duration "$seconds")"
}

# Draws a line again and again, with the seconds since $2, until it is killed or its script has ended.
spin() {
  local turn=0 signs='-\|/'
  while kill -0 $$ 2>/dev/null; do
    printf '\r%s%s %s\033[K' "$1" "${signs:turn++ % 4:1}" "$(duration $((SECONDS - $2)))"
    sleep 0.2
  done
}

# Runs a command whose own steps are printed as usual.
with_steps() {
  local LOGS=''
  "$@"
}

# Runs a step as one line. Its output goes into a log, and the whole log is printed if the step fails.
in_line() {
  local what=$1 line=$1 start=$SECONDS total=${#PLAN[@]} name log status spinner=''
  shift
  if [ -n "$COUNTING" ]; then
    PLAN+=("$what")
    return
  fi
  AT=$((AT + 1))
  name=${what,,}
  name=${name//[^a-z0-9]/-}
  printf -v log '%s/%02d-%s.log' "$LOGS" "$AT" "$(tr -s - <<<"${name:0:40}")"
  [ "$total" = 0 ] || printf -v line '%*d of %d  %s' "${#total}" "$AT" "$total" "$what"
  printf '%s ... ' "$line"
  if [ -t 1 ]; then
    spin "$line ... " "$start" &
    spinner=$!
  fi
  # As a condition, the command would go on after its first failure.
  set +e
  if [ "$1" = wait_for ]; then "$@" "$log"; else (set -e; with_steps "$@") >"$log" 2>&1; fi
  status=$?
  set -e
  if [ -n "$spinner" ]; then
    kill "$spinner"
    wait "$spinner" 2>/dev/null || true
    printf '\r%s ... \033[K' "$line"
  fi
  if [ "$status" != 0 ]; then
    printf '%sFAILED%s after %s\n' "$RED" "$PLAIN" "$(duration $((SECONDS - start)))"
    cat "$log"
    fail "FAILED: $what. The whole output is above, and in $log."
  fi
  if [ -n "${VERBOSE:-}" ]; then printf '\n' && cat "$log"; fi
  printf '%sok%s, %s' "$GREEN" "$PLAIN" "$(duration $((SECONDS - start)))"
  if [ "$total" -gt 0 ]; then
    printf '%d\t%s\n' $((SECONDS - start)) "$what" >>"$LOGS/durations"
    printf ' (%s since the start, %s)' "$(duration $SECONDS)" "$(what_is_left)"
  fi
  echo
}

declare -A BACKGROUND=()

background() {
  local log=${LOGS:-build}/$1.log
  [ -z "$COUNTING" ] || return 0
  mkdir -p build
  # Job control gives it a process group of its own, so that one signal reaches all that it started.
  set -m
  (with_steps "$1") >"$log" 2>&1 </dev/null &
  set +m
  BACKGROUND[$1]=$!
  trap stop_background EXIT
}

stop_background() {
  local group
  for group in "${BACKGROUND[@]}"; do kill -- "-$group" 2>/dev/null || true; done
}

# ended FUNCTION: waits until what runs in the background has ended, and returns its exit status.
ended() {
  local group=${BACKGROUND[$1]}
  # Its process group has ended with it, and the number may become that of another.
  unset "BACKGROUND[$1]"
  wait "$group"
}

# wait_for FUNCTION LOG: as `ended`, and renames the log.
wait_for() {
  local status=0
  ended "$1" || status=$?
  mv "$LOGS/$1.log" "$2"
  return "$status"
}

finish() {
  if [ -n "$LOGS" ]; then
    in_line "$2" wait_for "$1"
    return
  fi
  ended "$1" || { cat "build/$1.log" >&2; fail "failed: see build/$1.log above"; }
  grep '^   ok: ' "build/$1.log" || true
}

# quick_library TYPE: builds the library as this crate type, into the folder QUICK. Without link-time optimisation, which takes long
# and does not change what these tests check. In a folder of its own: tests and examples have more features of some crates, and each of
# the two builds would cause the other again.
quick_library() {
  local folder=${CARGO_TARGET_DIR:-target}/library
  cargo rustc --quiet --profile no-lto --locked --lib --crate-type "$1" --target-dir "$folder"
  QUICK=$folder/no-lto
}

library() {
  local file=${PUSHER_LIBRARY:-${PUSHER_LIB_DIR:+$PUSHER_LIB_DIR/libpusher.so}}
  if [ -z "$file" ]; then
    quick_library cdylib
    file=$QUICK/libpusher.so
  fi
  cp -L "$file" "$1"
}

quiet() {
  "$@" >"$WORK/quiet.log" 2>&1 || { cat "$WORK/quiet.log" >&2; fail "failed: $*"; }
}

publish_from() {
  local build
  build=$(mktemp -d "$WORK/consumer.XXXXXX")
  quiet cmake -S "$2" -B "$build" -DCMAKE_PREFIX_PATH="$1"
  quiet cmake --build "$build"
  "$build/publish"
}

# Where no network of its own may be made, only cargo is kept offline. OFFLINE is the beginning of the command.
offline() {
  if [ -z "${OFFLINE+set}" ]; then
    need unshare=util-linux ip=iproute2
    # shellcheck disable=SC2016 # the shell inside expands it
    OFFLINE=(unshare --net sh -c 'ip link set lo up && exec "$@"' _)
    if ! "${OFFLINE[@]}" true 2>/dev/null; then
      OFFLINE=(unshare --map-root-user "${OFFLINE[@]:1}")
      if ! "${OFFLINE[@]}" true 2>/dev/null; then
        say 'no network namespaces here: only cargo is kept offline'
        OFFLINE=(env)
      fi
    fi
  fi
  CARGO_NET_OFFLINE=true "${OFFLINE[@]}" "$@"
}

working_tree() {
  mkdir -p "$1"
  git ls-files -z --cached --others --exclude-standard | xargs -0 sh -c 'for file; do [ ! -e "$file" ] || printf "%s\0" "$file"; done' -- |
    tar --null -T - -cf - | tar -C "$1" -xf -
}

version() { sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1; }

# Lays the library out as CMake installs it. scripts/install.sh tests the real installation.
as_installed() {
  library "$1/libpusher.so.0"
  ln -s libpusher.so.0 "$1/libpusher.so"
  cat >"$1/pusher.pc" <<PC
Name: pusher
Description: The server side of Pusher Channels
Version: $(version)
Cflags: -I$PWD/include
Libs: -L$1 -lpusher -Wl,-rpath,$1
PC
}

fault_server() {
  if [ -z "${FAULT_SERVER:-}" ]; then
    cargo build --quiet --profile no-lto --locked --example fault-server
    FAULT_SERVER=${CARGO_TARGET_DIR:-target}/no-lto/examples/fault-server
  fi
  FAULT_SERVER=$(realpath "$FAULT_SERVER")
  export FAULT_SERVER
}

torture_program() {
  local folder=$1 name=$2
  shift 2
  cc -std=c11 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Werror -pthread -Iinclude -o "$folder/$name" "tests/torture/$name.c" \
    "$folder/libpusher.so.0" -Wl,-rpath,"$PWD/$folder" -lcjson "$@"
}

# once PATH WHAT: makes PATH by the function `install` unless the function `finished` succeeds. One process does so at a time.
once() {
  # A command substitution turns it off, and a failed command would leave an incomplete folder under its final name.
  set -e
  if finished; then return; fi
  mkdir -p "$(dirname "$1")"
  exec 9>"$1.lock"
  flock 9
  # Another process may have been quicker.
  if ! finished; then step "$2" install; fi
}

npm_package() (
  exec 3>&1 >&2 # only the path goes to standard output
  name=$1 from=$2
  version=$(sed -n "s/^ *\"$name\": \"\(.*\)\".*/\1/p" "$from/package.json")
  here=$CACHE/$name-$version
  folder=$here/node_modules/$name

  finished() { [ -d "$folder" ]; }

  # shellcheck disable=SC2329 # step runs it
  install() {
    need npm
    rm -rf "$here.part"
    mkdir "$here.part"
    cp "$from/package.json" "$from/package-lock.json" "$here.part"
    npm ci --prefix "$here.part" --ignore-scripts --no-audit --no-fund --loglevel=error
    # Only a complete folder gets its final name.
    rm -rf "$here"
    mv "$here.part" "$here"
  }

  once "$here" "install $name $version (once)"
  echo "$folder" >&3
)

# Playwright downloads no browser: Debian's is used. The fonts decide where a line breaks, and so what a picture shows.
browser() {
  need node=nodejs chromium /usr/share/fonts/opentype/inter/Inter-Regular.otf=fonts-inter \
    /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf=fonts-noto-color-emoji
  CHROMIUM=$(command -v chromium)
  PLAYWRIGHT=$(npm_package playwright-core e2e/browser)
  AXE=$(npm_package axe-core e2e/browser)
  export CHROMIUM PLAYWRIGHT AXE
}

python_packages() (
  exec 3>&1 >&2 # only the path goes to standard output
  name=$1 from=$2
  # A change of the versions, or of Python's, makes a new one.
  here=$CACHE/$name/python$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')-$(sha256sum <"$from" | cut -c1-12)

  # A virtual environment cannot be renamed when it is complete, so a file marks it.
  finished() { [ -e "$here/finished" ]; }

  # shellcheck disable=SC2329 # step runs it
  install() {
    rm -rf "$here"
    python3 -m venv "$here"
    "$here/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --requirement "$from"
    touch "$here/finished"
  }

  once "$here" "install the Python packages of $from (once)"
  echo "$here" >&3
)

cargo_program() (
  exec 3>&1 >&2 # only the path goes to standard output
  name=$1 version=$2 features=${3:-}
  here=$CACHE/$name-$version${features:+-${features//,/+}}
  program=$here/bin/$name

  finished() { [ -x "$program" ]; }

  # shellcheck disable=SC2329 # step runs it
  install() {
    need cargo cc=gcc "${NEEDS[@]}"
    # The build folder survives an interruption, and the next run goes on from there. Flags and configuration that are
    # meant for libpusher must not reach it.
    unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
    rm -rf "$here.part"
    (
      cd "$CACHE"
      CARGO_TARGET_DIR=$here.build CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_STRIP=symbols nice -n 19 \
        cargo install "$name" --version "=$version" --locked --debug ${features:+--no-default-features --features "$features"} \
        --root "$here.part" --quiet
    )
    # Only a complete folder gets its final name.
    rm -rf "$here"
    mv "$here.part" "$here"
    rm -rf "$here.build"
  }

  once "$here" "compile $name $version (some minutes; once)"
  echo "$program" >&3
)
