# Changes an installation into what Debian's policy requires of a package. CPack runs this file twice: once when the files are
# installed, and once when they are packed.
if(NOT CPACK_GENERATOR STREQUAL "DEB")
  return()
endif()

function(run)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY "${CPACK_PUSHER_SOURCE_DIR}" COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# The bytes of a package do not depend on the time of packing: its date is that of the changelog, or SOURCE_DATE_EPOCH.
if(NOT DEFINED ENV{SOURCE_DATE_EPOCH})
  file(TIMESTAMP "${CPACK_PUSHER_SOURCE_DIR}/CHANGELOG.md" epoch "%s" UTC)
  set(ENV{SOURCE_DATE_EPOCH} "${epoch}")
endif()
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)

set(arch "${CPACK_DEBIAN_PACKAGE_ARCHITECTURE}")
if(NOT arch)
  execute_process(COMMAND dpkg --print-architecture OUTPUT_VARIABLE arch OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
endif()
execute_process(COMMAND dpkg-architecture -a ${arch} -qDEB_HOST_MULTIARCH OUTPUT_VARIABLE multiarch OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND_ERROR_IS_FATAL ANY)
set(version "${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}")
# The first run splits the debug information off, and the second packs it.
set(debug "${CPACK_TEMPORARY_DIRECTORY}/debug")

# Packs the folder with the debug information of a package.
function(pack_debug_info package kind)
  set(folder "${debug}/${package}")
  file(GLOB_RECURSE files RELATIVE "${folder}" "${folder}/usr/lib/debug/*.debug")
  if(NOT files)
    return()
  endif()
  set(sums)
  set(ids)
  set(kibibytes 8)
  foreach(file IN LISTS files)
    file(MD5 "${folder}/${file}" sum)
    file(SIZE "${folder}/${file}" bytes)
    math(EXPR kibibytes "${kibibytes} + (${bytes} + 1023) / 1024")
    string(APPEND sums "${sum}  ${file}\n")
    string(REGEX REPLACE ".*/([0-9a-f]+)/([0-9a-f]+)\\.debug$" "\\1\\2" id "${file}")
    string(APPEND ids " ${id}")
  endforeach()
  set(multi)
  if(kind STREQUAL "same")
    set(multi "Multi-Arch: same\n")
  endif()
  file(MAKE_DIRECTORY "${folder}/usr/share/doc")
  file(CREATE_LINK ${package} "${folder}/usr/share/doc/${package}-dbgsym" SYMBOLIC)
  file(WRITE "${folder}/DEBIAN/md5sums" "${sums}")
  file(WRITE "${folder}/DEBIAN/control" "Package: ${package}-dbgsym
Source: ${CPACK_DEBIAN_PACKAGE_SOURCE}
Version: ${version}
Auto-Built-Package: debug-symbols
Architecture: ${arch}
Maintainer: ${CPACK_DEBIAN_PACKAGE_MAINTAINER}
Installed-Size: ${kibibytes}
Depends: ${package} (= ${version})
Section: debug
Priority: optional
${multi}Homepage: ${CPACK_DEBIAN_PACKAGE_HOMEPAGE}
Description: debug symbols for ${package}
Build-Ids:${ids}
")
  run(dpkg-deb --root-owner-group -Zxz --build "${folder}" "${CPACK_PACKAGE_DIRECTORY}/${package}-dbgsym_${version}_${arch}.deb")
endfunction()

# In the second run the packages exist. CPack before 3.31 writes no Multi-Arch field, and neither a symbols file nor dependencies for
# another architecture than this machine's.
if(CPACK_PACKAGE_FILES)
  set(tools "${CPACK_TEMPORARY_DIRECTORY}/dpkg")
  file(WRITE "${tools}/debian/control" "Source: libpusher\n\nPackage: ${CPACK_DEBIAN_PUSHER_RUNTIME_PACKAGE_NAME}\nArchitecture: any\n")
  set(libraries)
  foreach(folder IN LISTS CPACK_PUSHER_DEBIAN_LIBRARIES)
    list(APPEND libraries "-S${folder}")
  endforeach()
  foreach(file IN LISTS CPACK_PACKAGE_FILES)
    set(unpacked "${CPACK_TEMPORARY_DIRECTORY}/unpacked")
    file(REMOVE_RECURSE "${unpacked}")
    run(dpkg-deb -R "${file}" "${unpacked}")
    file(READ "${unpacked}/DEBIAN/control" control)
    string(REGEX MATCH "Package: ([^\n]+)" _ "${control}")
    set(package "${CMAKE_MATCH_1}")
    # A program and documents serve all architectures; of the libraries, several can be installed together.
    set(kind same)
    if(package MATCHES "-(tools|doc)$")
      set(kind foreign)
    endif()

    # The dependencies of what was linked.
    file(GLOB objects "${unpacked}/usr/bin/*" "${unpacked}/usr/lib/${multiarch}/libpusher.so.*.*.*")
    if(objects)
      execute_process(COMMAND "${CMAKE_COMMAND}" -E env DEB_HOST_ARCH=${arch} dpkg-shlibdeps -O ${libraries} ${objects}
        WORKING_DIRECTORY "${tools}" OUTPUT_VARIABLE depends OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
      string(REGEX REPLACE "^shlibs:Depends=" "" depends "${depends}")
      string(REGEX REPLACE "(\n)(Section: )" "\\1Depends: ${depends}\n\\2" control "${control}")
    endif()
    if(objects AND package STREQUAL CPACK_DEBIAN_PUSHER_RUNTIME_PACKAGE_NAME)
      # A program that is built with the library depends on the version that introduced the newest function that it calls. Other tools
      # than dpkg-shlibdeps read `shlibs`, with one version for all functions: each version may add some.
      cmake_path(GET objects FILENAME name)
      string(REGEX REPLACE "^(.*)\\.so\\.([0-9]+)\\..*$" "\\1 \\2" soname "${name}")
      string(REPLACE " " ".so." link "${soname}")
      file(WRITE "${unpacked}/DEBIAN/shlibs" "${soname} ${package} (>= ${CPACK_PACKAGE_VERSION})\n")
      file(STRINGS "${CPACK_PUSHER_SOURCE_DIR}/abi/since.txt" functions)
      # Debian sorts 0.2.0~rc.1 before 0.2.0.
      list(TRANSFORM functions REPLACE "-" "~")
      list(TRANSFORM functions REPLACE "^([^ ]+) (.+)$" " \\1@Base \\2\n")
      list(JOIN functions "" functions)
      file(WRITE "${tools}/${package}.symbols" "${link} ${package} #MINVER#\n* Build-Depends-Package: libpusher-dev\n${functions}")
      # This checks the list, too: the library exports these functions and no others.
      run(${CMAKE_COMMAND} -E chdir "${tools}" ${CMAKE_COMMAND} -E env DEB_HOST_ARCH=${arch} dpkg-gensymbols -q -c4 -p${package}
        -v${CPACK_PACKAGE_VERSION} -e${objects} "-I${package}.symbols" "-O${unpacked}/DEBIAN/symbols")
      file(WRITE "${unpacked}/DEBIAN/triggers" "activate-noawait ldconfig\n")
    endif()
    string(STRIP "${control}" control)
    if(NOT control MATCHES "Multi-Arch:")
      string(APPEND control "\nMulti-Arch: ${kind}")
    endif()
    file(WRITE "${unpacked}/DEBIAN/control" "${control}\n")
    run(dpkg-deb --root-owner-group -Zxz --build "${unpacked}" "${file}")
    file(REMOVE_RECURSE "${unpacked}")
    pack_debug_info("${package}" ${kind})
  endforeach()
  return()
endif()

# Strips a file. With PUSHER_DEBUG_INFO, what is stripped of its debug information is kept for a package, by the build's number: debuggers
# find it so.
function(strip_linked file package)
  if(CPACK_PUSHER_DEBUG_INFO)
    execute_process(COMMAND readelf -nW "${file}" OUTPUT_VARIABLE notes COMMAND_ERROR_IS_FATAL ANY)
    if(NOT notes MATCHES "Build ID: ([0-9a-f][0-9a-f])([0-9a-f]+)")
      message(FATAL_ERROR "The linker wrote no build ID into ${file}: ${notes}")
    endif()
    set(folder "${debug}/${package}/usr/lib/debug/.build-id/${CMAKE_MATCH_1}")
    file(MAKE_DIRECTORY "${folder}")
    run("${CPACK_PUSHER_OBJCOPY}" --only-keep-debug --compress-debug-sections "${file}" "${folder}/${CMAKE_MATCH_2}.debug")
    file(CHMOD "${folder}/${CMAKE_MATCH_2}.debug" PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
  endif()
  run("${CPACK_PUSHER_STRIP}" --strip-unneeded --remove-section=.comment --remove-section=.note "${file}")
endfunction()

file(REMOVE_RECURSE "${debug}")
file(GLOB components "${CPACK_TEMPORARY_DIRECTORY}/Pusher_*")
foreach(component IN LISTS components)
  cmake_path(GET component FILENAME name)
  string(TOUPPER "${name}" upper)
  set(package "${CPACK_DEBIAN_${upper}_PACKAGE_NAME}")
  set(documents "${component}/usr/share/doc/${package}")

  # What was compiled in: libpusher's crates, or those of the program.
  set(materials libpusher)
  set(program)
  if(name STREQUAL "Pusher_Tools")
    set(materials pusher-testserver)
    set(program --program)
    if(NOT EXISTS "${component}/usr/bin/pusher-testserver")
      message(FATAL_ERROR "A Debian package has its programs in /usr/bin, but this build installs to another folder. Configure it "
        "with -DCMAKE_INSTALL_PREFIX=/usr.")
    endif()
    strip_linked("${component}/usr/bin/pusher-testserver" ${package})
  elseif(NOT name STREQUAL "Pusher_Documentation" AND NOT IS_DIRECTORY "${component}/usr/lib/${multiarch}")
    message(FATAL_ERROR "A Debian package has its libraries in /usr/lib/${multiarch}, but this build installs to another "
      "folder. Configure it with -DCMAKE_INSTALL_PREFIX=/usr.")
  endif()

  # Debian wants the licences in `copyright`, and the changelog under another name and in another form.
  file(GLOB installed "${component}/usr/share/doc/*/*")
  foreach(document IN LISTS installed)
    cmake_path(GET document FILENAME file)
    if(file MATCHES "^(LICEN[CS]E|COPYING)" OR file MATCHES "^CHANGELOG")
      file(REMOVE "${document}")
    else()
      file(MAKE_DIRECTORY "${documents}")
      file(RENAME "${document}" "${documents}/${file}")
    endif()
  endforeach()
  file(GLOB left LIST_DIRECTORIES true "${component}/usr/share/doc/*")
  list(REMOVE_ITEM left "${documents}")
  foreach(directory IN LISTS left)
    file(REMOVE_RECURSE "${directory}")
  endforeach()

  file(MAKE_DIRECTORY "${documents}")
  execute_process(COMMAND python3 packaging/copyright.py "${CPACK_PUSHER_CARGO}" ${program} WORKING_DIRECTORY "${CPACK_PUSHER_SOURCE_DIR}"
    OUTPUT_FILE "${documents}/copyright" COMMAND_ERROR_IS_FATAL ANY)
  if(NOT name STREQUAL "Pusher_Documentation")
    execute_process(COMMAND python3 packaging/sbom.py "${CPACK_PUSHER_CARGO}" ${program} WORKING_DIRECTORY "${CPACK_PUSHER_SOURCE_DIR}"
      OUTPUT_FILE "${documents}/${materials}.cdx.json" COMMAND_ERROR_IS_FATAL ANY)
  endif()
  file(COPY_FILE "${CPACK_PUSHER_SOURCE_DIR}/CHANGELOG.md" "${documents}/changelog")
  file(WRITE "${documents}/changelog.Debian"
    "libpusher (${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium\n\n"
    "  * Built from the source of ${CPACK_PACKAGE_VERSION}; changelog.gz lists its changes.\n\n"
    " -- ${CPACK_DEBIAN_PACKAGE_MAINTAINER}  ${date}\n")
  run(gzip -9n "${documents}/changelog" "${documents}/changelog.Debian")

  # Debian compresses manual pages, and the links between them must follow.
  file(GLOB pages "${component}/usr/share/man/man*/*")
  foreach(page IN LISTS pages)
    if(page MATCHES "\\.gz$")
      continue()
    endif()
    if(IS_SYMLINK "${page}")
      file(READ_SYMLINK "${page}" to)
      file(REMOVE "${page}")
      file(CREATE_LINK "${to}.gz" "${page}.gz" SYMBOLIC)
    else()
      run(gzip -9n "${page}")
    endif()
  endforeach()

  file(GLOB archives "${component}/usr/lib/${multiarch}/*.a")
  foreach(archive IN LISTS archives)
    run("${CPACK_PUSHER_STRIP}" --strip-debug --remove-section=.comment --enable-deterministic-archives "${archive}")
  endforeach()
  file(GLOB objects "${component}/usr/lib/${multiarch}/libpusher.so.*.*.*")
  foreach(object IN LISTS objects)
    strip_linked("${object}" ${package})
  endforeach()
  file(GLOB_RECURSE files LIST_DIRECTORIES false "${component}/usr/share/*")
  if(files)
    file(CHMOD ${files} PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
  endif()
endforeach()
