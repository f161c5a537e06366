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

# In the second run the packages exist. CPack before 3.31 writes no Multi-Arch field, and calls ldconfig in maintainer scripts
# although dpkg has a trigger for it.
if(CPACK_PACKAGE_FILES)
  foreach(package IN LISTS CPACK_PACKAGE_FILES)
    set(unpacked "${CPACK_TEMPORARY_DIRECTORY}/unpacked")
    file(REMOVE_RECURSE "${unpacked}")
    run(dpkg-deb -R "${package}" "${unpacked}")
    file(READ "${unpacked}/DEBIAN/control" control)
    if(NOT control MATCHES "Multi-Arch:")
      string(STRIP "${control}" control)
      # A program serves all architectures; of the libraries, several can be installed together.
      set(kind same)
      if(EXISTS "${unpacked}/usr/bin")
        set(kind foreign)
      endif()
      file(WRITE "${unpacked}/DEBIAN/control" "${control}\nMulti-Arch: ${kind}\n")
    endif()
    if(EXISTS "${unpacked}/DEBIAN/shlibs")
      file(REMOVE "${unpacked}/DEBIAN/postinst" "${unpacked}/DEBIAN/postrm")
      file(WRITE "${unpacked}/DEBIAN/triggers" "activate-noawait ldconfig\n")
    endif()
    run(dpkg-deb --root-owner-group -Zxz --build "${unpacked}" "${package}")
    file(REMOVE_RECURSE "${unpacked}")
  endforeach()
  return()
endif()

execute_process(COMMAND dpkg-architecture -qDEB_HOST_MULTIARCH OUTPUT_VARIABLE multiarch OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND_ERROR_IS_FATAL ANY)

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
    run("${CPACK_PUSHER_STRIP}" --strip-unneeded --remove-section=.comment --remove-section=.note
      "${component}/usr/bin/pusher-testserver")
  elseif(NOT IS_DIRECTORY "${component}/usr/lib/${multiarch}")
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
  execute_process(COMMAND python3 packaging/sbom.py "${CPACK_PUSHER_CARGO}" ${program} WORKING_DIRECTORY "${CPACK_PUSHER_SOURCE_DIR}"
    OUTPUT_FILE "${documents}/${materials}.cdx.json" COMMAND_ERROR_IS_FATAL ANY)
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
    run("${CPACK_PUSHER_STRIP}" --strip-unneeded --remove-section=.comment --remove-section=.note "${object}")
  endforeach()
  file(GLOB_RECURSE files LIST_DIRECTORIES false "${component}/usr/share/*")
  if(files)
    file(CHMOD ${files} PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
  endif()
endforeach()
