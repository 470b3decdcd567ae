/* The settings file: whatever its bytes, it is read or refused with a message, and what it yields passed the table's checks. */
#include <stdlib.h>

#include "proto/settings_file.h"
#include "proto/settings_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(void *arg, unsigned line, struct str name, struct str value, struct err *err)
{
    (void)arg;
    int64_t number = -1;
    int id = setting_find(name, SPELT_NAME);
    if (line == 0 || value.len > SETTINGS_VALUE_MAX)
        abort();
    if (id < 0)
        return setting_unknown(name, SPELT_NAME, "fuzz: ", err);
    if (setting_check(&settings_table[id], value, settings_table[id].name, &number, err) < 0)
        return -1;
    if (settings_table[id].kind == SETTING_COUNT && (number < settings_table[id].low || number > settings_table[id].high))
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    if (size > UINT32_MAX)
        return 0;
    if (settings_file_parse("fuzz.conf", (struct str){(const char *)data, (uint32_t)size}, take, NULL, &err) < 0 && !err.text[0])
        abort();
    return 0;
}
