# consumers(TARGET…) adds for each of these libraries a program in C and one in C++ as tests, <library>-c and
# <library>-cpp.
enable_testing()

function(consumers)
  foreach(library IN LISTS ARGN)
    string(REPLACE "Pusher::" "" name "${library}")
    foreach(language IN ITEMS c cpp)
      set(program ${name}-${language})
      add_executable(${program} ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/main.${language})
      target_link_libraries(${program} PRIVATE ${library})
      target_compile_features(${program} PRIVATE c_std_99 cxx_std_11)
      add_test(NAME ${program} COMMAND ${program})
    endforeach()
  endforeach()
endfunction()
