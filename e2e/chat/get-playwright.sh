#!/bin/bash
# Puts playwright-core, which drives a browser (Apache-2.0), into the cache, and prints the path of its folder. It downloads no
# browser: Debian's is used.
. "$(dirname "$0")/../../scripts/lib.sh"
npm_package playwright-core 1.65.1 "$(cd "$(dirname "$0")" && pwd)"
