# Runs a port of vcpkg by functions that stand for vcpkg's: they do what vcpkg's documentation says of them, as far as the port needs it.
# They cannot show what vcpkg itself would refuse.
#
#   cmake -DPORT=folder -DTARBALL=file -DSOURCE=folder -DOUT=folder -DLINKAGE=dynamic|static -P vcpkg.cmake
#
# SOURCE is the unpacked tarball. The installed files are in OUT/packages.
cmake_minimum_required(VERSION 3.25)

file(READ "${PORT}/vcpkg.json" manifest)
string(JSON VERSION GET "${manifest}" version)
string(JSON PORT_NAME GET "${manifest}" name)
set(CURRENT_BUILDTREES_DIR "${OUT}/buildtrees")
set(CURRENT_PACKAGES_DIR "${OUT}/packages")
set(VCPKG_LIBRARY_LINKAGE "${LINKAGE}")

function(vcpkg_download_distfile result)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "FILENAME;SHA512" "URLS")
  cmake_path(GET TARBALL FILENAME name)
  if(NOT arg_FILENAME STREQUAL name OR NOT arg_URLS MATCHES "^https://[^;]*/${name}$")
    message(FATAL_ERROR "the port downloads another file than ${name}: ${arg_FILENAME} from ${arg_URLS}")
  endif()
  file(SHA512 "${TARBALL}" sum)
  if(NOT arg_SHA512 STREQUAL sum)
    message(FATAL_ERROR "the port has another checksum: ${arg_SHA512}")
  endif()
  set(${result} "${TARBALL}" PARENT_SCOPE)
endfunction()

function(vcpkg_extract_source_archive result)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "ARCHIVE" "")
  if(NOT arg_ARCHIVE STREQUAL TARBALL)
    message(FATAL_ERROR "the port unpacks another file: ${arg_ARCHIVE}")
  endif()
  set(${result} "${SOURCE}" PARENT_SCOPE)
endfunction()

function(vcpkg_cmake_configure)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "SOURCE_PATH" "OPTIONS")
  if(NOT VCPKG_BUILD_TYPE STREQUAL "release")
    message(FATAL_ERROR "this harness builds no debug files")
  endif()
  string(COMPARE EQUAL "${VCPKG_LIBRARY_LINKAGE}" "dynamic" shared)
  execute_process(COMMAND "${CMAKE_COMMAND}" -S "${arg_SOURCE_PATH}" -B "${CURRENT_BUILDTREES_DIR}/rel" -DCMAKE_BUILD_TYPE=Release
    "-DCMAKE_INSTALL_PREFIX=${CURRENT_PACKAGES_DIR}" -DCMAKE_INSTALL_LIBDIR:STRING=lib -DCMAKE_INSTALL_BINDIR:STRING=bin
    -DBUILD_SHARED_LIBS=${shared} ${arg_OPTIONS} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(vcpkg_cmake_install)
  execute_process(COMMAND "${CMAKE_COMMAND}" --build "${CURRENT_BUILDTREES_DIR}/rel" --target install COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(vcpkg_fixup_pkgconfig)
endfunction()

function(vcpkg_install_copyright)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "FILE_LIST")
  file(INSTALL ${arg_FILE_LIST} DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT_NAME}")
endfunction()

# PORT is vcpkg's name for the port, and in this file its folder.
set(folder "${PORT}")
set(PORT "${PORT_NAME}")
include("${folder}/portfile.cmake")

# vcpkg's own checks that the port could fail.
file(GLOB_RECURSE misplaced "${CURRENT_PACKAGES_DIR}/lib/*.cmake" "${CURRENT_PACKAGES_DIR}/bin/*" "${CURRENT_PACKAGES_DIR}/debug/*")
foreach(file IN ITEMS share/libpusher/copyright share/libpusher/usage share/pusher/pusher-config.cmake include/pusher.h
    lib/pkgconfig/pusher.pc)
  if(NOT EXISTS "${CURRENT_PACKAGES_DIR}/${file}")
    message(FATAL_ERROR "the port does not install ${file}")
  endif()
endforeach()
file(GLOB shared "${CURRENT_PACKAGES_DIR}/lib/*.so*")
file(GLOB static "${CURRENT_PACKAGES_DIR}/lib/*.a")
if(misplaced OR (LINKAGE STREQUAL "dynamic" AND static) OR (LINKAGE STREQUAL "static" AND shared) OR NOT (shared OR static))
  message(FATAL_ERROR "the port installs files that vcpkg refuses: ${misplaced} ${shared} ${static}")
endif()
