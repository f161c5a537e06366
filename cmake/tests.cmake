# The suites in C and C++ as tests of CTest: configure with -DPUSHER_BUILD_TESTS=ON, build, and run `ctest` in the build
# folder. `make ctest` does all three. The other tests run by cargo and by scripts: see CONTRIBUTING.md.
#
#   ctest -N                 lists the tests
#   ctest -R contract        runs those whose names match
#   ctest -L c++             runs those with a label: c, c++, header
option(PUSHER_BUILD_CXX_TESTS "Build the suites in C++, too" ON)
if(PUSHER_BUILD_CXX_TESTS)
  enable_language(CXX)
endif()
enable_testing()
find_package(Threads REQUIRED)

set(test_flags -Wall -Wextra -Wpedantic -Werror)

# pusher_test(NAME LABEL STANDARD feature SOURCES… LIBRARIES… [ARGUMENTS…]) adds a program, and a test that runs it.
function(pusher_test name label)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" STANDARD "SOURCES;LIBRARIES;ARGUMENTS")
  string(REPLACE "." "-" program "test-${name}")
  add_executable(${program} ${arg_SOURCES})
  target_compile_features(${program} PRIVATE ${arg_STANDARD})
  target_compile_definitions(${program} PRIVATE _GNU_SOURCE)
  target_compile_options(${program} PRIVATE ${test_flags})
  target_link_libraries(${program} PRIVATE ${arg_LIBRARIES} Threads::Threads $<$<BOOL:${WIN32}>:ws2_32>)
  add_test(NAME ${name} COMMAND ${program} ${arg_ARGUMENTS})
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT 300)
endfunction()

# The header alone, by every standard that the compilers know.
function(pusher_header_test language compiler)
  foreach(standard IN LISTS ARGN)
    string(REPLACE "+" "p" name "${standard}")
    add_test(NAME header.${name}
      COMMAND "${compiler}" -std=${standard} ${test_flags} -fsyntax-only -x ${language} "${PROJECT_SOURCE_DIR}/include/pusher.h")
    set_tests_properties(header.${name} PROPERTIES LABELS header)
  endforeach()
endfunction()
pusher_header_test(c "${CMAKE_C_COMPILER}" c99 c11 c17)
if(PUSHER_BUILD_CXX_TESTS)
  pusher_header_test(c++ "${CMAKE_CXX_COMPILER}" c++11 c++14 c++17 c++20)
endif()

# Every function of the ABI, right and wrong, with a server in a thread.
foreach(kind IN ITEMS shared static)
  if(TARGET Pusher::${kind})
    pusher_test(contract.${kind} c STANDARD c_std_11 SOURCES tests/c/contract.c LIBRARIES Pusher::${kind})
  endif()
endforeach()

# Every call of pusher.hpp, once.
if(PUSHER_BUILD_CXX_TESTS)
  pusher_test(every_call c++ STANDARD cxx_std_17 SOURCES tests/cpp/every_call.cpp LIBRARIES Pusher::pusher)
endif()

# The suites below use the fault server: cmake/fault-server.cmake.
set(cases "${PROJECT_SOURCE_DIR}/tests/conformance.json" "${PROJECT_SOURCE_DIR}/tests/answers.json")
set(with_fault_server)

find_path(CJSON_INCLUDE_DIR cjson/cJSON.h)
find_library(CJSON_LIBRARY cjson)
mark_as_advanced(CJSON_INCLUDE_DIR CJSON_LIBRARY)
if(CJSON_INCLUDE_DIR AND CJSON_LIBRARY)
  # The cases that the bindings of all languages share.
  pusher_test(conformance.c c STANDARD c_std_11 SOURCES tests/c/conformance.c
    LIBRARIES Pusher::pusher "${CJSON_LIBRARY}" ARGUMENTS ${cases})
  target_include_directories(test-conformance-c PRIVATE "${CJSON_INCLUDE_DIR}")
  # Delivery under faults, reduced; scripts/delivery.sh runs all of it on Linux.
  pusher_test(delivery c STANDARD c_std_11 SOURCES tests/c/delivery.c
    LIBRARIES Pusher::pusher "${CJSON_LIBRARY}" ARGUMENTS "${PROJECT_SOURCE_DIR}/docs/delivery.md")
  target_include_directories(test-delivery PRIVATE "${CJSON_INCLUDE_DIR}")
  set_tests_properties(delivery PROPERTIES TIMEOUT 900)
  list(APPEND with_fault_server conformance.c delivery)
  # For e2e/bindings/bindings.test.mjs, which needs a real server.
  add_executable(test-with-server e2e/bindings/c.c)
  target_compile_features(test-with-server PRIVATE c_std_99)
  target_compile_options(test-with-server PRIVATE ${test_flags})
  target_include_directories(test-with-server PRIVATE "${CJSON_INCLUDE_DIR}")
  target_link_libraries(test-with-server PRIVATE Pusher::pusher "${CJSON_LIBRARY}")
  # The vectors of other libraries.
  pusher_test(vectors.c c STANDARD c_std_11 SOURCES tests/c/vectors.c
    LIBRARIES Pusher::pusher "${CJSON_LIBRARY}" ARGUMENTS "${PROJECT_SOURCE_DIR}/tests/vectors/peers.json")
  target_include_directories(test-vectors-c PRIVATE "${CJSON_INCLUDE_DIR}")
else()
  message(STATUS "Not built: the tests conformance.c, delivery and vectors.c, because cJSON is missing (Debian's libcjson-dev)")
endif()

if(PUSHER_BUILD_CXX_TESTS)
  find_package(nlohmann_json QUIET)
endif()
if(nlohmann_json_FOUND)
  pusher_test(conformance.cpp c++ STANDARD cxx_std_17 SOURCES tests/cpp/conformance.cpp
    LIBRARIES Pusher::pusher nlohmann_json::nlohmann_json ARGUMENTS ${cases})
  # pusher.hpp, with a part that is compiled without exceptions.
  pusher_test(wrapper c++ STANDARD cxx_std_17
    SOURCES tests/cpp/wrapper.cpp tests/cpp/allocations.cpp tests/cpp/not_throwing.cpp
    LIBRARIES Pusher::pusher nlohmann_json::nlohmann_json)
  set_source_files_properties(tests/cpp/not_throwing.cpp PROPERTIES
    COMPILE_OPTIONS "-fno-exceptions;-fno-rtti" COMPILE_DEFINITIONS JSON_NOEXCEPTION)
  list(APPEND with_fault_server conformance.cpp wrapper)
elseif(PUSHER_BUILD_CXX_TESTS)
  message(STATUS "Not built: the tests conformance.cpp and wrapper, because JSON for Modern C++ is missing "
    "(Debian's nlohmann-json3-dev)")
endif()

if(with_fault_server)
  set_tests_properties(${with_fault_server} PROPERTIES ENVIRONMENT "FAULT_SERVER=${fault_server}")
endif()
