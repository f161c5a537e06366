# A bare system for the tests of a release's files: Debian 12 with what debootstrap calls minbase, and nothing of this machine. It is made
# once, and stays as it is. Source this file after scripts/lib.sh.
#
#   debian_root [PACKAGE…]           prints the folder of such a system in the cache, with these packages besides
#   in_root ROOT STAGE COMMAND…      runs a command in it. Its folder /stage, the current one, is the folder STAGE, and what the command
#                                    writes there stays. All else that it writes is in memory, and is forgotten. There is no network but
#                                    the loopback, and no variable of the environment comes in
#   use_packages ROOT SCRIPT FILE…   copies the packages and tests/packages into a folder of WORK, and runs the script of tests/packages
#                                    in such a system: it installs, uses and removes them, and publishes four events
#
# A program that is compiled in one system and runs in another, which has no compiler:
#
#   in_root "$(debian_root gcc libc6-dev pkg-config)" "$stage" sh -c 'dpkg -i *.deb && gcc -o program …'
#   in_root "$(debian_root)" "$stage" sh -c 'dpkg -i libpusher0_*.deb && ./program'
#
# All need root. Where mounting is not allowed, as in many containers, in_root works on a copy of the system, in the host's network.

debian_root() (
  exec 3>&1 >&2 # only the path goes to standard output
  with=$(IFS=, && echo "$*")
  here=$CACHE/debian-12/minbase${with:++${with//,/+}}

  # shellcheck disable=SC2329 # once runs it
  finished() { [ -e "$here/etc/debian_version" ]; }

  # shellcheck disable=SC2329 # step runs it
  install() {
    [ "$(id -u)" = 0 ] || fail 'a bare Debian, for the tests of the packages, is made by root only'
    need debootstrap
    # An incomplete folder has another name.
    rm -rf "$here.part"
    mkdir -p "$CACHE/debian-12/archives"
    # Two systems that are made at the same time share the archives.
    flock "$CACHE/debian-12/archives" \
      debootstrap --variant=minbase --cache-dir="$CACHE/debian-12/archives" ${with:+--include="$with"} bookworm "$here.part" \
      >"$here.log" 2>&1 || fail "debootstrap failed: $(tail -n 20 "$here.log")"
    rm -rf "$here.part"/var/{cache/apt,lib/apt/lists}/* "$here.log"
    # There is no network where it is used, and no name server of this machine.
    : >"$here.part/etc/resolv.conf"
    mv "$here.part" "$here"
  }

  once "$here" "make a bare Debian 12${with:+ with ${with//,/, }} (once)"
  echo "$here" >&3
)

# can_mount: whether this process may make file systems and networks of its own.
can_mount() {
  if [ -z "${CAN_MOUNT:-}" ]; then
    CAN_MOUNT=no
    ! unshare --mount --net sh -c 'mount -t tmpfs tmpfs /mnt && ip link set lo up' 2>/dev/null || CAN_MOUNT=yes
  fi
  [ "$CAN_MOUNT" = yes ]
}

in_root() (
  set -e
  root=$1 stage=$(realpath "$2") over=$(mktemp -d)
  shift 2
  # shellcheck disable=SC2016 # the shell inside expands it
  inside=(env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive
    sh -c 'cd /stage && exec "$@"' --)
  [ "$(id -u)" = 0 ] || fail 'only root can enter a bare Debian'
  need unshare=util-linux ip=iproute2
  trap 'rm -rf "$over"' EXIT
  if can_mount; then
    # shellcheck disable=SC2016 # the shell inside expands it
    unshare --mount --net --pid --fork --kill-child bash -euc '
      root=$1 stage=$2 over=$3
      shift 3
      ip link set lo up
      mount -t tmpfs -o size=4g tmpfs "$over"
      mkdir "$over"/{upper,work,merged}
      mount -t overlay overlay -o "lowerdir=$root,upperdir=$over/upper,workdir=$over/work" "$over/merged"
      mkdir "$over/merged/stage"
      mount --bind "$stage" "$over/merged/stage"
      mount -t proc proc "$over/merged/proc"
      mount --rbind /dev "$over/merged/dev"
      exec chroot "$over/merged" "$@"
    ' -- "$root" "$stage" "$over" "${inside[@]}" "$@"
  else
    say 'no mounts and no networks of its own here: a copy of the bare Debian is used'
    cp -a "$root" "$over/merged"
    mkdir "$over/merged/stage"
    cp -a "$stage/." "$over/merged/stage/"
    status=0
    chroot "$over/merged" "${inside[@]}" "$@" || status=$?
    cp -a "$over/merged/stage/." "$stage/"
    exit $status
  fi
)

use_packages() {
  local root=$1 script=$2
  shift 2
  mkdir "$WORK/use"
  cp "$@" "$CHECKOUT"/tests/packages/* "$WORK/use/"
  in_root "$root" "$WORK/use" bash -euo pipefail -x "$script" >"$WORK/use.log" 2>&1 ||
    { cat "$WORK/use.log" >&2; fail 'the packages cannot be used'; }
  [ "$(grep -c "^libpusher $VERSION: OK" "$WORK/use.log")" = 4 ] || fail "not four events were published: $(cat "$WORK/use.log")"
}
