# The scheduler's tests.
add_library(core_fixture STATIC ${CMAKE_SOURCE_DIR}/tests/unit/core_fixture.c)
target_link_libraries(core_fixture PUBLIC scheduler PkgConfig::CMOCKA)
gantry_test(run LINKS core_fixture)
