#include "worker/video/scan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "worker/job.h"
#include "worker/video/farm.h"
#include "worker/video/found.h"
#include "worker/video/known.h"
#include "worker/video/prober.h"
#include "worker/video/walk.h"
#include "worker/video/words.h"

#define PAGE 10000
#define GONE_MAX 4096
#define ANSWER_MAX ((size_t)64 << 20) /* of the lists in one answer */
#define TOLD_MAX 20                   /* lines about single files */

struct candidate { /* to be probed */
    const char *path;
    uint64_t size, mtime_ns;
    struct known *known; /* the one at its path, NULL: it is new there */
};

struct scan {
    const char *root;   /* the farm's name of the folder */
    const char *folder; /* where it is here */
    uint64_t run, attempt;
    struct found found; /* what is to be told */
    struct farm_line line;
    struct arena *arena; /* of answers */
    struct known_table known;
    struct candidate *candidates;
    uint32_t count, size;
    uint64_t files, added, changed, moved, gone, broken, unreadable, odd;
    struct err *err;
};

static void tell_progress(double percent, const char *note)
{
    dprintf(JOB_FD_PROGRAM, "percent=%.1f\nnote=%s\n", percent, note);
}

/* ---- what is known ---- */

static int rows_take(struct scan *scan, const struct msg_library_known_rows *rows, uint64_t *after)
{
    for (uint32_t i = 0; i < rows->videos.count; i++) {
        const struct rec_video_known *row = &rows->videos.items[i];
        struct known known = {.id = row->id, .size = row->size, .mtime_ns = row->mtime_ns, .rules = row->rules};
        if (row->hash.len == PROBE_HASH)
            memcpy(known.hash, row->hash.ptr, PROBE_HASH);
        if (known_add(&scan->known, &known, row->path) < 0)
            return err_set(scan->err, ERR_NO_MEMORY, "no memory for the videos that are known");
        *after = row->id > *after ? row->id : *after;
    }
    return 0;
}

static int known_ask(struct scan *scan)
{
    struct msg answer;
    uint64_t after = 0, before;
    do {
        struct msg_library_known ask = {
            .run_id = scan->run, .attempt = scan->attempt, .root = str_of(scan->root), .after = after, .limit = PAGE};
        before = after;
        if (farm_ask(&scan->line, scan->arena, &shape_msg_library_known, &ask, &answer, scan->err) < 0)
            return -1;
        if (answer.shape->id != MSG_LIBRARY_KNOWN_ROWS)
            return err_set(scan->err, ERR_PROTOCOL, "the farm answers with a %s", answer.shape->name);
        if (rows_take(scan, &answer.u.library_known_rows, &after) < 0)
            return -1;
    } while (!answer.u.library_known_rows.end && after > before);
    return known_index(&scan->known) < 0 ? err_set(scan->err, ERR_NO_MEMORY, "no memory for the videos that are known") : 0;
}

/* ---- the walk ---- */

static int candidate_add(struct scan *scan, const struct walk_file *file, struct known *known)
{
    if (scan->count == scan->size) {
        uint32_t size = scan->size ? scan->size * 2 : 256;
        struct candidate *more = scan->count < KNOWN_MAX ? realloc(scan->candidates, size * sizeof(*more)) : NULL;
        if (!more)
            return -1;
        scan->candidates = more;
        scan->size = size;
    }
    char *path = strdup(file->path);
    if (!path)
        return -1;
    scan->candidates[scan->count++] =
        (struct candidate){.path = path, .size = file->size, .mtime_ns = file->mtime_ns, .known = known};
    return 0;
}

static int on_file(void *self, const struct walk_file *file)
{
    struct scan *scan = self;
    if (!str_utf8(str_of(file->path))) {
        if (scan->odd++ < TOLD_MAX)
            fprintf(stderr, "left out, as its name is not UTF-8: %s\n", file->path);
        return 0;
    }
    struct known *known = known_at(&scan->known, file->path);
    scan->files++;
    if (known)
        known->met = true;
    if (known && known->size == file->size && known->mtime_ns == file->mtime_ns && known->rules == scan->found.rules_id)
        return 0;
    return candidate_add(scan, file, known);
}

static int on_empty(void *self, const char *folder)
{
    struct scan *scan = self;
    return known_empty(&scan->known, folder);
}

static void on_unreadable(void *self, const char *path, int error)
{
    struct scan *scan = self;
    if (scan->unreadable++ < TOLD_MAX)
        fprintf(stderr, "not looked at: %s: %s\n", *path ? path : scan->folder, strerror(error));
}

static int look(struct scan *scan, char *const *argv)
{
    const struct walk_events events = {.file = on_file, .empty = on_empty, .unreadable = on_unreadable, .self = scan};
    if (walk_root(scan->folder, words_or(argv, "extensions", SCAN_EXTENSIONS), &events, scan->err) < 0)
        return -1;
    if (scan->files == 0 && scan->known.count)
        return err_set(scan->err, ERR_CONFLICT,
                       "%.100s holds no video, and %u were known there: is it mounted? Nothing is taken from the list",
                       scan->folder, scan->known.count);
    return 0;
}

/* ---- telling ---- */

static int flush(struct scan *scan, const uint64_t *gone, uint32_t count)
{
    struct msg answer;
    struct msg_library_found found = {.run_id = scan->run,
                                      .attempt = scan->attempt,
                                      .seq = ++scan->found.seq,
                                      .root = str_of(scan->root),
                                      .videos = {scan->found.items, scan->found.count},
                                      .gone = {(uint64_t *)gone, count},
                                      .walked = scan->files};
    if (farm_ask(&scan->line, scan->arena, &shape_msg_library_found, &found, &answer, scan->err) < 0)
        return -1;
    if (answer.shape->id != MSG_LIBRARY_FOUND_ACK || answer.u.library_found_ack.seq != found.seq)
        return err_set(scan->err, ERR_PROTOCOL, "the farm answers with a %s", answer.shape->name);
    found_reset(&scan->found);
    return 0;
}

static int take(struct scan *scan, const struct candidate *candidate, const struct probe *probe)
{
    struct rec_video_found row = {.path = str_of(candidate->path), .size = candidate->size, .mtime_ns = candidate->mtime_ns};
    const struct known *known = candidate->known;
    if (!known && probe->hashed) {
        struct known *moved = known_missing(&scan->known, probe->size, probe->hash);
        if (moved) {
            moved->moved = true;
            row.id = moved->id;
            scan->moved++;
        }
    }
    scan->added += !known && !row.id;
    scan->changed += known != NULL;
    scan->broken += probe->error[0] != '\0';
    if (found_full(&scan->found) && flush(scan, NULL, 0) < 0)
        return -1;
    return found_add(&scan->found, &row, probe, scan->err);
}

static int probe_all(struct scan *scan, char *const *argv)
{
    static struct probe probe;
    struct prober prober;
    uint64_t number;
    uint32_t given = 0;
    unsigned jobs = (unsigned)words_number(argv, "jobs");
    if (scan->count == 0)
        return 0;
    if (prober_start(&prober, words_or(argv, "probe", "gantry-probe"), scan->folder, jobs ? jobs : 8, scan->err) < 0)
        return -1;
    int rc = 1;
    for (uint32_t done = 0; rc == 1; done++) {
        while (given < scan->count && prober_give(&prober, scan->candidates[given].path))
            given++;
        rc = prober_take(&prober, &probe, &number, scan->err);
        if (rc == 1 && number >= scan->count)
            rc = err_set(scan->err, ERR_PROTOCOL, "gantry-probe answers what it was not asked");
        if (rc == 1 && take(scan, &scan->candidates[number], &probe) < 0)
            rc = -1;
        if (done % 16 == 0) {
            char note[64];
            snprintf(note, sizeof(note), "probed %u of %u", done, scan->count);
            tell_progress(5 + 90.0 * done / scan->count, note);
        }
    }
    prober_end(&prober);
    return rc == 0 && scan->found.count ? flush(scan, NULL, 0) : rc;
}

static int tell_gone(struct scan *scan)
{
    static uint64_t gone[GONE_MAX];
    uint32_t count = 0, held;
    if (scan->unreadable) {
        fprintf(stderr, "%" PRIu64 " folders or files could not be read, so nothing is taken from the list\n", scan->unreadable);
        return 0;
    }
    held = known_hold(&scan->known);
    if (held)
        fprintf(stderr, "%u videos stay in the list, as they stood below folders that are empty now: are they mounted?\n", held);
    for (uint32_t i = 0; i < scan->known.count; i++) {
        const struct known *known = &scan->known.items[i];
        if (known->met || known->moved || known->held)
            continue;
        gone[count++] = known->id;
        scan->gone++;
        if (count == GONE_MAX && flush(scan, gone, count) < 0)
            return -1;
        count %= GONE_MAX;
    }
    return count ? flush(scan, gone, count) : 0;
}

/* ---- all of it ---- */

static void tell_result(const struct scan *scan)
{
    const char *path = getenv("GANTRY_RESULT");
    FILE *file = path ? fopen(path, "we") : NULL;
    if (!file)
        return;
    fprintf(file,
            "{\"files\":%" PRIu64 ",\"probed\":%u,\"new\":%" PRIu64 ",\"changed\":%" PRIu64 ",\"moved\":%" PRIu64
            ",\"gone\":%" PRIu64 ",\"broken\":%" PRIu64 ",\"unreadable\":%" PRIu64 "}\n",
            scan->files, scan->count, scan->added, scan->changed, scan->moved, scan->gone, scan->broken, scan->unreadable);
    fclose(file);
}

static int scan_run(struct scan *scan, char *const *argv)
{
    if (known_ask(scan) < 0)
        return -1;
    tell_progress(1, "looking");
    if (look(scan, argv) < 0 || probe_all(scan, argv) < 0 || tell_gone(scan) < 0)
        return -1;
    tell_result(scan);
    printf("%" PRIu64 " videos: %" PRIu64 " new, %" PRIu64 " changed, %" PRIu64 " moved, %" PRIu64 " gone, %" PRIu64
           " cannot be read\n",
           scan->files, scan->added, scan->changed, scan->moved, scan->gone, scan->broken);
    return 0;
}

uint64_t scan_rules_id(const char *rules, const char *vr)
{
    static const char version[] = "1";
    XXH64_hash_t id = XXH3_64bits_withSeed(rules, strlen(rules), XXH3_64bits_withSeed(vr, strlen(vr), XXH3_64bits(version, 1)));
    return (id & INT64_MAX) | 1;
}

int scan_main(char *const *argv)
{
    struct err err = {0};
    struct scan scan = {.root = words_or(argv, "root", ""),
                        .run = words_number(argv, "run"),
                        .attempt = words_number(argv, "attempt"),
                        .line = {.fd = JOB_FD_PROGRAM_CHANNEL},
                        .err = &err};
    scan.folder = words_or(argv, "prefix", scan.root);
    const char *rules = words_or(argv, "rules", RULES_DEFAULT), *vr = words_or(argv, "vr", VR_DEFAULT);
    int rc = -1;
    scan.arena = arena_new(ANSWER_MAX);
    if (!scan.arena)
        err_set(&err, ERR_NO_MEMORY, "no memory");
    else if (scan.root[0] != '/' || scan.folder[0] != '/')
        err_set(&err, ERR_INVALID, "root, and transcode.prefix, are to be absolute folders");
    else if (found_begin(&scan.found, rules, vr, scan_rules_id(rules, vr), &err) == 0)
        rc = scan_run(&scan, argv);
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);
    for (uint32_t i = 0; i < scan.count; i++)
        free((char *)scan.candidates[i].path);
    free(scan.candidates);
    found_clear(&scan.found);
    known_clear(&scan.known);
    farm_clear(&scan.line);
    arena_free(scan.arena);
    return rc < 0 ? 1 : 0;
}
