# One helper a kind of target.

add_library(gantry_flags INTERFACE)
target_include_directories(gantry_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(gantry_flags INTERFACE _GNU_SOURCE GANTRY_VERSION="${PROJECT_VERSION}")
# snprintf into a bounded buffer is how text is cut here; where a cut matters the code asks the return value.
target_compile_options(gantry_flags INTERFACE -Wall -Wextra -Wconversion -Wshadow -fno-strict-aliasing
  $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>
  $<$<BOOL:${GANTRY_WERROR}>:-Werror>)
if(GANTRY_SANITIZE)
  target_compile_options(gantry_flags INTERFACE -fsanitize=${GANTRY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(gantry_flags INTERFACE -fsanitize=${GANTRY_SANITIZE})
endif()
if(GANTRY_FUZZ)
  # pointer-overflow: clang counts NULL + 0, the end of an empty text, as one.
  target_compile_options(gantry_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=pointer-overflow
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(gantry_flags INTERFACE -fsanitize=address,undefined)
endif()
if(GANTRY_COVERAGE)
  target_compile_options(gantry_flags INTERFACE --coverage)
  target_link_options(gantry_flags INTERFACE --coverage)
endif()

# gantry_room(NAME SOURCES … LINKS …): a component's code as a static library, so that tests link what ships.
function(gantry_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC gantry_flags ${ARG_LINKS})
endfunction()

# gantry_program(NAME SOURCES … LINKS …): an executable that ships.
function(gantry_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE gantry_flags ${ARG_LINKS})
endfunction()

# gantry_test(FILE LINKS …): tests/unit/test_<file>.c, one line each.
function(gantry_test name)
  cmake_parse_arguments(ARG "" "" "LINKS" ${ARGN})
  add_executable(test_${name} ${CMAKE_SOURCE_DIR}/tests/unit/test_${name}.c)
  target_link_libraries(test_${name} PRIVATE gantry_flags ${ARG_LINKS} PkgConfig::CMOCKA)
  set_target_properties(test_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME unit.${name} COMMAND test_${name})
endfunction()

# gantry_fuzz(NAME LINKS …): tests/fuzz/fuzz_<name>.c. With GANTRY_FUZZ a fuzzer; otherwise a program that replays files,
# so that every test run replays tests/fuzz/corpus/<name> and tests/fuzz/regressions/<name>. HELPERS: further files of
# tests/fuzz; WRAPS: functions that these replace (--wrap).
function(gantry_fuzz name)
  cmake_parse_arguments(ARG "" "" "LINKS;HELPERS;WRAPS" ${ARGN})
  list(TRANSFORM ARG_HELPERS PREPEND ${CMAKE_SOURCE_DIR}/tests/fuzz/)
  list(TRANSFORM ARG_WRAPS PREPEND -Wl,--wrap=)
  add_executable(fuzz_${name} ${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_${name}.c ${ARG_HELPERS})
  target_link_options(fuzz_${name} PRIVATE ${ARG_WRAPS})
  if(GANTRY_FUZZ)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(fuzz_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.c)
    add_test(NAME fuzz.${name} COMMAND fuzz_${name} ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name}
      ${CMAKE_SOURCE_DIR}/tests/fuzz/regressions/${name})
  endif()
  target_link_libraries(fuzz_${name} PRIVATE gantry_flags ${ARG_LINKS})
  set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endfunction()
