/* The table of settings: names and values. */
#include "proto/settings_table.h"

#include <ctype.h>
#include <inttypes.h>

#include "proto/messages.h"

const struct setting settings_table[] = {
#define SETTING(id, name, kind, initial, low, high, words, reload, who, doc)                                                     \
    {name, SETTING_##kind, initial, low, high, words, reload, who, doc},
#include "proto/settings.def"
#undef SETTING
};

/* A span of time, or an amount, that has to hold a number of others. */
static const struct span {
    enum setting_id whole;
    int64_t whole_unit; /* in the smaller of both units */
    enum setting_id part;
    int64_t part_unit, times;
    const char *measure, *why;
} spans[] = {
    {SET_LEASE_SECONDS, 1000, SET_LEASE_HEARTBEAT_MS, 1, 3, "long", "or healthy workers lose their runs"},
    /* What a body is read into, its message, and what is parsed of it: see gateway/json.h. */
    {SET_HTTP_MEMORY_MB, 1024, SET_HTTP_BODY_KB, 1, 136, "large", "or some bodies never fit"},
};

const size_t settings_count = sizeof(settings_table) / sizeof(settings_table[0]);

const char *setting_spell(const struct setting *setting, enum setting_spelling spelling, char out[SETTING_NAME_SIZE])
{
    size_t at = 0;
    bool variable = spelling == SPELT_VARIABLE;
    out[0] = '\0';
    if (variable && strcmp(setting->name, "output") == 0)
        return out;
    if (spelling != SPELT_NAME) {
        const char *prefix = variable ? "GANTRY_" : "--";
        at = strlen(prefix);
        memcpy(out, prefix, at);
    }
    for (const char *c = setting->name; *c && at < SETTING_NAME_SIZE - 1; c++) {
        bool joint = *c == '.' || *c == '_';
        if (variable)
            out[at++] = joint ? '_' : (char)toupper((unsigned char)*c);
        else
            out[at++] = joint && spelling == SPELT_FLAG ? '-' : *c;
    }
    out[at] = '\0';
    return out;
}

int setting_find(struct str spelt, enum setting_spelling spelling)
{
    char name[SETTING_NAME_SIZE];
    for (size_t i = 0; i < settings_count; i++)
        if (spelt.len > 0 && str_is(spelt, setting_spell(&settings_table[i], spelling, name)))
            return (int)i;
    return -1;
}

/* Edits (insert, drop, replace, each 1) from a to b. */
static unsigned distance(struct str a, const char *b)
{
    unsigned row[SETTING_NAME_SIZE];
    uint32_t width = (uint32_t)strlen(b);
    for (uint32_t j = 0; j <= width; j++)
        row[j] = j;
    for (uint32_t i = 1; i <= a.len; i++) {
        unsigned corner = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= width; j++) {
            unsigned best = corner + (a.ptr[i - 1] != b[j - 1]);
            corner = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[width];
}

int setting_unknown(struct str spelt, enum setting_spelling spelling, const char *before, struct err *err)
{
    static const char *const nouns[] = {"setting", "variable", "flag"};
    char name[SETTING_NAME_SIZE], nearest[SETTING_NAME_SIZE] = "", shown[SETTING_NAME_SIZE];
    unsigned least = spelt.len / 3 > 2 ? spelt.len / 3 : 2;
    for (size_t i = 0; i < settings_count && spelt.len < SETTING_NAME_SIZE; i++) {
        setting_spell(&settings_table[i], spelling, name);
        unsigned far = distance(spelt, name);
        if (name[0] && far <= least) {
            least = far > 0 ? far - 1 : 0;
            memcpy(nearest, name, sizeof(nearest));
        }
    }
    str_copy(shown, sizeof(shown), spelt);
    return err_set(err, ERR_INVALID, "%sunknown %s \"%s\"%s%s%s", before, nouns[spelling], shown,
                   nearest[0] ? "; do you mean " : "", nearest, nearest[0] ? "?" : "");
}

const char *setting_range(const struct setting *setting, char *out, size_t size)
{
    switch (setting->kind) {
    case SETTING_COUNT:
        snprintf(out, size, "%" PRId64 "..%" PRId64, setting->low, setting->high);
        break;
    case SETTING_DECIMAL:
        snprintf(out, size, "%" PRId64 "..%" PRId64 ", with up to three decimals", setting->low, setting->high);
        break;
    case SETTING_BOOL:
        snprintf(out, size, "true|false");
        break;
    case SETTING_WORD:
        snprintf(out, size, "%s", setting->words);
        break;
    case SETTING_TEXT:
        if (setting->low > 0)
            snprintf(out, size, "text of %" PRId64 "..%" PRId64 " bytes", setting->low, setting->high);
        else
            snprintf(out, size, "text, at most %" PRId64 " bytes", setting->high);
        break;
    }
    return out;
}

static bool count_parse(struct str value, int64_t *number)
{
    int64_t result = 0;
    if (value.len < 1 || value.len > 18)
        return false;
    for (uint32_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return false;
        result = result * 10 + (value.ptr[i] - '0');
    }
    *number = result;
    return true;
}

bool setting_decimal(struct str value, int64_t *number)
{
    const char *point = value.len ? memchr(value.ptr, '.', value.len) : NULL;
    struct str whole = {value.ptr, point ? (uint32_t)(point - value.ptr) : value.len};
    struct str part = {point ? point + 1 : NULL, point ? value.len - whole.len - 1 : 0};
    int64_t thousandths = 0;
    if (whole.len > 12 || !count_parse(whole, number) || part.len > 3 || (point && !count_parse(part, &thousandths)))
        return false;
    for (uint32_t i = part.len; i < 3; i++)
        thousandths *= 10;
    *number = *number * 1000 + thousandths;
    return true;
}

static bool word_known(const char *words, struct str value)
{
    for (const char *at = words; at && value.len > 0; at = strchr(at, '|'), at = at ? at + 1 : NULL)
        if (strcspn(at, "|") == value.len && memcmp(at, value.ptr, value.len) == 0)
            return true;
    return false;
}

static bool text_clean(struct str value)
{
    for (uint32_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] < 0x20 || value.ptr[i] == 0x7f)
            return false;
    return str_utf8(value);
}

int setting_check(const struct setting *setting, struct str value, const char *label, int64_t *number, struct err *err)
{
    int64_t parsed = 0;
    bool good = false;
    char range[128], shown[48];
    switch (setting->kind) {
    case SETTING_COUNT:
        good = count_parse(value, &parsed) && parsed >= setting->low && parsed <= setting->high;
        break;
    case SETTING_DECIMAL:
        good = setting_decimal(value, &parsed) && parsed >= setting->low * 1000 && parsed <= setting->high * 1000;
        break;
    case SETTING_BOOL:
        parsed = str_is(value, "true");
        good = parsed || str_is(value, "false");
        break;
    case SETTING_WORD:
        good = word_known(setting->words, value);
        break;
    case SETTING_TEXT:
        if (!text_clean(value))
            return err_set(err, ERR_INVALID, "%s holds control characters or is not UTF-8", label);
        good = value.len >= setting->low && value.len <= setting->high;
        break;
    }
    if (number)
        *number = parsed;
    if (good)
        return 0;
    setting_range(setting, range, sizeof(range));
    if (!text_clean(value) || !str_copy(shown, sizeof(shown), value))
        return err_set(err, ERR_INVALID, "%s has a value of %u bytes that makes no sense there, expected %s", label,
                       (unsigned)value.len, range);
    return err_set(err, ERR_INVALID, "%s is \"%s\", expected %s", label, shown, range);
}

int settings_check_together(const struct settings *settings, struct err *err)
{
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        const struct span *span = &spans[i];
        int64_t whole = settings_count_of(settings, span->whole), part = settings_count_of(settings, span->part);
        if (whole * span->whole_unit < part * span->part_unit * span->times)
            return err_set(err, ERR_INVALID,
                           "%s is %" PRId64 " and %s is %" PRId64 "; the first is to be %" PRId64
                           " times as %s as the second, %s",
                           settings_table[span->whole].name, whole, settings_table[span->part].name, part, span->times,
                           span->measure, span->why);
    }
    return 0;
}
