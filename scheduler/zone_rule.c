/* POSIX TZ texts (RFC 8536, 3.3; hours of a transition from -167 to 167). */
#include "scheduler/zone_rule.h"

#include "proto/clock.h"

#define DAY 86400

struct rule_text {
    const char *at, *end;
};

static bool take(struct rule_text *text, char c)
{
    if (text->at < text->end && *text->at == c) {
        text->at++;
        return true;
    }
    return false;
}

/* A number of at most three digits, within low..high. */
static bool take_number(struct rule_text *text, int low, int high, int *out)
{
    int value = 0, digits = 0;

    while (text->at < text->end && *text->at >= '0' && *text->at <= '9' && digits < 3) {
        value = value * 10 + (*text->at++ - '0');
        digits++;
    }
    *out = value;
    return digits > 0 && value >= low && value <= high;
}

/* "EST", "<+0330>" */
static bool take_name(struct rule_text *text)
{
    const char *start = text->at;

    if (take(text, '<')) {
        while (text->at < text->end && *text->at != '>') {
            text->at++;
        }
        return text->at - start > 1 && take(text, '>');
    }
    while (text->at < text->end && ((*text->at >= 'A' && *text->at <= 'Z') || (*text->at >= 'a' && *text->at <= 'z'))) {
        text->at++;
    }
    return text->at - start >= 3;
}

/* "[+-]hh[:mm[:ss]]" in seconds. */
static bool take_time(struct rule_text *text, int hours, int32_t *out)
{
    int sign = take(text, '-') ? -1 : 1;
    int h, m = 0, s = 0;

    if (sign > 0) {
        take(text, '+');
    }
    if (!take_number(text, 0, hours, &h) || (take(text, ':') && !take_number(text, 0, 59, &m)) ||
        (take(text, ':') && !take_number(text, 0, 59, &s))) {
        return false;
    }
    *out = sign * (h * 3600 + m * 60 + s);
    return true;
}

/* ",M3.5.0/2" */
static bool take_date(struct rule_text *text, struct rule_date *date)
{
    *date = (struct rule_date){.kind = 'N', .time = 2 * 3600};
    if (!take(text, ',')) {
        return false;
    }
    if (take(text, 'M')) {
        date->kind = 'M';
        if (!take_number(text, 1, 12, &date->month) || !take(text, '.') || !take_number(text, 1, 5, &date->week) ||
            !take(text, '.') || !take_number(text, 0, 6, &date->day)) {
            return false;
        }
    } else if (take(text, 'J')) {
        date->kind = 'J';
        if (!take_number(text, 1, 365, &date->day)) {
            return false;
        }
    } else if (!take_number(text, 0, 365, &date->day)) {
        return false;
    }
    return !take(text, '/') || take_time(text, 167, &date->time);
}

int rule_parse(struct str text, struct zone_rule *rule)
{
    struct rule_text rest = {text.ptr, text.ptr + text.len};
    int32_t west;

    *rule = (struct zone_rule){0};
    if (!take_name(&rest) || !take_time(&rest, 24, &west)) {
        return -1;
    }
    rule->standard = -west;
    if (rest.at == rest.end) {
        return 0;
    }
    rule->saves = true;
    rule->summer = rule->standard + 3600;
    if (!take_name(&rest)) {
        return -1;
    }
    if (rest.at < rest.end && *rest.at != ',') {
        if (!take_time(&rest, 24, &west)) {
            return -1;
        }
        rule->summer = -west;
    }
    if (!take_date(&rest, &rule->start) || !take_date(&rest, &rule->end) || rest.at != rest.end) {
        return -1;
    }
    return 0;
}

/* Local midnight of the date in a year, in local seconds. */
static int64_t date_of(const struct rule_date *date, int64_t year)
{
    int64_t first = clock_days(year, 1, 1);
    bool leap = clock_days(year + 1, 1, 1) - first == 366;

    if (date->kind == 'J') {
        return (first + date->day - 1 + (leap && date->day >= 60)) * DAY;
    }
    if (date->kind == 'N') {
        return (first + date->day) * DAY;
    }
    int64_t month = clock_days(year, date->month, 1);
    int64_t next = date->month == 12 ? clock_days(year + 1, 1, 1) : clock_days(year, date->month + 1, 1);
    int64_t weekday = ((month + 4) % 7 + 7) % 7; /* 1 January 1970 was a Thursday */
    int64_t day = month + (date->day - weekday + 7) % 7 + (date->week - 1) * 7;
    while (day >= next) { /* week 5 is the last one */
        day -= 7;
    }
    return day * DAY;
}

struct zone_span rule_span(const struct zone_rule *rule, int64_t instant)
{
    struct zone_span span = {INT64_MIN, INT64_MAX, rule->standard};
    int64_t year;
    int month, day;

    if (!rule->saves) {
        return span;
    }
    int64_t days = (instant + rule->standard) / DAY - ((instant + rule->standard) % DAY < 0);
    clock_date(days, &year, &month, &day);
    /* Of the changes around this year, the last not after the instant and the first after it. At the same instant summer wins: a rule
     * whose summer ends where the next begins has summer for ever. */
    for (int64_t y = year - 1; y <= year + 1; y++) {
        int64_t end = date_of(&rule->end, y) + rule->end.time - rule->summer;
        int64_t start = date_of(&rule->start, y) + rule->start.time - rule->standard;
        if (end <= instant && end > span.from) {
            span.from = end;
            span.offset = rule->standard;
        } else if (end > instant && end < span.until) {
            span.until = end;
        }
        if (start <= instant && start >= span.from) {
            span.from = start;
            span.offset = rule->summer;
        } else if (start > instant && start < span.until) {
            span.until = start;
        }
    }
    return span;
}
