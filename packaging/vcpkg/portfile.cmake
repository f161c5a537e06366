# The tarball has the source of every crate but those of Windows.
vcpkg_download_distfile(archive
  URLS "https://github.com/libpusher/libpusher/releases/download/v${VERSION}/libpusher-${VERSION}.tar.xz"
  FILENAME "libpusher-${VERSION}.tar.xz"
  SHA512 @SHA512@)
vcpkg_extract_source_archive(source ARCHIVE "${archive}")

# vcpkg has no port of Rust: cargo is that of the machine.
find_program(CARGO cargo PATHS "$ENV{HOME}/.cargo/bin")
if(NOT CARGO)
  message(FATAL_ERROR "cargo builds libpusher, and was not found. Install Rust @RUST_VERSION@ or newer: https://rustup.rs")
endif()

# The functions of C are the same in a debug build.
set(VCPKG_BUILD_TYPE release)
set(VCPKG_POLICY_MISMATCHED_NUMBER_OF_BINARIES enabled)
string(COMPARE EQUAL "${VCPKG_LIBRARY_LINKAGE}" "dynamic" shared)
string(COMPARE EQUAL "${VCPKG_LIBRARY_LINKAGE}" "static" static)
vcpkg_cmake_configure(SOURCE_PATH "${source}"
  OPTIONS
    "-DPUSHER_CARGO=${CARGO}"
    -DPUSHER_CARGO_FLAGS=--frozen
    -DPUSHER_INSTALL_CMAKEDIR=share/pusher
    -DPUSHER_BUILD_SHARED=${shared}
    -DPUSHER_BUILD_STATIC=${static}
    -DPUSHER_BUILD_EXAMPLES=OFF)
vcpkg_cmake_install()
vcpkg_fixup_pkgconfig()

file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/share/doc" "${CURRENT_PACKAGES_DIR}/share/man")
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")

# The licences of the crates are in it.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
execute_process(COMMAND "${Python3_EXECUTABLE}" packaging/copyright.py "${CARGO}" --full WORKING_DIRECTORY "${source}"
  OUTPUT_FILE "${source}/copyright" COMMAND_ERROR_IS_FATAL ANY)
vcpkg_install_copyright(FILE_LIST "${source}/copyright")
