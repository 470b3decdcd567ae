gantry_test(kv LINKS store)
gantry_test(query LINKS store)
gantry_test(commit LINKS store)
