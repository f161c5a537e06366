# The fault server, a program of this repository: the tests use it, and it is installed as pusher-testserver.
set(PUSHER_FAULT_SERVER "" CACHE FILEPATH "The fault server; empty: cargo builds it")
set(fault_server "${PUSHER_FAULT_SERVER}")
if(fault_server STREQUAL "")
  set(fault_server "${PUSHER_CARGO_TARGET_DIR}/${rust_target}/no-lto/examples/fault-server${CMAKE_EXECUTABLE_SUFFIX}")
  add_custom_target(pusher-fault-server ALL
    COMMAND "${CMAKE_COMMAND}" -E env --unset=MAKEFLAGS --unset=MFLAGS ${cargo_environment}
      "${PUSHER_CARGO}" build ${cargo_flags} --profile no-lto --target ${rust_target}
      --target-dir "${PUSHER_CARGO_TARGET_DIR}" --example fault-server
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
    COMMENT "Building the fault server"
    USES_TERMINAL VERBATIM)
endif()
