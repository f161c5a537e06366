#!/usr/bin/env bash
# Builds the RPMs from the source tarball, by a complete `rpmbuild -ba` of Debian's rpm without a network, and uses them in a bare system.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
. packaging/dist/root.sh

need rpmbuild=rpm rpmlint cmake gcc cpio
tarball
native_rust
SPEC=$WORK/recipes/rpm/libpusher.spec
RELEASE=$VERSION-1
PACKAGES=(libpusher0 libpusher-devel libpusher-tools)
MACHINE=$(rpm --eval '%{_target_cpu}')

# rpm knows none of Debian's packages, so it does not look for those that the build needs.
build() {
  quiet "$CHECKOUT/packaging/recipes.sh" "$TARBALL" "$WORK/recipes"
  # The source package names the folder.
  mkdir "$WORK/build"
  cp "$SPEC" "$TARBALL" "$WORK/build/"
  fixed "$WORK/build"
  CARGO_HOME=$WORK/cargo-home quiet offline "${FIXED[@]}" rpmbuild -ba --nodeps --define "_topdir $HERE/top" --define "_sourcedir $HERE" \
    libpusher.spec
  grep -q "^libpusher $VERSION: OK {}" "$WORK/quiet.log" || fail '%check published nothing'
  cp "$WORK/build/top/SRPMS/libpusher-$RELEASE.src.rpm" "$WORK/"
  for package in "${PACKAGES[@]}"; do cp "$WORK/build/top/RPMS/$MACHINE/$package-$RELEASE.$MACHINE.rpm" "$WORK/"; done
}

# licence PACKAGE FILE [--program]: the package names the licences of all crates in it, and its file quotes them.
licence() {
  local package=$WORK/$1-$RELEASE.$MACHINE.rpm file=$2 tag wanted text
  shift 2
  wanted=$("$CHECKOUT/packaging/license.py" "$@")
  tag=$(rpm -qp --queryformat '%{LICENSE}' "$package")
  [ "$tag" = "$wanted" ] || fail "$(basename "$package") has the licence '$tag', not '$wanted'"
  text=$(rpm2cpio "$package" | cpio --quiet --extract --to-stdout "*/$file")
  [ "$text" = "$("$CHECKOUT/packaging/copyright.py" --full "$@")" ] || fail "$file of $(basename "$package") is not complete"
  ! grep -F /usr/share/common-licenses <<<"$text" || fail "$file of $(basename "$package") refers to a folder of Debian"
}

licences() {
  licence libpusher0 copyright
  licence libpusher-devel copyright
  licence libpusher-tools copyright-of-pusher-testserver --program
}

# Nothing in the packages says where or when they were built.
metadata() {
  local file said
  for file in "$WORK"/*.rpm; do
    said=$(rpm -qp --queryformat '%{BUILDHOST} %{BUILDTIME}' "$file")
    [ "$said" = "localhost $SOURCE_DATE_EPOCH" ] || fail "$(basename "$file") was built at: $said"
    if { cat "$file" && rpm2cpio "$file"; } | grep -aF -e "$OUT/" -e "$HOME/" >/dev/null; then fail "$(basename "$file") names a folder of this machine"; fi
  done
}

# packaging/rpm/rpmlint.toml says which of its complaints stay, and why.
lint() {
  rpmlint --strict --config "$CHECKOUT/packaging/rpm/rpmlint.toml" "$WORK"/*.rpm "$SPEC" >"$WORK/rpmlint.log" 2>&1 ||
    { cat "$WORK/rpmlint.log" >&2; fail 'rpmlint complains'; }
  tail -n 1 "$WORK/rpmlint.log"
}

# rpm installs the packages in a system without any of the build's files, and removes them.
use() {
  use_packages "$(debian_root gcc libc6-dev pkg-config rpm)" rpm.sh "$WORK"/*."$MACHINE".rpm
}

step 'rpmbuild -ba, with %check' build
step 'licences' licences
step 'what the packages say of the build' metadata
step 'rpmlint' lint
step 'install, use and remove them in a bare system' use
release_file "$WORK"/*.rpm
