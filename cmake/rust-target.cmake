# Sets rust_target, Rust's name of the target that the toolchain file selects. The compiler names its target better than
# CMAKE_SYSTEM_PROCESSOR does: as the C library, and the way of floating-point arguments. PUSHER_CARGO_BUILD_TARGET overrides it.
if(MSVC)
  set(machine "${MSVC_C_ARCHITECTURE_ID}-windows-msvc")
elseif(CMAKE_C_COMPILER_TARGET)
  set(machine "${CMAKE_C_COMPILER_TARGET}")
else()
  execute_process(COMMAND "${CMAKE_C_COMPILER}" -dumpmachine OUTPUT_VARIABLE machine OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE machine_result ERROR_QUIET)
endif()

string(REGEX MATCH "^[^-]+" processor "${machine}")
string(TOLOWER "${processor}" processor)
if(processor MATCHES "^i[3-6]86$|^x86$")
  set(processor i686)
elseif(processor STREQUAL "x64")
  set(processor x86_64)
elseif(processor STREQUAL "arm64")
  set(processor aarch64)
elseif(processor STREQUAL "riscv64")
  set(processor riscv64gc)
elseif(processor STREQUAL "arm" AND CMAKE_SYSTEM_PROCESSOR MATCHES "^armv7")
  # The processor that the toolchain file names decides: Debian's compiler makes code for armv7, Raspbian's for armv6.
  set(processor armv7)
endif()

if(machine MATCHES "mingw32$")
  set(rust_target "${processor}-pc-windows-gnu")
elseif(machine MATCHES "windows-msvc$")
  set(rust_target "${processor}-pc-windows-msvc")
elseif(machine MATCHES "linux-((gnu|musl)[a-z0-9]*)$")
  set(rust_target "${processor}-unknown-linux-${CMAKE_MATCH_1}")
else()
  message(FATAL_ERROR "PUSHER_CARGO_BUILD_TARGET is not set, and Rust's name for the target '${machine}' of ${CMAKE_C_COMPILER} "
    "is not known. `rustc --print target-list` prints all names.")
endif()
message(STATUS "Rust target: ${rust_target}")
