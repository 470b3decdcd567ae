include(memory.cmake)
# Faults for whole processes. Sanitizers put themselves in the same places, so only builds without them have it.
if(NOT GANTRY_SANITIZE AND NOT GANTRY_FUZZ)
  add_library(shim MODULE ${CMAKE_SOURCE_DIR}/tests/fault/shim.c)
  target_link_libraries(shim PRIVATE gantry_flags ${CMAKE_DL_LIBS})
  set_target_properties(shim PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()
# For programs that are not ours, so never with a sanitizer.
add_library(port MODULE ${CMAKE_SOURCE_DIR}/tests/fault/port.c)
target_link_libraries(port PRIVATE ${CMAKE_DL_LIBS})
target_compile_definitions(port PRIVATE _GNU_SOURCE)
target_compile_options(port PRIVATE -Wall -Wextra -Wconversion -Wshadow)
set_target_properties(port PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
