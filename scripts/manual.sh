#!/usr/bin/env bash
# Tests the manual: a well-formed man page for every function, up to date with the header, and the web site by Doxygen, without
# a warning. Both are tested as installed. Nothing is compiled. scripts/docs.sh tests the site in a browser.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

need cmake make cc=gcc python3 doxygen mandoc man=man-db groff
out=$PWD/build/manual
rm -rf "$out"
mkdir -p "$out"

up_to_date() {
  local function section
  docs/man.py --check
  while read -r function; do
    [ -e "docs/man/$function.3" ] || fail "$function has no page"
    for section in NAME SYNOPSIS DESCRIPTION 'RETURN VALUE' ATTRIBUTES EXAMPLES 'SEE ALSO'; do
      grep -qx "\.SH $section" "docs/man/$function.3" || fail "docs/man/$function.3 has no $section"
    done
    ! grep -q '^.fBPusherStatus ' "docs/man/$function.3" || grep -qx '\.SH ERRORS' "docs/man/$function.3" ||
      fail "docs/man/$function.3 has no ERRORS"
  done <abi/symbols.txt
}

# Finds a changed word in the header, a new function, and a page without a function.
changes_are_found() {
  local copy=$out/copy what
  for what in word function page; do
    rm -rf "$copy"
    mkdir -p "$copy"
    cp -R include docs "$copy"
    case $what in
      word) sed -i 's/Publishes an event on one/Publishes some event on one/' "$copy/include/pusher.h" ;;
      function) sed -i 's/^const char \*pusher_version(void);/&\n\/**\n * More.\n *\/\nvoid pusher_more(void);/' "$copy/include/pusher.h" ;;
      page) cp docs/man/pusher_new.3 "$copy/docs/man/pusher_more.3" ;;
    esac
    if python3 "$copy/docs/man.py" --check 2>"$out/said"; then fail "a wrong $what is not found"; fi
    [ "$(grep -Ec 'pusher_(more|trigger)' "$out/said")" = 1 ] || fail "docs/man.py said: $(cat "$out/said")"
  done
}

well_formed() {
  local page said
  for page in docs/man/*.[13]; do
    said=$(MANWIDTH=80 man --warnings -l "$page" 2>&1 >/dev/null) || fail "man can't show $page"
    [ -z "$said" ] || fail "$page: $said"
  done
  # They have no date, so that a rebuild gives the same pages.
  said=$(mandoc -T lint -W warning docs/man/*.[13] | grep -v 'WARNING: missing date' || true)
  [ -z "$said" ] || fail "$said"
}

# Every page that a page refers to exists.
references() {
  local name
  while read -r name; do
    [ -e "docs/man/$name.3" ] || fail "there is no $name(3)"
  done < <(cat docs/man/*.3 | grep -oE '(\\fB|\.BR )\w+(\\fR)? ?\(3\)' |
    grep -oE '(pusher|Pusher|libpusher)\w*' | sort -u)
}

# As installed: `man 3 pusher_trigger` shows the header's text.
installed() {
  local function component
  cmake -S . -B "$out/build" -DPUSHER_BUILD_STATIC=OFF -DPUSHER_BUILD_EXAMPLES=OFF -DPUSHER_BUILD_DOCS=ON \
    -DCMAKE_INSTALL_PREFIX="$out/prefix" >"$out/log" || fail "$(cat "$out/log")"
  cmake --build "$out/build" --target pusher-docs >"$out/log" 2>&1 || fail "$(cat "$out/log")"
  for component in Development Documentation; do
    cmake --install "$out/build" --component "Pusher_$component" >"$out/log" || fail "$(cat "$out/log")"
  done
  while read -r function; do
    MANPATH=$out/prefix/share/man man -P cat 3 "$function" >"$out/page" 2>"$out/said" ||
      fail "man 3 $function: $(cat "$out/said")"
    grep -q "$function - " "$out/page" || fail "man 3 $function shows another page"
  done <abi/symbols.txt
  MANPATH=$out/prefix/share/man MANWIDTH=100 man -P cat 3 pusher_trigger | tr -s ' \n' ' ' | grep 'ask pusher_error_delivery(3)' >/dev/null ||
    fail "man 3 pusher_trigger does not describe its result"
}

# The site describes each function in one group: on the page of the group, and nowhere else.
site() {
  local function html pages
  html=$(echo "$out"/prefix/share/doc/*/html)
  while read -r function; do
    mapfile -t pages < <(grep -l "class=\"memname\">[^<]*\(<[^>]*>[^<]*\)*\b$function\b" "$html"/*.html)
    [[ "${#pages[@]} ${pages[0]##*/}" =~ ^1\ group__ ]] || fail "$function is not in one group, but on these pages: ${pages[*]}"
  done <abi/symbols.txt
  grep -q 'class_*pusher.*client' "$html/namespacepusher.html" || fail "the site has nothing on C++"
}

# A parameter that does not exist is found, and so is a function that is in no group, or in two.
site_faults_are_found() {
  local copy=$out/copy what pattern header=$out/copy/include/pusher.h
  for what in parameter none two; do
    rm -rf "$copy"
    working_tree "$copy"
    case $what in
      parameter)
        sed -i 's/@param channels  one channel/@param channel  one channel/' "$header"
        pattern="include/pusher.h:[0-9]*: .*'channel' of command @param is not found"
        ;;
      none)
        sed -i '/^ \* | pusher_trigger() /d' "$header"
        pattern='pusher_trigger is neither in the index of pusher.h nor in TYPES'
        ;;
      two)
        sed -i '/^ \* | pusher_free() /p' "$header"
        pattern='pusher_free is twice in the index of pusher.h'
        ;;
    esac
    if "$copy/docs/site.py" "$out/html" 2>"$out/said"; then fail "a fault is not found: $what"; fi
    grep -q "$pattern" "$out/said" || fail "for $what docs/site.py said: $(cat "$out/said")"
  done
}

# Each link within the project leads to an existing file and heading.
links() {
  local pages
  mapfile -t pages < <(git ls-files '*.md')
  python3 - "${pages[@]}" <<'PYTHON'
import pathlib, re, sys

def anchors(file):
    text = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.S | re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, re.M)}

wrong, count = [], 0
for name in sys.argv[1:]:
    page = pathlib.Path(name)
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)):
        if re.match(r"\w+:", target):
            continue
        count += 1
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            wrong.append(f"{name} leads to {target}")
assert count > 30, f"only {count} links"
if wrong:
    sys.exit("\n".join(wrong))
PYTHON
}

step "a page for every function, up to date with the header" up_to_date
step "planted changes are found" changes_are_found
step "the pages are well formed" well_formed
step "the pages they refer to exist" references
step "links lead to existing files and headings" links
step "the manual and the site are installed" installed
step "the site has every function, in one group" site
step "planted faults of the header are found" site_faults_are_found
