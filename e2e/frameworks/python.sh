# The environment that the Python applications share: the frameworks, and the wheel of the binding.

python_environment() {
  local packages
  need python3
  python3 -c 'import ensurepip' 2>/dev/null || need ensurepip=python3-venv
  packages=$(python_packages frameworks e2e/frameworks/requirements.txt)
  [ ! -e "$OUT/venv/finished" ] || return 0
  # A copy, because a build writes into its sources.
  rm -rf "$OUT/python-sources" "$OUT/venv"
  cp -rL bindings/python "$OUT/python-sources"
  cp include/pusher.ffi.h "$OUT/python-sources/"
  python3 -m venv "$OUT/venv"
  PIP_DISABLE_PIP_VERSION_CHECK=1 "$OUT/venv/bin/pip" install --quiet "$OUT/python-sources"
  # The frameworks stay in the cache.
  realpath "$packages"/lib/python3*/site-packages >"$(echo "$OUT"/venv/lib/python3*/site-packages)/frameworks.pth"
  touch "$OUT/venv/finished"
}

# Runs a module of the frameworks, with the library of the wheel.
python_module() {
  unset PUSHER_LIBRARY
  exec "$OUT/venv/bin/python" -B -m "$@"
}
