gantry_test(bench_window LINKS proto PkgConfig::JANSSON)
target_sources(test_bench_window PRIVATE ${CMAKE_SOURCE_DIR}/tests/bench/window.c ${CMAKE_SOURCE_DIR}/tests/bench/samples.c)
target_link_options(test_bench_window PRIVATE -Wl,--wrap=clock_mono_us)
