# Debian packages: `cpack -G DEB` in a build directory writes libpusher0 with the shared library, libpusher-dev with the files
# that a compiler needs, libpusher-doc, and with PUSHER_BUILD_TOOLS libpusher-tools. With PUSHER_DEBUG_INFO, packages of their own
# have the debug information of the library and of the tools. cmake/debian.cmake does what CPack does not. See docs/packaging.md.
# Other generators, such as TGZ, pack the same components.

set(CPACK_PACKAGE_NAME libpusher)
# Debian sorts 0.2.0~rc.1 before 0.2.0, and reads a hyphen as the beginning of its own revision.
string(REPLACE "-" "~" CPACK_PACKAGE_VERSION "${PUSHER_VERSION_TEXT}")
set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSE-MIT")
set(CPACK_RESOURCE_FILE_README "${PROJECT_SOURCE_DIR}/README.md")
# debian.cmake strips, and keeps the debug information.
set(CPACK_STRIP_FILES ON)
if(PUSHER_DEBUG_INFO)
  set(CPACK_STRIP_FILES OFF)
endif()
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
# Independent of the builder's umask.
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

# The maintainer is the person who builds the package. Debian's tools use the same variables.
if(NOT "$ENV{DEBFULLNAME}" STREQUAL "" AND NOT "$ENV{DEBEMAIL}" STREQUAL "")
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
set(CPACK_DEBIAN_PACKAGE_SOURCE libpusher)
set(CPACK_DEBIAN_PACKAGE_HOMEPAGE https://github.com/libpusher/libpusher)
# CPack takes the architecture of this machine.
if(CMAKE_CROSSCOMPILING)
  execute_process(COMMAND "${CMAKE_C_COMPILER}" -dumpmachine OUTPUT_VARIABLE machine OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  execute_process(COMMAND dpkg-architecture -t "${machine}" -qDEB_HOST_ARCH OUTPUT_VARIABLE CPACK_DEBIAN_PACKAGE_ARCHITECTURE
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(failed)
    unset(CPACK_DEBIAN_PACKAGE_ARCHITECTURE)
  endif()
endif()
# debian.cmake repacks the packages with xz.
set(CPACK_DEBIAN_COMPRESSION_TYPE gzip)

# Each package has its own synopsis, the first line of its description.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(description "
Publishes events to Pusher Channels, and to servers that speak its protocol:
single events, batches, and a queue that a background thread sends in order
and retries. Queries channels, authorizes private, presence and encrypted
channels, and validates webhooks. After every failure the caller knows
whether the event was not sent, was rejected, or may have been delivered.
Calls return within a time limit. There is no event loop and no runtime.

")

if(PUSHER_BUILD_SHARED)
  set(runtime "libpusher${PUSHER_SOVERSION}")
  list(APPEND CPACK_COMPONENTS_ALL Pusher_Runtime)
  set(CPACK_DEBIAN_PUSHER_RUNTIME_PACKAGE_NAME ${runtime})
  set(CPACK_COMPONENT_PUSHER_RUNTIME_DESCRIPTION
    "server-side SDK for Pusher Channels (shared library)${description}This package has the shared library.")
  set(CPACK_DEBIAN_PUSHER_RUNTIME_PACKAGE_SECTION libs)
  set(CPACK_DEBIAN_PUSHER_RUNTIME_PACKAGE_RECOMMENDS ca-certificates)
  set(CPACK_DEBIAN_PUSHER_DEVELOPMENT_PACKAGE_DEPENDS
    "${runtime} (= ${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")
endif()
list(APPEND CPACK_COMPONENTS_ALL Pusher_Development)
set(CPACK_DEBIAN_PUSHER_DEVELOPMENT_PACKAGE_NAME libpusher-dev)
set(CPACK_COMPONENT_PUSHER_DEVELOPMENT_DESCRIPTION
  "server-side SDK for Pusher Channels (development files)${description}This package has the headers for C and C++, the static library, the
manual pages, and files for CMake and pkg-config.")
set(CPACK_DEBIAN_PUSHER_DEVELOPMENT_PACKAGE_SUGGESTS libpusher-doc)
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
endif()

list(APPEND CPACK_COMPONENTS_ALL Pusher_Documentation)
set(CPACK_DEBIAN_PUSHER_DOCUMENTATION_PACKAGE_NAME libpusher-doc)
set(CPACK_DEBIAN_PUSHER_DOCUMENTATION_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PUSHER_DOCUMENTATION_PACKAGE_SECTION doc)
set(CPACK_COMPONENT_PUSHER_DOCUMENTATION_DESCRIPTION
  "server-side SDK for Pusher Channels (documentation)${description}This package has the guides and the example programs.")

# Changes the files and the control information as Debian's policy requires.
set(CPACK_POST_BUILD_SCRIPTS "${PROJECT_SOURCE_DIR}/cmake/debian.cmake")
set(CPACK_PRE_BUILD_SCRIPTS "${PROJECT_SOURCE_DIR}/cmake/debian.cmake")
set(CPACK_PUSHER_SOURCE_DIR "${PROJECT_SOURCE_DIR}")
set(CPACK_PUSHER_CARGO "${PUSHER_CARGO}")
set(CPACK_PUSHER_STRIP "${CMAKE_STRIP}")
set(CPACK_PUSHER_OBJCOPY "${CMAKE_OBJCOPY}")
set(CPACK_PUSHER_DEBUG_INFO "${PUSHER_DEBUG_INFO}")
set(PUSHER_DEBIAN_LIBRARIES "" CACHE STRING
  "Folders of unpacked packages (dpkg-deb -R) of the target's C library, for dependencies; empty: the installed packages")
set(CPACK_PUSHER_DEBIAN_LIBRARIES "${PUSHER_DEBIAN_LIBRARIES}")

# packaging/tarball.sh packs the source. CPack would leave out the crates.
set(CPACK_SOURCE_IGNORE_FILES "/\\\\.git/;/build/;/target/")

include(CPack)
