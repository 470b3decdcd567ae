/* Clocks of the system, and times as text. */
#include "proto/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#define MS_PER_DAY UINT64_C(86400000)
#define LAST_MS UINT64_C(253402300799999) /* the end of year 9999, which the form cannot go beyond */

static uint64_t clock_us(clockid_t id)
{
    struct timespec now = {0, 0};
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_wall_ms(void)
{
    return clock_us(CLOCK_REALTIME) / 1000;
}

uint64_t clock_mono_ms(void)
{
    return clock_us(CLOCK_BOOTTIME) / 1000;
}

uint64_t clock_mono_us(void)
{
    return clock_us(CLOCK_BOOTTIME);
}

/* Counted in years that begin in March, so that the day that leap years add is their last. */
int64_t clock_days(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

void clock_date(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153; /* months from March */
    *day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

const char *clock_iso(uint64_t wall_ms, int millis, char out[CLOCK_ISO_SIZE])
{
    if (wall_ms > LAST_MS)
        wall_ms = LAST_MS;
    int64_t year;
    int month, day;
    clock_date((int64_t)(wall_ms / MS_PER_DAY), &year, &month, &day);
    unsigned ms = (unsigned)(wall_ms % MS_PER_DAY);
    int len = snprintf(out, CLOCK_ISO_SIZE, "%04d-%02d-%02dT%02u:%02u:%02u", (int)year, month, day, ms / 3600000, ms / 60000 % 60,
                       ms / 1000 % 60);
    if (millis)
        snprintf(out + len, CLOCK_ISO_SIZE - (size_t)len, ".%03uZ", ms % 1000);
    else
        snprintf(out + len, CLOCK_ISO_SIZE - (size_t)len, "Z");
    return out;
}

struct cursor {
    const char *at;
    const char *end;
};

/* Exactly `digits` digits, within low..high. */
static bool read_number(struct cursor *in, int digits, unsigned low, unsigned high, unsigned *out)
{
    unsigned value = 0;
    for (int i = 0; i < digits; i++, in->at++) {
        if (in->at == in->end || *in->at < '0' || *in->at > '9')
            return false;
        value = value * 10 + (unsigned)(*in->at - '0');
    }
    *out = value;
    return value >= low && value <= high;
}

static bool read_one_of(struct cursor *in, const char *set, char *out)
{
    if (in->at == in->end)
        return false;
    for (; *set; set++) {
        if (*in->at == *set) {
            *out = *in->at++;
            return true;
        }
    }
    return false;
}

static bool read_date(struct cursor *in, int64_t *days)
{
    unsigned year, month, day;
    char dash;
    if (!read_number(in, 4, 0, 9999, &year) || !read_one_of(in, "-", &dash) || !read_number(in, 2, 1, 12, &month) ||
        !read_one_of(in, "-", &dash) || !read_number(in, 2, 1, 31, &day))
        return false;
    static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > lengths[month - 1] + (month == 2 && leap))
        return false;
    *days = clock_days(year, (int)month, (int)day);
    return true;
}

/* hh:mm:ss, a fraction of any length (cut to milliseconds), Z or an offset. A leap second counts as the one after it. */
static bool read_time(struct cursor *in, int64_t *ms)
{
    unsigned hour, minute, second;
    char mark;
    if (!read_number(in, 2, 0, 23, &hour) || !read_one_of(in, ":", &mark) || !read_number(in, 2, 0, 59, &minute) ||
        !read_one_of(in, ":", &mark) || !read_number(in, 2, 0, 60, &second))
        return false;
    *ms = ((int64_t)(hour * 60 + minute) * 60 + second) * 1000;
    if (read_one_of(in, ".", &mark)) {
        unsigned digit;
        if (!read_number(in, 1, 0, 9, &digit))
            return false;
        *ms += (int64_t)digit * 100;
        for (int weight = 10; in->at < in->end && *in->at >= '0' && *in->at <= '9'; in->at++, weight /= 10)
            *ms += (int64_t)(*in->at - '0') * weight;
    }
    if (!read_one_of(in, "Zz+-", &mark))
        return false;
    if (mark == '+' || mark == '-') {
        char colon;
        unsigned off_hour, off_minute;
        if (!read_number(in, 2, 0, 23, &off_hour) || !read_one_of(in, ":", &colon) || !read_number(in, 2, 0, 59, &off_minute))
            return false;
        int64_t offset = (int64_t)(off_hour * 60 + off_minute) * 60000;
        *ms += mark == '+' ? -offset : offset;
    }
    return true;
}

int clock_parse_iso(const char *text, size_t len, uint64_t *wall_ms)
{
    if (!text)
        return -1;
    struct cursor in = {text, text + len};
    int64_t days, ms = 0;
    char mark;
    if (!read_date(&in, &days))
        return -1;
    if (in.at < in.end && (!read_one_of(&in, "Tt ", &mark) || !read_time(&in, &ms)))
        return -1;
    int64_t total = days * (int64_t)MS_PER_DAY + ms;
    if (in.at != in.end || total < 0)
        return -1;
    *wall_ms = (uint64_t)total;
    return 0;
}
