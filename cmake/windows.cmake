# What a DLL of Windows has besides its code: a version resource, which the properties of the file show, and a .def file, from
# which other toolchains make an import library: `lib /def:pusher.def /machine:x64` for MSVC, `dlltool -d pusher.def` for MinGW.
enable_language(RC)

set(resource "${PROJECT_BINARY_DIR}/version.rc")
configure_file(cmake/version.rc.in "${resource}" @ONLY)
if(MSVC)
  set(resource_object "${PROJECT_BINARY_DIR}/version.res")
  set(resource_command "${CMAKE_RC_COMPILER}" /nologo /fo "${resource_object}" "${resource}")
else()
  set(resource_object "${PROJECT_BINARY_DIR}/version.o")
  set(resource_command "${CMAKE_RC_COMPILER}" --output-format=coff "${resource}" "${resource_object}")
endif()
add_custom_command(OUTPUT "${resource_object}" COMMAND ${resource_command} MAIN_DEPENDENCY "${resource}" VERBATIM)
add_custom_target(pusher-version-resource DEPENDS "${resource_object}")
# build.rs links it.
list(APPEND cargo_environment "PUSHER_VERSION_RESOURCE=${resource_object}")

file(STRINGS "${PROJECT_SOURCE_DIR}/abi/symbols.txt" symbols)
list(JOIN symbols "\n    " symbols)
file(CONFIGURE OUTPUT pusher.def CONTENT "LIBRARY pusher.dll\nEXPORTS\n    @symbols@\n" @ONLY)
