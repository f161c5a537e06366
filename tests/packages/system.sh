# shellcheck disable=SC2046,SC2164 # flags are words; scripts/distribution.sh runs this with -e
# scripts/distribution.sh runs this in a directory with the packages and a program. It installs the packages, uses them and removes
# them completely. Every command must succeed (-e).
cd "$(dirname "${BASH_SOURCE[0]}")"
unset CMAKE_PREFIX_PATH PKG_CONFIG_PATH LD_LIBRARY_PATH

# refused COMMAND…: checks that the command fails. (-e ignores commands after an exclamation mark.)
refused() {
  if "$@"; then
    echo "should have failed: $*" >&2
    exit 1
  fi
}

# The library's package is enough to run programs; the development package depends on it.
refused dpkg -i libpusher-dev_*.deb
dpkg --purge libpusher-dev
dpkg -i libpusher0_*.deb
refused pkg-config --exists pusher
ldconfig -p | grep -F "libpusher.so.0 "
dpkg -i libpusher-dev_*.deb
dpkg --verify libpusher0 libpusher-dev
[ -z "$(dpkg --audit)" ]

# By pkg-config, shared and static.
gcc -std=c99 -Wall -Wextra -Werror publish.c $(pkg-config --cflags --libs pusher) -o by-pkg-config
readelf -d by-pkg-config | grep -F 'NEEDED' | grep -F '[libpusher.so.0]'
./by-pkg-config
gcc -std=c99 publish.c $(pkg-config --cflags pusher) $(pkg-config --static --libs pusher | sed 's/-lpusher/-l:libpusher.a/') -o static
refused grep -F libpusher <<<"$(readelf -d static)"
./static

# The tools need no library.
dpkg -i libpusher-tools_*.deb
dpkg --verify libpusher-tools
cat >by-url.c <<'C'
#include <pusher.h>
int main(void) {
  Pusher *client;
  PusherStatus status = pusher_new(NULL, &client, NULL);
  if (status == PUSHER_STATUS_OK) {
    status = pusher_trigger(client, "c", "e", "1", NULL, NULL);
    pusher_free(client);
  }
  return (int)status;
}
C
gcc by-url.c $(pkg-config --cflags --libs pusher) -o by-url
pusher-testserver -- ./by-url
refused ./by-url
test -e /usr/share/man/man1/pusher-testserver.1.gz
dpkg --purge libpusher-tools
refused pusher-testserver --version

# By find_package.
cmake -S . -B by-cmake
cmake --build by-cmake
./by-cmake/publish

# The package of a program built with it depends on at least this version.
mkdir debian
printf 'Source: publish\n\nPackage: publish\nArchitecture: any\n' >debian/control
dpkg-shlibdeps -O ./by-pkg-config | grep -F "libpusher0 (>= "

# The library's package cannot be removed first; in the right order everything is removed.
dpkg -L libpusher0 libpusher-dev | grep -F pusher >files
grep -qx /usr/include/pusher.h files
refused dpkg --remove libpusher0
dpkg --purge libpusher-dev
./by-pkg-config
dpkg --purge libpusher0
refused ./by-pkg-config
./static
refused grep -F libpusher <<<"$(ldconfig -p)"
while read -r file; do
  refused test -e "$file"
  refused test -L "$file"
done <files
