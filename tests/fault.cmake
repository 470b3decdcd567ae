include(memory.cmake)
# Faults for whole processes. Sanitizers put themselves in the same places, so only builds without them have it.
if(NOT GANTRY_SANITIZE AND NOT GANTRY_FUZZ)
  add_library(shim MODULE ${CMAKE_SOURCE_DIR}/tests/fault/shim.c)
  target_link_libraries(shim PRIVATE gantry_flags ${CMAKE_DL_LIBS})
  set_target_properties(shim PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()
