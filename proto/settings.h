/* Settings: one table (proto/settings.def), read from defaults, a file, the environment and flags, in that order.
 *
 * Text values are owned by the settings; a reload replaces those that are reloadable and have changed, or none at all. So the text of a
 * setting that is not reloadable may be borrowed for as long as the settings live; any other only until the next reload.
 */
#ifndef GANTRY_PROTO_SETTINGS_H
#define GANTRY_PROTO_SETTINGS_H

#include <stdio.h>

#include "proto/str.h"

enum setting_kind { SETTING_TEXT, SETTING_COUNT, SETTING_BOOL, SETTING_WORD, SETTING_DECIMAL };

struct setting {      /* one row of the table */
    const char *name; /* "lease.seconds"; GANTRY_LEASE_SECONDS in the environment, --lease-seconds as a flag */
    enum setting_kind kind;
    const char *initial;
    int64_t low, high; /* of a COUNT or DECIMAL; bytes of a TEXT */
    const char *words; /* of a WORD: "auto|always|never" */
    bool reload;       /* takes effect at SIGHUP */
    const char *who;   /* processes that read it: "scheduler", "all" */
    const char *doc;
};

extern const struct setting settings_table[];
extern const size_t settings_count;

enum setting_id {
#define SETTING(id, name, kind, initial, low, high, words, reload, who, doc) SET_##id,
#include "proto/settings.def"
#undef SETTING
    SET_COUNT_OF_ALL
};

struct settings;

/* Reads defaults, then the file (`config` flag, GANTRY_CONFIG, or <data>/gantry.conf if that exists), the environment, argv.
 * Flags: --name value or --name=value, and --set name=value; a BOOL's --name alone means true. With rest NULL anything else is an
 * error; otherwise reading stops at the first argument that is no flag of the table, and rest receives its index (argc if none).
 * argv[0] is skipped. Variables that begin with GANTRY_ and are neither settings nor what runs are given (GANTRY_PARAM…,
 * GANTRY_RUN…, GANTRY_OUTPUT, …) are an error. NULL with err, which says file and line, on any error. */
struct settings *settings_load(int argc, char **argv, int *rest, struct err *err);
void settings_free(struct settings *settings); /* takes NULL */

/* Reads file and environment again. -1 with err: everything stays as it was. changed (may be NULL): how many values are new;
 * ones that are not reloadable keep their value and are named in a log line. */
int settings_reload(struct settings *settings, int *changed, struct err *err);

const char *settings_text(const struct settings *settings, enum setting_id id); /* "" when empty */
int64_t settings_count_of(const struct settings *settings, enum setting_id id); /* of a DECIMAL: thousandths */
bool settings_bool(const struct settings *settings, enum setting_id id);
/* Where the value comes from: "default", "file", "environment", "flag". */
const char *settings_source(const struct settings *settings, enum setting_id id);

/* How many arguments a flag of the table takes with its value: 2 for `--name`, 1 for `--name=value` and for a `--name` that is a
 * BOOL (it takes a value behind = only). 0 when it is none of ours. So that a command can tell its own flags apart. */
int settings_flag_span(const char *argument);

/* Endpoints: the setting, or ipc://<runtime folder>/<name>.sock when it is empty. */
int settings_endpoint(const struct settings *settings, enum setting_id id, const char *name, char *out, size_t size,
                      struct err *err);

/* The table with values, sources, ranges and docs; `gantry config --explain`. */
void settings_explain(const struct settings *settings, FILE *out);
/* The flags that a process of this name ("store"; "" for every one) reads, for --help. */
void settings_usage(const char *who, FILE *out);
/* The table as Markdown: docs/settings.md. */
void settings_markdown(FILE *out);

#endif
