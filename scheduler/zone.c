/* Zones as tables of transitions, with a rule behind the last one.
 *
 * Invariants: `at` ascends strictly; offsets[i] holds from at[i] on, `first` before at[0]; spans cover all time without holes, so
 * walking from one's `until` to the next meets every offset change. A zone is in the list while somebody holds it.
 */
#include "scheduler/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/messages.h"
#include "scheduler/zone_rule.h"

#define ZONE_DIR "/usr/share/zoneinfo/"
#define NAME_MAX_LEN 64
#define FILE_MAX ((size_t)128 << 10)
#define HEAD 44 /* bytes of a TZif header */

struct zone {
    struct zone *next; /* of those in use */
    unsigned users;
    char name[NAME_MAX_LEN + 1];
    size_t count;
    int64_t *at;
    int32_t *offsets;
    int32_t first;
    bool ruled; /* rule holds behind the last transition; else its offset stays */
    struct zone_rule rule;
};

static struct zone *zones; /* in use, so that a thousand schedules of one zone share it */

/* ---- files ---- */

static uint64_t big_endian(const unsigned char *at, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

struct counts { /* of a header, in its order */
    size_t utc, std, leap, time, type, chars;
};

/* The header at `at`, and how long the data behind it is with times of that many bytes; 0 when it is none. */
static size_t head_read(const unsigned char *at, size_t size, int time_bytes, struct counts *counts)
{
    size_t bytes = (size_t)time_bytes;

    if (size < HEAD || memcmp(at, "TZif", 4) != 0 || at[4] < '2') {
        return 0;
    }
    size_t *const fields[] = {&counts->utc, &counts->std, &counts->leap, &counts->time, &counts->type, &counts->chars};
    for (int i = 0; i < 6; i++) {
        *fields[i] = (size_t)big_endian(at + 20 + i * 4, 4);
        if (*fields[i] > FILE_MAX) {
            return 0;
        }
    }
    size_t data =
        counts->time * (bytes + 1) + counts->type * 6 + counts->chars + counts->leap * (bytes + 4) + counts->std + counts->utc;
    return data <= size - HEAD ? HEAD + data : 0;
}

/* Fills the table from the 64-bit part; false when it contradicts itself. */
static bool table_read(struct zone *zone, const unsigned char *at, const struct counts *counts)
{
    const unsigned char *indexes = at + counts->time * 8;
    const unsigned char *types = indexes + counts->time;

    for (size_t i = 0; i < counts->type; i++) {
        int32_t offset = (int32_t)big_endian(types + i * 6, 4);
        if (offset < -ZONE_OFFSET_MAX || offset > ZONE_OFFSET_MAX) {
            return false;
        }
    }
    zone->first = (int32_t)big_endian(types, 4);
    for (size_t i = 0; i < counts->time; i++) {
        if (indexes[i] >= counts->type) {
            return false;
        }
        zone->at[i] = (int64_t)big_endian(at + i * 8, 8);
        zone->offsets[i] = (int32_t)big_endian(types + indexes[i] * 6, 4);
        if (i > 0 && zone->at[i] <= zone->at[i - 1]) {
            return false;
        }
    }
    zone->count = counts->time;
    return true;
}

/* "\n<rule>\n" behind the data; an empty rule leaves the last offset for ever. */
static bool footer_read(struct zone *zone, const unsigned char *at, size_t size)
{
    const unsigned char *end = size > 1 && *at == '\n' ? memchr(at + 1, '\n', size - 1) : NULL;

    if (end == NULL) {
        return false;
    }
    zone->ruled = end > at + 1;
    return !zone->ruled || rule_parse((struct str){(const char *)at + 1, (uint32_t)(end - at - 1)}, &zone->rule) == 0;
}

struct zone *zone_read(const unsigned char *bytes, size_t size, struct err *err)
{
    struct counts counts;
    struct zone *zone = NULL;

    /* The first part has 32-bit times, for readers of long ago: it is passed over. */
    size_t old = head_read(bytes, size, 4, &counts);
    size_t data = old > 0 ? head_read(bytes + old, size - old, 8, &counts) : 0;
    if (data == 0 || counts.type == 0 || counts.type > 256) {
        err_set(err, ERR_INVALID, "not a TZif file of version 2 or later");
        return NULL;
    }
    zone = calloc(1, sizeof *zone);
    if (zone != NULL) {
        zone->users = 1;
        zone->at = calloc(counts.time + 1, sizeof *zone->at);
        zone->offsets = calloc(counts.time + 1, sizeof *zone->offsets);
    }
    if (zone == NULL || zone->at == NULL || zone->offsets == NULL) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        goto error;
    }
    if (!table_read(zone, bytes + old + HEAD, &counts) || !footer_read(zone, bytes + old + data, size - old - data)) {
        err_set(err, ERR_INVALID, "a damaged TZif file");
        goto error;
    }
    return zone;
error:
    zone_put(zone);
    return NULL;
}

/* Capital first, as all names of the database; no way out of its folder. */
static bool name_valid(struct str name)
{
    if (name.len == 0 || name.len > NAME_MAX_LEN || name.ptr[0] < 'A' || name.ptr[0] > 'Z') {
        return false;
    }
    for (uint32_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool inner =
            (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '-';
        if (!inner && !(c == '/' && name.ptr[i - 1] != '/' && i + 1 < name.len)) {
            return false;
        }
    }
    return true;
}

/* The file's bytes, to be freed; NULL when there is no such file, or with why when there is no memory for it. */
static unsigned char *file_read(const char *path, size_t *size, struct err *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    unsigned char *bytes = fd >= 0 ? malloc(FILE_MAX) : NULL;
    ssize_t got = 1;

    *size = 0;
    if (fd >= 0 && bytes == NULL) {
        err_set(why, ERR_NO_MEMORY, "out of memory");
    }
    while (bytes != NULL && got > 0 && *size < FILE_MAX) {
        got = read(fd, bytes + *size, FILE_MAX - *size);
        *size += got > 0 ? (size_t)got : 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (got < 0) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

static struct zone *zone_open(struct str name, struct err *err)
{
    char path[sizeof ZONE_DIR + NAME_MAX_LEN];
    struct err why = {0};
    size_t size;

    snprintf(path, sizeof path, ZONE_DIR "%.*s", (int)name.len, name.ptr);
    unsigned char *bytes = file_read(path, &size, &why);
    struct zone *zone = bytes != NULL ? zone_read(bytes, size, &why) : NULL;
    free(bytes);
    if (zone == NULL && why.code == ERR_NO_MEMORY) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
    } else if (zone == NULL) {
        err_set(err, ERR_INVALID, "time zone: %.*s is not known here; expected an IANA name like Europe/Berlin", (int)name.len,
                name.ptr);
    }
    return zone;
}

/* ---- the calls ---- */

struct zone *zone_get(struct str name, struct err *err)
{
    struct zone *zone;

    if (name.len == 0) {
        name = STR_LIT("UTC");
    }
    if (!name_valid(name)) {
        err_set(err, ERR_INVALID, "time zone: expected an IANA name like Europe/Berlin");
        return NULL;
    }
    for (zone = zones; zone != NULL; zone = zone->next) {
        if (str_is(name, zone->name)) {
            zone->users++;
            return zone;
        }
    }
    if (str_is(name, "UTC")) { /* needs no file; everything zero is UTC */
        zone = calloc(1, sizeof *zone);
        if (zone == NULL) {
            err_set(err, ERR_NO_MEMORY, "out of memory");
            return NULL;
        }
        zone->users = 1;
    } else if ((zone = zone_open(name, err)) == NULL) {
        return NULL;
    }
    str_copy(zone->name, sizeof zone->name, name);
    zone->next = zones;
    zones = zone;
    return zone;
}

void zone_put(struct zone *zone)
{
    if (zone == NULL || --zone->users > 0) {
        return;
    }
    for (struct zone **at = &zones; *at != NULL; at = &(*at)->next) {
        if (*at == zone) {
            *at = zone->next;
            break;
        }
    }
    free(zone->at);
    free(zone->offsets);
    free(zone);
}

struct zone_span zone_span(const struct zone *zone, int64_t instant)
{
    size_t low = 0, high = zone->count; /* the first transition after the instant is in low..high */

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->at[middle] <= instant) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    struct zone_span span = {
        .from = low > 0 ? zone->at[low - 1] : INT64_MIN,
        .until = low < zone->count ? zone->at[low] : INT64_MAX,
        .offset = low > 0 ? zone->offsets[low - 1] : zone->first,
    };
    if (low == zone->count && zone->ruled) {
        struct zone_span ruled = rule_span(&zone->rule, instant);
        span.from = ruled.from > span.from ? ruled.from : span.from;
        span.until = ruled.until;
        span.offset = ruled.offset;
    }
    return span;
}

int64_t zone_instant(const struct zone *zone, int64_t local)
{
    /* No clock shows this time earlier than here. */
    struct zone_span span = zone_span(zone, local - ZONE_OFFSET_MAX);

    for (;;) {
        int64_t instant = local - span.offset;
        if (instant < span.from) {
            return span.from; /* skipped: the gap ends where this span begins */
        }
        if (instant < span.until) {
            return instant;
        }
        span = zone_span(zone, span.until);
    }
}
