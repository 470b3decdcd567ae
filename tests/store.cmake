gantry_test(kv LINKS store)
gantry_test(query LINKS store)
