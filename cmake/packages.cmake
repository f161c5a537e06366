# Debian packages: `cpack -G DEB` in a build directory writes libpusher0 with the shared library, libpusher-dev with the files
# that a compiler needs, and with PUSHER_BUILD_TOOLS libpusher-tools. See docs/packaging.md. Other generators, such as TGZ, pack
# the same components.

set(CPACK_PACKAGE_NAME libpusher)
# Debian sorts 0.2.0~rc.1 before 0.2.0, and reads a hyphen as the beginning of its own revision.
string(REPLACE "-" "~" CPACK_PACKAGE_VERSION "${PUSHER_VERSION_TEXT}")
set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSE-MIT")
set(CPACK_RESOURCE_FILE_README "${PROJECT_SOURCE_DIR}/README.md")
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
# Independent of the builder's umask.
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

# The maintainer is the person who builds the package. Debian's tools use the same variables.
if(DEFINED ENV{DEBFULLNAME} AND DEFINED ENV{DEBEMAIL})
  set(maintainer "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
else()
  set(maintainer "The libpusher developers <nobody@libpusher.invalid>")
endif()
set(PUSHER_DEBIAN_MAINTAINER "${maintainer}" CACHE STRING "Maintainer of the Debian packages: Name <address>")
set(PUSHER_DEBIAN_REVISION 1 CACHE STRING "Revision of the Debian packages")

set(CPACK_COMPONENTS_ALL)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${PUSHER_DEBIAN_MAINTAINER}")
set(CPACK_DEBIAN_PACKAGE_RELEASE "${PUSHER_DEBIAN_REVISION}")
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
# debian.cmake repacks the packages with xz.
set(CPACK_DEBIAN_COMPRESSION_TYPE gzip)

# Each package has its own synopsis, the first line of its description.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(description
  "Triggers events, queries channels, authorizes subscriptions and validates"
  "webhooks of Pusher Channels and of servers that speak its protocol. After"
  "every failure it says what happened to the event: delivered, not sent,"
  "rejected or unknown. It needs no event loop and no runtime.")
list(JOIN description "\n" description)

if(PUSHER_BUILD_SHARED)
  set(runtime "libpusher${PUSHER_SOVERSION}")
  list(APPEND CPACK_COMPONENTS_ALL Pusher_Runtime)
  set(CPACK_DEBIAN_PUSHER_RUNTIME_PACKAGE_NAME ${runtime})
  set(CPACK_COMPONENT_PUSHER_RUNTIME_DESCRIPTION "server-side SDK for Pusher Channels (shared library)\n${description}")
  set(CPACK_DEBIAN_PUSHER_RUNTIME_PACKAGE_SECTION libs)
  # dpkg-shlibdeps finds the dependencies. Programs that are built with this version need it or a newer one, because each
  # version may add functions.
  set(CPACK_DEBIAN_PUSHER_RUNTIME_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
  set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
  set(CPACK_DEBIAN_PUSHER_RUNTIME_PACKAGE_RECOMMENDS ca-certificates)
  set(CPACK_DEBIAN_PUSHER_DEVELOPMENT_PACKAGE_DEPENDS
    "${runtime} (= ${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")
endif()
list(APPEND CPACK_COMPONENTS_ALL Pusher_Development)
set(CPACK_DEBIAN_PUSHER_DEVELOPMENT_PACKAGE_NAME libpusher-dev)
set(CPACK_COMPONENT_PUSHER_DEVELOPMENT_DESCRIPTION "server-side SDK for Pusher Channels (development files)\n${description}")
set(CPACK_DEBIAN_PUSHER_DEVELOPMENT_PACKAGE_SECTION libdevel)

if(PUSHER_BUILD_TOOLS)
  list(APPEND CPACK_COMPONENTS_ALL Pusher_Tools)
  set(CPACK_DEBIAN_PUSHER_TOOLS_PACKAGE_NAME libpusher-tools)
  set(CPACK_COMPONENT_PUSHER_TOOLS_DESCRIPTION
    "server for tests of programs that publish to Pusher Channels
pusher-testserver speaks the HTTP API of Pusher Channels. It records what
a program publishes, checks its signatures, and fails on request: with a
status, a broken connection or silence, at any moment of a request.")
  set(CPACK_DEBIAN_PUSHER_TOOLS_PACKAGE_SECTION devel)
  set(CPACK_DEBIAN_PUSHER_TOOLS_PACKAGE_SHLIBDEPS ON)
endif()

# Changes the files and the control information as Debian's policy requires.
set(CPACK_POST_BUILD_SCRIPTS "${PROJECT_SOURCE_DIR}/cmake/debian.cmake")
set(CPACK_PRE_BUILD_SCRIPTS "${PROJECT_SOURCE_DIR}/cmake/debian.cmake")
set(CPACK_PUSHER_SOURCE_DIR "${PROJECT_SOURCE_DIR}")
set(CPACK_PUSHER_CARGO "${PUSHER_CARGO}")
set(CPACK_PUSHER_STRIP "${CMAKE_STRIP}")

# packaging/tarball.sh packs the source. CPack would leave out the crates.
set(CPACK_SOURCE_IGNORE_FILES "/\\\\.git/;/build/;/target/")

include(CPack)
