# shellcheck shell=bash # packaging/dist/rpm.sh runs this with -e
# Runs in a bare system, in a folder with the packages and the programs. It installs the packages by rpm, uses them and removes them
# completely. rpm's database knows nothing of Debian's libraries, so what the packages require is read instead.
. ./use.sh
export PKG_CONFIG_PATH=/usr/lib64/pkgconfig LD_LIBRARY_PATH=/usr/lib64

# All that the library needs is in glibc and libgcc.
rpm -qp --requires libpusher0-*.rpm >requires
refused grep -v -e '^rpmlib(' -e '^/sbin/ldconfig$' -e '^rtld(GNU_HASH)$' -e '^ld-linux' -e '^libc\.so\.6(' -e '^libgcc_s\.so\.1(' requires
rpm -qp --provides libpusher0-*.rpm | grep -F 'libpusher.so.0()(64bit)'
rpm -qp --requires libpusher-devel-*.rpm | grep '^libpusher0'
refused grep '^libpusher' <<<"$(rpm -qp --requires libpusher-tools-*.rpm)"

rpm -i --nodeps libpusher0-*.rpm
refused pkg-config --exists pusher
rpm -i --nodeps libpusher-devel-*.rpm libpusher-tools-*.rpm
rpm -V --nodeps libpusher0 libpusher-devel libpusher-tools
publish
mapfile -t files < <(rpm -ql libpusher0 libpusher-devel libpusher-tools | grep pusher)
rpm -e libpusher-tools libpusher-devel libpusher0
removed "${files[@]}"
