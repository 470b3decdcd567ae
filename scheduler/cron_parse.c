/* Schedules as text. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "proto/clock.h"
#include "proto/messages.h"
#include "scheduler/cron_table.h"

#define EVERY_MAX_MS (UINT64_C(3660) * 86400000) /* ten years */

struct names { /* of a field's values; the first is `from` */
    const char *words[13];
    int from;
};

static const struct names months = {{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC", NULL},
                                    1};
static const struct names weekdays = {{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", NULL}, 0};

static const struct range {
    const char *name;
    int low, high;
    const struct names *names;
    const char *expected;
} ranges[CRON_FIELDS] = {
    [CRON_SECOND] = {"second", 0, 59, NULL, "0-59, *, 0~59, lists, ranges, steps"},
    [CRON_MINUTE] = {"minute", 0, 59, NULL, "0-59, *, 0~59, lists, ranges, steps"},
    [CRON_HOUR] = {"hour", 0, 23, NULL, "0-23, *, 0~23, lists, ranges, steps"},
    [CRON_DAY] = {"day of month", 1, 31, NULL, "1-31, *, ?, L, L-3, LW, 15W, 1~28, lists, ranges, steps"},
    [CRON_MONTH] = {"month", 1, 12, &months, "1-12 or JAN-DEC, *, 1~12, lists, ranges, steps"},
    [CRON_WEEKDAY] = {"day of week", 0, 7, &weekdays, "0-7 or SUN-SAT, *, ?, 5L, FRI#2, 1~5, lists, ranges, steps"},
};

static const struct macro {
    const char *name, *fields;
} macros[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
    {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"},  {NULL, NULL},
};

#define SHOWN 41

/* What was given, for an error's text: its beginning, in plain characters. */
static const char *shown(struct str text, char out[SHOWN])
{
    uint32_t len = text.len < SHOWN - 1 ? text.len : SHOWN - 1;

    for (uint32_t i = 0; i < len; i++) {
        out[i] = (char)(text.ptr[i] >= ' ' && text.ptr[i] <= '~' ? text.ptr[i] : '?');
    }
    out[len] = '\0';
    return out;
}

/* One element of a field's list being read. */
struct element {
    const char *at, *end;
    const struct range *range;
};

static bool take(struct element *in, char c)
{
    if (in->at < in->end && (*in->at == c || (c >= 'A' && *in->at == c + 32))) {
        in->at++;
        return true;
    }
    return false;
}

/* Digits, at most four of them; -1 when there are none. */
static int take_number(struct element *in)
{
    int value = 0, digits = 0;

    while (in->at < in->end && *in->at >= '0' && *in->at <= '9' && digits < 4) {
        value = value * 10 + (*in->at++ - '0');
        digits++;
    }
    return digits > 0 ? value : -1;
}

/* A value of the field, by number or by name; -1 when it is neither, or out of range. */
static int take_value(struct element *in)
{
    const struct names *names = in->range->names;

    for (int i = 0; names != NULL && names->words[i] != NULL; i++) {
        if (in->end - in->at >= 3 && strncasecmp(in->at, names->words[i], 3) == 0) {
            in->at += 3;
            return names->from + i;
        }
    }
    int value = take_number(in);
    return value >= in->range->low && value <= in->range->high ? value : -1;
}

static int element_fail(const struct element *in, const char *start, const char *why, struct err *err)
{
    char given[SHOWN];

    return err_set(err, ERR_INVALID, "schedule: %s: \"%s\" %s; expected %s", in->range->name,
                   shown((struct str){start, (uint32_t)(in->end - start)}, given), why, in->range->expected);
}

/* "L", "L-3", "LW", "15W" of a day of month. True when it was one; the caller sees whether all was read. */
static bool day_special(struct cron *cron, struct element *in)
{
    const char *start = in->at;

    if (take(in, 'L')) {
        if (take(in, 'W')) {
            cron->last_weekday = true;
            return true;
        }
        int before = take(in, '-') ? take_number(in) : 0;
        if (before >= 0 && before <= 30) {
            cron->from_last |= UINT32_C(1) << before;
            return true;
        }
    } else {
        int day = take_value(in);
        if (day > 0 && take(in, 'W')) {
            cron->near_day |= UINT32_C(1) << day;
            return true;
        }
    }
    in->at = start;
    return false;
}

/* "5L", "FRI#2" of a weekday. */
static bool weekday_special(struct cron *cron, struct element *in)
{
    const char *start = in->at;
    int day = take_value(in);

    if (day >= 0 && take(in, 'L')) {
        cron->nth[day % 7] |= 1;
        return true;
    }
    if (day >= 0 && take(in, '#')) {
        int nth = take_number(in);
        if (nth >= 1 && nth <= 5) {
            cron->nth[day % 7] |= (uint8_t)(1U << nth);
            return true;
        }
    }
    in->at = start;
    return false;
}

/* A step that is good for the field; -1 with err. 1 when there is none. */
static int step_parse(struct cron *cron, enum cron_field field, struct element *in, const char *start, struct err *err)
{
    int span = in->range->high - in->range->low + 1;

    if (!take(in, '/')) {
        return 1;
    }
    int step = take_number(in);
    if (step < 1 || step > span) {
        return element_fail(in, start, step > span ? "has a step beyond the field (@every 90m may be meant)" : "has no good step",
                            err);
    }
    cron->elapsed = cron->elapsed || field == CRON_HOUR;
    return step;
}

/* Which of `count` values a ~ stands for: evenly spread over tasks, and another one for each range. */
static int spread_choose(uint64_t spread, enum cron_field field, int low, int high, int count)
{
    uint64_t x = spread ^ ((uint64_t)field << 56 | (uint64_t)low << 48 | (uint64_t)high << 40);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (int)((x ^ x >> 31) % (uint64_t)count);
}

/* What stands behind the low end in "~", "5~", "~20", "0~59": one value of the range; with a step every so many from one of the first on.
 * A day of month without an end is one that each month has. */
static int spread_parse(struct cron *cron, enum cron_field field, struct element *in, const char *start, int low, struct err *err)
{
    int high = field == CRON_WEEKDAY ? 6 : field == CRON_DAY && low <= 28 ? 28 : in->range->high;

    if (in->at < in->end && *in->at != '/') {
        high = take_value(in);
    }
    if (high < low) {
        return element_fail(in, start, high < 0 ? "is not in range" : "runs backwards", err);
    }
    bool stepped = in->at < in->end && *in->at == '/';
    int step = step_parse(cron, field, in, start, err);
    if (step < 0) {
        return -1;
    }
    int count = stepped && step < high - low + 1 ? step : high - low + 1;
    for (int value = low + spread_choose(cron->spread, field, low, high, count); value <= high; value += stepped ? step : 60) {
        cron->bits[field] |= UINT64_C(1) << (field == CRON_WEEKDAY ? value % 7 : value);
    }
    return 0;
}

/* "*", "5", "1-5", each with a step or without; "0~59". */
static int plain_parse(struct cron *cron, enum cron_field field, struct element *in, struct err *err)
{
    const struct range *range = in->range;
    const char *start = in->at;
    int low = range->low, high = field == CRON_WEEKDAY ? 6 : range->high;
    bool days = field == CRON_DAY || field == CRON_WEEKDAY;
    bool star = take(in, '*') || (days && take(in, '?'));

    if (!star) {
        low = in->at < in->end && *in->at == '~' ? low : take_value(in);
        if (low < 0) {
            return element_fail(in, start, "is not in range", err);
        }
        if (take(in, '~')) {
            return spread_parse(cron, field, in, start, low, err);
        }
        bool open = in->at < in->end && *in->at == '/'; /* "5/10" goes on to the end */
        if (take(in, '-')) {
            high = take_value(in);
            if (field == CRON_WEEKDAY && high == 0 && low > 0 && in->at[-1] != '0') {
                high = 7; /* FRI-SUN */
            }
        } else if (!open) {
            high = low;
        }
    }
    if (high < low) {
        return element_fail(in, start, high < 0 ? "is not in range" : "runs backwards", err);
    }
    int step = step_parse(cron, field, in, start, err);
    if (step < 0) {
        return -1;
    }
    cron->elapsed = cron->elapsed || (star && field == CRON_HOUR);
    for (int value = low; value <= high; value += step) {
        cron->bits[field] |= UINT64_C(1) << (field == CRON_WEEKDAY ? value % 7 : value);
    }
    return 0;
}

static int field_parse(struct cron *cron, enum cron_field field, struct str text, struct err *err)
{
    const char *end = text.ptr + text.len;
    const char *at = text.ptr;
    bool star = *at == '*' || *at == '?';

    cron->any_day = cron->any_day || (field == CRON_DAY && star);
    cron->any_weekday = cron->any_weekday || (field == CRON_WEEKDAY && star);
    for (;;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        struct element in = {at, comma != NULL ? comma : end, &ranges[field]};
        bool special = (field == CRON_DAY && day_special(cron, &in)) || (field == CRON_WEEKDAY && weekday_special(cron, &in));
        if (!special && plain_parse(cron, field, &in, err) != 0) {
            return -1;
        }
        if (in.at != in.end) {
            return element_fail(&in, at, "cannot be read", err);
        }
        if (comma == NULL) {
            return 0;
        }
        at = comma + 1;
    }
}

static int calendar_parse(struct cron *cron, struct str text, struct err *err)
{
    struct str fields[CRON_FIELDS + 1];
    int count = 0;

    for (uint32_t i = 0; i < text.len && count <= CRON_FIELDS;) {
        uint32_t start = i;
        while (i < text.len && text.ptr[i] != ' ' && text.ptr[i] != '\t') {
            i++;
        }
        if (i > start) {
            fields[count++] = (struct str){text.ptr + start, i - start};
        }
        i++;
    }
    if (count != CRON_FIELDS - 1 && count != CRON_FIELDS) {
        return err_set(err, ERR_INVALID,
                       "schedule: %d fields given; expected 5 (minute hour day month weekday), 6 with seconds first, "
                       "a macro like @daily, @every 90s, or @at TIME",
                       count);
    }
    int first = CRON_FIELDS - count;
    if (first > 0) {
        cron->bits[CRON_SECOND] = 1;
    }
    for (int i = 0; i < count; i++) {
        if (field_parse(cron, (enum cron_field)(first + i), fields[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* "90s", "1h30m", "2d" */
static int every_parse(struct cron *cron, struct str text, struct err *err)
{
    static const struct {
        char unit;
        uint64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}, {'w', 604800000}};
    char given[SHOWN];
    uint64_t total = 0, number = 0;
    bool digits = false, good = text.len > 0;

    for (uint32_t i = 0; i < text.len && good; i++) {
        char c = text.ptr[i];
        if (c >= '0' && c <= '9') {
            number = number * 10 + (uint64_t)(c - '0');
            digits = true;
            good = number <= EVERY_MAX_MS / 1000;
            continue;
        }
        size_t unit = 0;
        while (unit < 5 && units[unit].unit != c) {
            unit++;
        }
        good = digits && unit < 5;
        total += good ? number * units[unit].ms : 0;
        good = good && total <= EVERY_MAX_MS;
        number = 0;
        digits = false;
    }
    if (!good || digits || total < 1000) {
        return err_set(err, ERR_INVALID, "schedule: @every %s: expected a duration like 90s, 5m or 1h30m, from 1s to ten years",
                       shown(text, given));
    }
    cron->kind = CRON_EVERY;
    cron->every_ms = total;
    return 0;
}

/* True when the time ends in Z, z or an offset like +02:00. */
static bool has_offset(struct str text)
{
    char last = text.ptr[text.len - 1];

    return last == 'Z' || last == 'z' || (text.len > 19 && (text.ptr[text.len - 6] == '+' || text.ptr[text.len - 6] == '-'));
}

/* A time with an offset, or one on the zone's clock. */
static int at_parse(struct cron *cron, struct str text, struct err *err)
{
    char local[48], given[SHOWN];
    uint64_t ms = 0;
    int rc = -1;

    if (text.len > 0 && has_offset(text)) {
        rc = clock_parse_iso(text.ptr, text.len, &ms);
    } else if (text.len >= 10 && text.len < sizeof local - 16) {
        const char *rest = text.len == 10 ? "T00:00:00Z" : text.len == 16 ? ":00Z" : "Z";
        int len = snprintf(local, sizeof local, "%.*s%s", (int)text.len, text.ptr, rest);
        rc = clock_parse_iso(local, (size_t)len, &ms);
        if (rc == 0) {
            int64_t instant = zone_instant(cron->zone, (int64_t)(ms / 1000));
            ms = instant > 0 ? (uint64_t)instant * 1000 + ms % 1000 : 0;
        }
    }
    if (rc != 0 || ms == 0) {
        return err_set(err, ERR_INVALID, "schedule: @at %s: expected a time like 2030-01-31T08:00:00Z", shown(text, given));
    }
    cron->kind = CRON_AT;
    cron->at_ms = ms;
    return 0;
}

static int macro_parse(struct cron *cron, struct str text, struct err *err)
{
    char given[SHOWN];
    uint32_t word = 0;

    while (word < text.len && text.ptr[word] != ' ' && text.ptr[word] != '\t') {
        word++;
    }
    struct str name = {text.ptr, word};
    struct str rest = {text.ptr + word, text.len - word};
    while (rest.len > 0 && (rest.ptr[0] == ' ' || rest.ptr[0] == '\t')) {
        rest.ptr++;
        rest.len--;
    }
    if (str_is(name, "@every")) {
        return every_parse(cron, rest, err);
    }
    if (str_is(name, "@at")) {
        return at_parse(cron, rest, err);
    }
    for (const struct macro *macro = macros; macro->name != NULL && rest.len == 0; macro++) {
        if (str_is(name, macro->name)) {
            return calendar_parse(cron, str_of(macro->fields), err);
        }
    }
    return err_set(err, ERR_INVALID,
                   "schedule: %s is not known; expected @yearly, @monthly, @weekly, @daily, @hourly, "
                   "@every DURATION or @at TIME",
                   shown(text, given));
}

struct cron *cron_parse(struct str text, struct str zone, uint64_t spread, struct err *err)
{
    struct cron *cron = calloc(1, sizeof *cron);

    if (cron == NULL) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    cron->spread = spread;
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t')) {
        text.len--;
    }
    cron->zone = zone_get(zone, err);
    if (cron->zone == NULL) {
        goto error;
    }
    if ((text.len > 0 && text.ptr[0] == '@' ? macro_parse(cron, text, err) : calendar_parse(cron, text, err)) != 0) {
        goto error;
    }
    return cron;
error:
    cron_free(cron);
    return NULL;
}

void cron_free(struct cron *cron)
{
    if (cron != NULL) {
        zone_put(cron->zone);
        free(cron);
    }
}
