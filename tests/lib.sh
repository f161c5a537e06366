# Shared by the scripts of this folder: source it. It says what it does, and installs what is missing.
#
#   need cmake strace /usr/include/curl/curl.h=libcurl4-openssl-dev    a command or a file, and its Debian package where
#                                                                      that has another name
#   step "what is done" COMMAND…                                       prints the step, then "ok" and how long it took
#   library FILE                                                       puts the shared library there: that of the folder
#                                                                      PUSHER_LIB_DIR, else one built anew

set -euo pipefail

# Colours only where somebody looks.
if [ -t 1 ]; then BOLD=$(printf '\033[1m') PLAIN=$(printf '\033[0m'); else BOLD= PLAIN=; fi

say() { printf '%s== %s%s\n' "$BOLD" "$*" "$PLAIN"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

# Where things that take long to make are kept between runs.
CACHE=${LIBPUSHER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/libpusher}

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
  # One apt at a time, also when two scripts need something at once.
  mkdir -p "$CACHE"
  (
    flock 9
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  ) 9>"$CACHE/apt.lock"
}

step() {
  local what=$1 start=$SECONDS
  shift
  say "$what"
  "$@"
  printf '   ok: %s (%d s)\n' "$what" $((SECONDS - start))
}

library() {
  local folder=${PUSHER_LIB_DIR:-}
  if [ -z "$folder" ]; then
    # Without link-time optimisation: it takes long and changes nothing that is tested with this.
    cargo rustc --quiet --profile no-lto --locked --lib --crate-type cdylib
    folder=${CARGO_TARGET_DIR:-target}/no-lto
  fi
  cp -L "$folder/libpusher.so" "$1"
}
