#!/usr/bin/env bash
# Writes the documentation, guides and reference in one, as a web site: build/site.
#
#   scripts/docs.sh           writes it
#   scripts/docs.sh --test    writes and tests it: links, and in a browser widths, themes, accessibility, tabs and search
#   PUSHER_WRITE_PICTURES=1 scripts/docs.sh --test    also takes its pictures, docs/pictures/site-*
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."

case ${1:-} in '' | --test) ;; *) fail 'usage: scripts/docs.sh [--test]' ;; esac
need python3 doxygen
site=$PWD/build/site

dead_links_are_found() {
  local copy=$PWD/build/site-planted repository markup wrong
  repository=$(sed -n 's/^repository = "\(.*\)"/\1/p' Cargo.toml)
  rm -rf "$copy"
  cp -R "$site" "$copy"
  while IFS=@ read -r markup wrong; do
    sed -i "s|</main>|$markup&|" "$copy/errors.html"
    echo "errors.html $wrong" >>"$copy/wanted"
  done <<PLANTED
<i id="content">a</i>@has the anchor content twice
<a href="none.html">a</a>@leads to none.html
<a href="webhooks.html#none">a</a>@leads to webhooks.html#none
<a href="#none">a</a>@leads to #none
<img src="none.png" alt="">@leads to none.png
<a href="$repository/blob/main/none.md">a</a>@leads to $repository/blob/main/none.md
PLANTED
  if python3 e2e/site/links.py "$copy" 2>"$copy/said"; then fail 'planted dead links are not found'; fi
  diff "$copy/wanted" "$copy/said" || fail 'it does not print the planted dead links, and nothing else'
  rm -rf "$copy"
}

# A page may only lead to files of the repository that exist, and a guide must be in the README.
wrong_guides_are_found() {
  local copy=$PWD/build/site-planted what pattern
  for what in link guide; do
    rm -rf "$copy"
    working_tree "$copy"
    case $what in
      link)
        echo '[a](none.rs)' >>"$copy/docs/errors.md"
        pattern='docs/errors.md leads to none.rs'
        ;;
      guide)
        echo '# A' >"$copy/docs/new.md"
        pattern='README.md does not lead to docs/new.md'
        ;;
    esac
    if "$copy/docs/site.py" "$copy/site" 2>"$copy/said"; then fail "a wrong $what is not found"; fi
    grep -qF "$pattern" "$copy/said" || fail "for a wrong $what it printed: $(cat "$copy/said")"
  done
  rm -rf "$copy"
}

in_browser() {
  browser
  need /usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf=fonts-dejavu-core
  SITE=$site FONTCONFIG_FILE=$PWD/e2e/site/fonts.conf node --test e2e/site/site.test.mjs
}

step 'the site' docs/site.py "$site"
if [ "${1:-}" != --test ]; then
  say "open $site/index.html in a browser"
  exit
fi
step 'links lead to existing pages, anchors and files' python3 e2e/site/links.py "$site"
step 'planted dead links are found' dead_links_are_found
step 'wrong guides are found' wrong_guides_are_found
step 'in a browser' in_browser
