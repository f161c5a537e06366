# shellcheck shell=bash # packaging/dist/arch.sh runs this with -e
# Runs in a bare system, in a folder with the package and the programs. It installs the package by pacman, uses it and removes it
# completely. pacman's database knows nothing of Debian's libraries, so it is told of those that the package requires.
. ./use.sh
# It looks at the space of no disk, because there are none.
printf '[options]\nArchitecture = auto\n' >pacman.conf
installer() { pacman --config pacman.conf --noconfirm "$@"; }

installer --assume-installed glibc=2 --assume-installed gcc-libs=12 -U libpusher-*.pkg.tar.zst
installer -Qi libpusher
installer -Qkk libpusher
publish
mapfile -t files < <(installer -Qlq libpusher | grep pusher)
installer -Rn libpusher
removed "${files[@]}"
