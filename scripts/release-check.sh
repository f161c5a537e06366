#!/usr/bin/env bash
# Checks whether the commit of this clone can be released, as far as one machine can tell: see RELEASE.md.
#
#   scripts/release-check.sh                 all checks; every one that fails is listed at the end
#   scripts/release-check.sh CHECK…          only these
#   scripts/release-check.sh --self-test     plants a fault for each check in copies of the repository, and expects it to be found
. "$(dirname "$0")/lib.sh"
ROOT=$(cd "$(dirname "$0")/.." && pwd)
cd "$ROOT"
need git cargo gcc python3 xz=xz-utils abidiff=abigail-tools

CHECKS=(clean versions changelog soname tag paths header manual abi tarball)
VERSION=$(version)

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# differs FILE FOUND WANTED: prints a line if the two are not the same.
differs() {
  [ "$2" = "$3" ] || echo "$1 has ${2:-none}, not $3"
}

# value FILE SED: the first match.
value() { sed -nE "s/$2/\\1/p;" "$1" | head -n 1; }

# A release is a commit, and not a working tree.
clean() {
  local changes
  changes=$(git status --porcelain)
  [ -z "$changes" ] || fail "the working tree has changes that are not committed: $changes"
}

# The version is written in Cargo.toml; every copy is the same.
versions() {
  local minor=${VERSION%.*} number major patch file problems
  IFS=. read -r major number patch <<<"$VERSION"
  number=$(((major << 16) | (number << 8) | patch))
  problems=$(
    differs Cargo.lock "$(sed -n '/^name = "libpusher"$/{n;s/^version = "\(.*\)"/\1/p}' Cargo.lock)" "$VERSION"
    differs include/pusher.h "$(sed -nE 's/^#define PUSHER_VERSION_(MAJOR|MINOR|PATCH) ([0-9]+)$/\2/p' include/pusher.h | paste -sd.)" "$VERSION"
    for file in include/pusher.ffi.h bindings/php/include/pusher.ffi.h; do
      differs "$file" "$(value "$file" '.*PUSHER_VERSION_NUMBER = ([0-9]+).*')" "$number"
    done
    for file in docs/man/*.3; do
      [ -L "$file" ] || [ "$(head -c 3 "$file")" = .so ] ||
        differs "$file" "$(value "$file" '^\.TH [^"]*"[^"]*" "libpusher ([^"]+)".*')" "$VERSION"
    done
    differs bindings/ruby/lib/libpusher/version.rb "$(value bindings/ruby/lib/libpusher/version.rb "^ *VERSION = '(.*)'")" "$VERSION"
    # The names of the files to install.
    for file in bindings/{ruby,python}/README.md; do
      differs "$file" "$(grep -oE 'libpusher-[0-9]+\.[0-9]+\.[0-9]+' "$file" | sort -u | paste -sd' ')" "libpusher-$VERSION"
    done
    for file in test_package/CMakeLists.txt tests/packages/CMakeLists.txt; do
      differs "$file" "$(value "$file" '^find_package\(Pusher ([0-9.]+).*')" "$minor"
    done
    differs tests/consumers/find_package/CMakeLists.txt \
      "$(value tests/consumers/find_package/CMakeLists.txt '^set\(CONSUMER_VERSION ([0-9.]+) .*')" "$minor"
    # CMake and Conan read Cargo.toml, and the wheel reads the header.
    grep -q '^pusher_read(Cargo.toml version ' CMakeLists.txt || echo "CMakeLists.txt does not read the version from Cargo.toml"
    grep -q '"Cargo.toml"' conanfile.py || echo "conanfile.py does not read the version from Cargo.toml"
  )
  [ -z "$problems" ] || fail "$problems"
}

# The newest section is that of this version, has a date, and says something.
changelog() {
  local heading
  heading=$(grep -m 1 '^## ' CHANGELOG.md)
  [[ $heading =~ ^"## $VERSION - "[0-9]{4}-[0-9]{2}-[0-9]{2}$ ]] ||
    fail "the newest section of CHANGELOG.md is '$heading', not '## $VERSION - YYYY-MM-DD'"
  ! grep -qi '^## unreleased' CHANGELOG.md || fail "CHANGELOG.md still has a section for what is unreleased"
  # Not grep -q: it would end before sed has written all of a long section.
  sed -n "/^## $VERSION - /,/^## [^$]/p" CHANGELOG.md | grep '^- ' >/dev/null || fail "the section of $VERSION in CHANGELOG.md has no entry"
  sed -n "/^## $VERSION - /,\$p" CHANGELOG.md | grep '^### Upgrade considerations' >/dev/null ||
    fail "the section of $VERSION in CHANGELOG.md has no 'Upgrade considerations'"
}

# The number in the SONAME is in build.rs, and the record, the bindings and the packages use the same one.
soname() {
  local number file
  number=$(value build.rs '^const SOVERSION: &str = "([0-9]+)";')
  [ -n "$number" ] || fail "build.rs has no SOVERSION"
  for file in abi/pusher.abi docs/abi.md bindings/php/composer.json bindings/ruby/libpusher.gemspec; do
    grep -q "libpusher\.so\.$number\b" "$file" || fail "$file does not name libpusher.so.$number, the SONAME of build.rs"
  done
}

# The tag is new, or is that of this commit.
tag() {
  local tagged
  tagged=$(git rev-parse -q --verify "refs/tags/v$VERSION^{commit}") || return 0
  [ "$tagged" = "$(git rev-parse HEAD)" ] || fail "v$VERSION is the tag of another commit, $tagged: the version in Cargo.toml is not new"
}

# No tracked file names a folder of this machine.
paths() {
  local found
  found=$(git grep -nIE "(^|[^[:alnum:]_.}\"/-])(${ROOT//./\\.}|${HOME//./\\.}|/home/[a-z]+)/" -- . ':!scripts/release-check.sh' || true)
  [ -z "$found" ] || fail "these lines name a folder of this machine:
$found"
}

# The generated files are what the sources say. The self-test checks a copy with the test of this clone, to compile it once.
header() { (cd "${PUSHER_TESTS:-.}" && PUSHER_TREE=$ROOT cargo test --quiet --locked --test repository header >&2); }

manual() { docs/man.py --check; }

# An addition to the interface is recorded, and nothing recorded has changed.
abi() { scripts/abi.sh declared >&2; }

# Two clones in different folders give the same bytes.
tarball() {
  local clone
  for clone in one another/folder; do
    git clone --quiet --local . "$WORK/$clone"
    (cd "$WORK/$clone" && packaging/tarball.sh "$WORK/$clone/out" >/dev/null)
  done
  cmp "$WORK/one/out/libpusher-$VERSION.tar.xz" "$WORK/another/folder/out/libpusher-$VERSION.tar.xz" ||
    fail "the source tarball depends on the folder or on the time"
  sha256sum <"$WORK/one/out/libpusher-$VERSION.tar.xz" | sed "s/-$/libpusher-$VERSION.tar.xz/"
}

# --- the self-test ---

# A copy of the repository as it would be at its release, on which each check passes.
released() {
  rm -rf "$WORK/released"
  git clone --quiet --local "$ROOT" "$WORK/released"
  # The self-test checks the working tree, committed or not.
  working_tree "$WORK/released"
  (
    cd "$WORK/released"
    sed -i "0,/^## .*/s//## $VERSION - 2000-01-01/" CHANGELOG.md
    commit
  )
}

commit() {
  git add -A
  git -c user.name=test -c user.email=test@localhost commit --quiet --allow-empty -m test
}

in_copy() { (cd "$WORK/copy" && PUSHER_TESTS=$ROOT scripts/release-check.sh "$@"); }

# finds CHECK MESSAGE COMMAND: the check fails with the message once the command has been run in a copy.
finds() {
  local check=$1 message=$2 log=$WORK/log
  rm -rf "$WORK/copy"
  git clone --quiet --local "$WORK/released" "$WORK/copy"
  (cd "$WORK/copy" && eval "$3") || fail "cannot plant: $3"
  if [ "$check" != clean ]; then (cd "$WORK/copy" && commit); fi
  if in_copy "$check" >"$log" 2>&1; then fail "release-check $check did not find: $3"; fi
  grep -qF -- "$message" "$log" || { cat "$log" >&2; fail "release-check $check does not say '$message' after: $3"; }
}

passes_as_released() {
  git clone --quiet --local "$WORK/released" "$WORK/copy"
  in_copy clean versions changelog soname tag paths header manual abi
}

finds_planted_faults() {
  local next
  next=$(awk -F. '{ print $1 "." $2 + 1 "." $3 }' <<<"$VERSION")
  finds clean 'not committed' 'echo >>README.md'
  finds clean 'not committed' 'echo >new-file'
  finds versions 'include/pusher.h has' "sed -i 's/^version = \"$VERSION\"/version = \"$next\"/' Cargo.toml"
  finds versions 'Cargo.lock has' "sed -i '/^name = \"libpusher\"/{n;s/\".*\"/\"9.9.9\"/}' Cargo.lock"
  finds versions 'bindings/ruby/lib/libpusher/version.rb has' "sed -i \"s/VERSION = '.*'/VERSION = '9.9.9'/\" bindings/ruby/lib/libpusher/version.rb"
  finds versions 'bindings/ruby/README.md has' "sed -i 's/libpusher-$VERSION-x86_64/libpusher-9.9.9-x86_64/' bindings/ruby/README.md"
  finds versions 'bindings/php/include/pusher.ffi.h has' "sed -i 's/PUSHER_VERSION_NUMBER = [0-9]*/PUSHER_VERSION_NUMBER = 9/' bindings/php/include/pusher.ffi.h"
  finds versions 'docs/man/libpusher.3 has' "sed -i 's/\"libpusher [0-9.]*\"/\"libpusher 9.9.9\"/' docs/man/libpusher.3"
  finds versions 'test_package/CMakeLists.txt has' "sed -i 's/find_package(Pusher [0-9.]*/find_package(Pusher 9.9/' test_package/CMakeLists.txt"
  finds versions 'CMakeLists.txt does not read' "sed -i '/^pusher_read(Cargo.toml version/d' CMakeLists.txt"
  finds changelog 'the newest section of CHANGELOG.md is' "sed -i '0,/^## .*/s//## Unreleased/' CHANGELOG.md"
  finds changelog 'the newest section of CHANGELOG.md is' "sed -i '0,/^## .*/s//## $next - 2000-01-01/' CHANGELOG.md"
  finds changelog 'still has a section' "printf '\n## Unreleased\n\n- More\n' >>CHANGELOG.md"
  finds changelog 'has no entry' "printf '# Changelog\n\n## $VERSION - 2000-01-01\n\n## 0.0.1 - 1999-01-01\n\n- Old\n' >CHANGELOG.md"
  finds changelog 'Upgrade considerations' "sed -i '/^### Upgrade/d' CHANGELOG.md"
  finds soname 'abi/pusher.abi does not name' "sed -i 's/SOVERSION: &str = \".*\"/SOVERSION: \&str = \"9\"/' build.rs"
  finds tag 'is the tag of another commit' "git tag v$VERSION HEAD"
  finds paths 'docs/abi.md' "echo 'See $HOME/notes.' >>docs/abi.md"
  finds paths 'README.md' "echo 'See /home/ann/notes.' >>README.md"
  finds manual 'libpusher.3' "echo '.\\\" more' >>docs/man/libpusher.3"
  finds abi 'do not have the same functions' "sed -i '\$i int32_t pusher_planted(void);' include/pusher.h"
  finds abi 'This breaks programs' "sed -i 's/^int32_t pusher_error_delivery/int64_t pusher_error_delivery/' include/pusher.h"
  finds header 'pusher.h' "sed -i 's/Returns the version/Gives the version/' include/pusher.h"
  # shellcheck disable=SC2028 # echo writes a script
  finds tarball 'depends on the folder' "echo 'mkdir -p \"\$1\"; pwd >\"\$1/libpusher-$VERSION.tar.xz\"' >packaging/tarball.sh"
}

if [ "${1:-}" = --self-test ]; then
  step 'a copy as it would be at the release' released
  step 'the checks pass on it' passes_as_released
  step 'each check finds what is planted' finds_planted_faults
  exit
fi

for check in "$@"; do
  [[ " ${CHECKS[*]} " == *" $check "* ]] || fail "no such check: $check. There are: ${CHECKS[*]}"
done

if [ $# = 1 ]; then
  step "$1" "$1"
  exit
fi
failed=()
for check in "${@:-${CHECKS[@]}}"; do
  # Each in a process of its own, so that one run lists everything that is missing.
  scripts/release-check.sh "$check" || failed+=("$check")
done
[ ${#failed[@]} = 0 ] || fail "Not ready for $VERSION: ${failed[*]}"
say "$VERSION can be released, as far as this machine can tell. RELEASE.md has the rest."
