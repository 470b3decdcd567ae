/* Settings: four layers, the later ones on top. A reload builds all of them anew beside the old ones, so that an error in any
 * leaves everything as it was. */
#include "proto/settings.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/ident.h"
#include "proto/log.h"
#include "proto/messages.h"
#include "proto/settings_file.h"
#include "proto/settings_table.h"
#include "proto/settings_values.h"

struct layer { /* what reading a file needs to know */
    struct settings *settings;
    const char *file;
    bool beside_data; /* it is <data>/gantry.conf */
};

static const char *const source_names[] = {"default", "file", "environment", "flag"};

/* Checks and stores one value; label names it in errors. */
static int value_put(struct settings *settings, int id, struct str value, enum setting_source source, const char *label,
                     struct err *err)
{
    struct setting_value *slot = &settings->values[id];
    int64_t number;
    if (setting_check(&settings_table[id], value, label, &number, err) < 0)
        return -1;
    char *text = strndup(value.len > 0 ? value.ptr : "", value.len);
    if (!text)
        return err_set(err, ERR_NO_MEMORY, "no memory for the settings");
    free(slot->text);
    slot->text = text;
    slot->number = number;
    slot->source = (uint8_t)source;
    return 0;
}

static int file_put(void *arg, unsigned line, struct str name, struct str value, struct err *err)
{
    const struct layer *layer = arg;
    const char *file = settings_file_label(layer->file);
    char label[192];
    snprintf(label, sizeof(label), "%s:%u: ", file, line);
    int id = setting_find(name, SPELT_NAME);
    if (id < 0)
        return setting_unknown(name, SPELT_NAME, label, err);
    struct setting_value *slot = &layer->settings->values[id];
    if (id == SET_CONFIG || (id == SET_DATA && layer->beside_data))
        return err_set(err, ERR_INVALID, "%s%s cannot be set in this file", label, settings_table[id].name);
    if (slot->line > 0)
        return err_set(err, ERR_INVALID, "%s%s is set in line %u already", label, settings_table[id].name, slot->line);
    snprintf(label, sizeof(label), "%s:%u: %s", file, line, settings_table[id].name);
    if (value_put(layer->settings, id, value, FROM_FILE, label, err) < 0)
        return -1;
    slot->line = line;
    return 0;
}

/* ---- layers ---- */

static int apply_defaults(struct settings *settings, struct err *err)
{
    for (int id = 0; id < SET_COUNT_OF_ALL; id++)
        if (value_put(settings, id, str_of(settings_table[id].initial), FROM_DEFAULT, settings_table[id].name, err) < 0)
            return -1;
    return 0;
}

/* What decides which file is read comes from above the file: flags first, then the environment. */
static const char *early_text(const struct settings *settings, enum setting_id id)
{
    char variable[SETTING_NAME_SIZE];
    if (settings->flags[id])
        return settings->flags[id];
    const char *given = getenv(setting_spell(&settings_table[id], SPELT_VARIABLE, variable));
    return given ? given : settings_table[id].initial;
}

static int apply_file(struct settings *settings, struct err *err)
{
    char beside[PATH_MAX];
    struct layer layer = {settings, early_text(settings, SET_CONFIG), false};
    if (layer.file[0] == '\0') {
        int len = snprintf(beside, sizeof(beside), "%s/gantry.conf", early_text(settings, SET_DATA));
        if (len < 0 || (size_t)len >= sizeof(beside))
            return err_set(err, ERR_INVALID, "the path of the data folder is too long");
        layer = (struct layer){settings, beside, true};
    }
    return settings_file_read(layer.file, layer.beside_data, file_put, &layer, err);
}

/* Variables that are not settings: what a run is given, the client's key, and a name that is both a run's and a setting's. */
static bool variable_is_ours(struct str name)
{
    static const char *const exact[] = {"GANTRY_OUTPUT",  "GANTRY_RESULT",    "GANTRY_PROGRESS_FD",
                                        "GANTRY_KEY",     "GANTRY_ATTEMPT",   "GANTRY_TASK",
                                        "GANTRY_TASK_ID", "GANTRY_TASK_NAME", "GANTRY_WORKER_IDENT"};
    static const char *const prefixes[] = {"GANTRY_PARAM", "GANTRY_RUN"};
    for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++)
        if (str_is(name, exact[i]))
            return true;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (name.len >= strlen(prefixes[i]) && memcmp(name.ptr, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static int apply_environment(struct settings *settings, struct err *err)
{
    for (char **entry = environ; entry && *entry; entry++) {
        char label[SETTING_NAME_SIZE];
        const char *sign = strchr(*entry, '=');
        if (!sign || strncmp(*entry, "GANTRY_", 7) != 0)
            continue;
        struct str name = {*entry, (uint32_t)(sign - *entry)};
        int id = setting_find(name, SPELT_VARIABLE);
        if (id < 0 && variable_is_ours(name))
            continue;
        if (id < 0)
            return setting_unknown(name, SPELT_VARIABLE, "", err);
        setting_spell(&settings_table[id], SPELT_VARIABLE, label);
        if (value_put(settings, id, str_of(sign + 1), FROM_ENVIRONMENT, label, err) < 0)
            return -1;
    }
    return 0;
}

static int apply_flags(struct settings *settings, struct err *err)
{
    char label[SETTING_NAME_SIZE];
    for (int id = 0; id < SET_COUNT_OF_ALL; id++) {
        setting_spell(&settings_table[id], SPELT_FLAG, label);
        if (settings->flags[id] && value_put(settings, id, str_of(settings->flags[id]), FROM_FLAG, label, err) < 0)
            return -1;
    }
    return 0;
}

static int apply_all(struct settings *settings, struct err *err)
{
    if (apply_defaults(settings, err) < 0 || apply_file(settings, err) < 0 || apply_environment(settings, err) < 0 ||
        apply_flags(settings, err) < 0)
        return -1;
    return settings_check_together(settings, err);
}

/* ---- flags ---- */

struct flag {
    int id;           /* -1: none of ours */
    bool set;         /* --set */
    struct str value; /* behind =; ptr NULL if there is none */
};

static struct flag flag_read(const char *argument)
{
    const char *sign = strchr(argument, '=');
    struct str name = {argument, sign ? (uint32_t)(sign - argument) : (uint32_t)strlen(argument)};
    struct flag flag = {-1, str_is(name, "--set"), {NULL, 0}};
    if (strncmp(argument, "--", 2) != 0)
        return flag;
    flag.id = setting_find(name, SPELT_FLAG);
    if (sign)
        flag.value = str_of(sign + 1);
    return flag;
}

int settings_flag_span(const char *argument)
{
    struct flag flag = flag_read(argument);
    if (flag.id < 0 && !flag.set)
        return 0;
    return flag.value.ptr || (flag.id >= 0 && settings_table[flag.id].kind == SETTING_BOOL) ? 1 : 2;
}

static int flag_keep(struct settings *settings, int id, struct str value, const char *label, struct err *err)
{
    if (setting_check(&settings_table[id], value, label, NULL, err) < 0)
        return -1;
    char *copy = strndup(value.len > 0 ? value.ptr : "", value.len);
    if (!copy)
        return err_set(err, ERR_NO_MEMORY, "no memory for the settings");
    free(settings->flags[id]);
    settings->flags[id] = copy;
    return 0;
}

static int flag_keep_set(struct settings *settings, struct str pair, struct err *err)
{
    const char *sign = memchr(pair.ptr, '=', pair.len);
    if (!sign)
        return err_set(err, ERR_INVALID, "--set expects name=value");
    struct str name = {pair.ptr, (uint32_t)(sign - pair.ptr)};
    int id = setting_find(name, SPELT_NAME);
    if (id < 0)
        return setting_unknown(name, SPELT_NAME, "--set: ", err);
    return flag_keep(settings, id, str_of(sign + 1), settings_table[id].name, err);
}

static int read_flags(struct settings *settings, int argc, char **argv, int *rest, struct err *err)
{
    int at = 1;
    while (at < argc) {
        char label[SETTING_NAME_SIZE];
        int span = settings_flag_span(argv[at]);
        if (span == 0)
            break;
        struct flag flag = flag_read(argv[at]);
        if (span == 2 && at + 1 >= argc)
            return err_set(err, ERR_INVALID, "%s expects a value", argv[at]);
        if (span == 2)
            flag.value = str_of(argv[at + 1]);
        else if (!flag.value.ptr)
            flag.value = STR_LIT("true");
        int result =
            flag.set ? flag_keep_set(settings, flag.value, err)
                     : flag_keep(settings, flag.id, flag.value, setting_spell(&settings_table[flag.id], SPELT_FLAG, label), err);
        if (result < 0)
            return -1;
        at += span;
    }
    if (rest)
        *rest = at < argc ? at : argc;
    else if (at < argc && strncmp(argv[at], "--", 2) == 0 && argv[at][2])
        return setting_unknown((struct str){argv[at], (uint32_t)strcspn(argv[at], "=")}, SPELT_FLAG, "", err);
    else if (at < argc)
        return err_set(err, ERR_INVALID, "unexpected argument \"%.100s\"", argv[at]);
    return 0;
}

/* ---- life ---- */

struct settings *settings_load(int argc, char **argv, int *rest, struct err *err)
{
    struct settings *settings = calloc(1, sizeof(*settings));
    if (!settings) {
        err_set(err, ERR_NO_MEMORY, "no memory for the settings");
        return NULL;
    }
    if (read_flags(settings, argc, argv, rest, err) < 0 || apply_all(settings, err) < 0) {
        settings_free(settings);
        return NULL;
    }
    return settings;
}

void settings_free(struct settings *settings)
{
    if (!settings)
        return;
    for (int id = 0; id < SET_COUNT_OF_ALL; id++) {
        free(settings->values[id].text);
        free(settings->flags[id]);
    }
    free(settings);
}

/* Takes over one freshly read value; answers whether it is another than before. A text stays where it is unless it has to change: who
 * reads one that is not reloadable keeps a pointer to it for as long as it lives. */
static bool value_renew(struct setting_value *old, struct setting_value *fresh, const struct setting *row)
{
    if (strcmp(old->text, fresh->text) == 0) {
        old->source = fresh->source;
        old->line = fresh->line;
        return false;
    }
    if (!row->reload) {
        log_warn("GTY-SETTING-KEPT", "name=%s takes effect at the next start", row->name);
        return false;
    }
    struct setting_value kept = *old;
    *old = *fresh;
    *fresh = kept;
    return true;
}

int settings_reload(struct settings *settings, int *changed, struct err *err)
{
    int count = 0;
    struct settings *fresh = calloc(1, sizeof(*fresh));
    if (!fresh)
        return err_set(err, ERR_NO_MEMORY, "no memory for the settings");
    memcpy(fresh->flags, settings->flags, sizeof(fresh->flags)); /* lent until the end of this function */
    int result = apply_all(fresh, err);
    for (int id = 0; result == 0 && id < SET_COUNT_OF_ALL; id++)
        count += value_renew(&settings->values[id], &fresh->values[id], &settings_table[id]);
    memset(fresh->flags, 0, sizeof(fresh->flags));
    settings_free(fresh);
    if (changed)
        *changed = count;
    return result;
}

/* ---- reading ---- */

const char *settings_text(const struct settings *settings, enum setting_id id)
{
    return settings->values[id].text;
}

int64_t settings_count_of(const struct settings *settings, enum setting_id id)
{
    return settings->values[id].number;
}

bool settings_bool(const struct settings *settings, enum setting_id id)
{
    return settings->values[id].number != 0;
}

const char *settings_source(const struct settings *settings, enum setting_id id)
{
    return source_names[settings->values[id].source];
}

int settings_endpoint(const struct settings *settings, enum setting_id id, const char *name, char *out, size_t size,
                      struct err *err)
{
    char folder[PATH_MAX];
    const char *given = settings_text(settings, id);
    if (!given[0] && ident_runtime_dir(settings_text(settings, SET_DATA), folder, sizeof(folder), err) < 0)
        return -1;
    int len = given[0] ? snprintf(out, size, "%s", given) : snprintf(out, size, "ipc://%s/%s.sock", folder, name);
    if (len < 0 || (size_t)len >= size)
        return err_set(err, ERR_INVALID, "the endpoint %s is too long", settings_table[id].name);
    return 0;
}
