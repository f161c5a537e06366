# shellcheck disable=SC2164 # scripts/distribution.sh runs this with -e
# scripts/distribution.sh runs this in a directory with the packages and a program. It installs the packages, uses them and removes
# them completely. Every command must succeed (-e).
cd "$(dirname "${BASH_SOURCE[0]}")"
unset CMAKE_PREFIX_PATH PKG_CONFIG_PATH LD_LIBRARY_PATH

. ./use.sh

# The library's package is enough to run programs; the development package depends on it.
refused dpkg -i libpusher-dev_*.deb
dpkg --purge libpusher-dev
dpkg -i libpusher0_*.deb
refused pkg-config --exists pusher
ldconfig -p | grep -F "libpusher.so.0 "
dpkg -i libpusher-dev_*.deb
dpkg --verify libpusher0 libpusher-dev
[ -z "$(dpkg --audit)" ]

# The tools need no library.
dpkg -i libpusher-tools_*.deb
dpkg --verify libpusher-tools
publish
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
mapfile -t files < <(dpkg -L libpusher0 libpusher-dev | grep -F pusher)
[[ " ${files[*]} " = *' /usr/include/pusher.h '* ]]
refused dpkg --remove libpusher0
dpkg --purge libpusher-dev
./by-pkg-config
dpkg --purge libpusher0
refused grep -F libpusher <<<"$(ldconfig -p)"
removed "${files[@]}"
