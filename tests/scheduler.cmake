# The scheduler's tests.
add_library(core_fixture STATIC ${CMAKE_SOURCE_DIR}/tests/unit/core_fixture.c)
target_link_libraries(core_fixture PUBLIC scheduler PkgConfig::CMOCKA)
gantry_test(heap LINKS scheduler)
gantry_test(index LINKS scheduler)
gantry_test(run LINKS core_fixture)
gantry_test(queue LINKS core_fixture)
gantry_test(lease LINKS core_fixture)
gantry_test(retry LINKS core_fixture)

# The host's side: journal, keys, events, schedules, rebuilding.
gantry_test(journal LINKS scheduler)
gantry_test(key LINKS scheduler)
gantry_test(event LINKS scheduler)
gantry_test(cron LINKS scheduler)
gantry_test(recover LINKS scheduler)
gantry_fuzz(cron LINKS scheduler)
gantry_fuzz(zone LINKS scheduler)
# What tests/tools/test_cron.py holds against its oracle.
add_executable(cron_next ${CMAKE_SOURCE_DIR}/tests/tools/cron_next.c)
target_link_libraries(cron_next PRIVATE gantry_flags scheduler)
set_target_properties(cron_next PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
