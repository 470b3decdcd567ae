/* What struct settings holds; for settings.c, which fills it, and settings_doc.c, which prints it. */
#ifndef GANTRY_PROTO_SETTINGS_VALUES_H
#define GANTRY_PROTO_SETTINGS_VALUES_H

#include "proto/settings.h"

enum setting_source { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_FLAG };

struct setting_value {
    char *text; /* owned */
    int64_t number;
    uint8_t source; /* enum setting_source */
    unsigned line;  /* of the file that set it; 0 if none did */
};

struct settings {
    struct setting_value values[SET_COUNT_OF_ALL];
    char *flags[SET_COUNT_OF_ALL]; /* owned; NULL where no flag was given. Kept for reload */
};

#endif
