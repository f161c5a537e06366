#!/bin/bash
# Puts soketi, a Channels server for Node.js, into the cache, and prints two lines: the node that can run it, and its
# script. (AGPL-3.0: tests run it; it is never linked or shipped.)
#
# soketi names a git repository for its native module, uWebSockets.js. We use a package that republishes it. The "overrides" of
# npm do that, but Debian 12's npm cannot apply them to a git address, so soketi/package-lock.json has "*" in place of the
# address. To update that file: add "overrides", run a newer npm, replace the address, and remove "overrides".
. "$(dirname "$0")/../../scripts/lib.sh"
exec 3>&1 >&2 # only the two lines go to standard output

VERSION=1.6.1
NODE_VERSION=20.20.2
FROM=$(cd "$(dirname "$0")/soketi" && pwd)
HERE=$CACHE/soketi-$VERSION
SCRIPT=node_modules/@soketi/soketi/bin/server.js

# Prints the node that can load the native module in the folder $1. The module supports only some versions of node, and for the
# newer ones it needs a newer C library than that of Debian 12, so the folder may contain its own node.
node_for() {
  local node
  [ -f "$1/$SCRIPT" ] || return 1
  for node in "$(command -v node)" "$1"/node/node_modules/node-*/bin/node; do
    if [ -x "$node" ] && "$node" -e 'require(process.argv[1])' "$1/node_modules/uWebSockets.js" 2>/dev/null; then
      echo "$node"
      return
    fi
  done
  return 1
}

npm_install() {
  # No install scripts: only the server itself is run.
  npm install --prefix "$1" --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error "${@:2}"
}

finished() { node_for "$HERE" >/dev/null; }

install() {
  need npm
  local part=$HERE.part node abi
  rm -rf "$part"
  mkdir "$part"
  cp "$FROM/package.json" "$FROM/package-lock.json" "$part"
  npm_install "$part"
  if ! node_for "$part" >/dev/null; then
    say "soketi cannot run with node $(node --version) here: install node $NODE_VERSION for it"
    mkdir "$part/node"
    npm_install "$part/node" --no-save "node-$(node -p 'process.platform + "-" + process.arch')@$NODE_VERSION"
  fi
  node=$(node_for "$part") || fail "soketi has no native module for this machine"
  # Delete the binaries for other systems and other versions of node: 250 MB.
  abi=$("$node" -p '[process.platform, process.arch, process.versions.modules].join("_")')
  find "$part/node_modules/uWebSockets.js" -name 'uws_*.node' ! -name "uws_$abi.node" -delete
  # Only a complete folder gets its final name.
  rm -rf "$HERE"
  mv "$part" "$HERE"
}

# shellcheck disable=SC2046 # nothing, or one word
need node=nodejs $([ -f "$HERE/$SCRIPT" ] || echo npm)
once "$HERE" "install soketi $VERSION (10 to 40 s; once)"
node_for "$HERE" >&3
echo "$HERE/$SCRIPT" >&3
