/* The rows of proto/settings.def: finding them by their three names, and checking values against them. */
#ifndef GANTRY_PROTO_SETTINGS_TABLE_H
#define GANTRY_PROTO_SETTINGS_TABLE_H

#include "proto/settings.h"

/* How a setting is spelt: lease.seconds, GANTRY_LEASE_SECONDS, --lease-seconds. */
enum setting_spelling { SPELT_NAME, SPELT_VARIABLE, SPELT_FLAG };

#define SETTING_NAME_SIZE 64

/* The row's name so spelt, into out; answers out. "" when it has no such spelling (GANTRY_OUTPUT is what runs get). */
const char *setting_spell(const struct setting *setting, enum setting_spelling spelling, char out[SETTING_NAME_SIZE]);

/* The id of what is so spelt, -1 if there is none. */
int setting_find(struct str spelt, enum setting_spelling spelling);

/* Fills err with "unknown …", and the nearest known name if one is near. before: "gantry.conf:3: " or "". */
int setting_unknown(struct str spelt, enum setting_spelling spelling, const char *before, struct err *err);

/* Whether value may be had; -1 with err, which begins with `label`. number (may be NULL): a COUNT's, or 0 and 1 of a BOOL. */
int setting_check(const struct setting *setting, struct str value, const char *label, int64_t *number, struct err *err);

/* Reads "1", "0.5", "2.125" as thousandths; false: it is no such number. */
bool setting_decimal(struct str value, int64_t *thousandths);

/* Whether the values make sense with each other; -1 with err, which names both. */
int settings_check_together(const struct settings *settings, struct err *err);

/* "1..3600", "true|false", "at most 64 bytes", … into out; answers out. */
const char *setting_range(const struct setting *setting, char *out, size_t size);

#endif
