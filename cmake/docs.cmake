# The manual pages and the reference. docs/man.py generates the pages from the header, and they are committed, so installing
# them needs no tool. docs/site.py writes the web site by Doxygen, without a network.

file(GLOB pages CONFIGURE_DEPENDS "${CMAKE_CURRENT_LIST_DIR}/../docs/man/*.3")
install(FILES ${pages} DESTINATION "${CMAKE_INSTALL_MANDIR}/man3" COMPONENT Pusher_Development)

if(PUSHER_BUILD_TOOLS)
  install(FILES "${CMAKE_CURRENT_LIST_DIR}/../docs/man/pusher-testserver.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1"
    COMPONENT Pusher_Tools)
endif()

option(PUSHER_BUILD_DOCS "Build the guides and the reference as a web site with Doxygen" OFF)
if(PUSHER_BUILD_DOCS)
  find_package(Doxygen 1.9.4 REQUIRED)
  find_package(Python3 3.10 REQUIRED COMPONENTS Interpreter)
  set(PUSHER_DOCS_DIR "${PROJECT_BINARY_DIR}/html")
  add_custom_target(pusher-docs ALL
    COMMAND Python3::Interpreter -B docs/site.py "${PUSHER_DOCS_DIR}" --doxygen "$<TARGET_FILE:Doxygen::doxygen>"
    WORKING_DIRECTORY "${CMAKE_CURRENT_LIST_DIR}/.."
    COMMENT "Writing the documentation to ${PUSHER_DOCS_DIR}"
    VERBATIM)
  install(DIRECTORY "${PUSHER_DOCS_DIR}" TYPE DOC COMPONENT Pusher_Documentation)
endif()
