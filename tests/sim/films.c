/* A library: a folder of files that come, go, move and change, and what a scan does in it. A scan is the one of worker/video/scan.c as the farm
 * sees it: it asks what is known, walks all of the folder at one moment, and tells what it met, then what is gone, a few at a time, each
 * confirmed before the next; a question that is not answered is asked again. */
#include <stdlib.h>

#include "tests/sim/sim.h"

#define PAGE 40 /* few, so that a scan has many steps to die at */
#define TOLD 6
#define GONE 8
#define HASH 16

struct known {
    uint64_t id, size, mtime, content, rules;
    uint32_t name;
    bool met, moved;
};

struct find {
    struct film film;
    uint64_t id; /* of the known video that moved here; 0: none */
};

struct library_walk {
    enum { SCAN_KNOWN, SCAN_FOUND, SCAN_DONE } stage;
    uint64_t after, seq, walked;
    struct known *known;
    struct find *finds;
    uint64_t *gone;
    uint32_t known_count, find_count, find_at, gone_count, gone_at, sent, sent_gone;
};

static struct film *films;
static uint32_t names;
static uint64_t contents, *made_bits, made_size; /* made_bits: one for each content that a transcode made */

/* ---- the files ---- */

static void content_draw(struct film *film)
{
    film->content = ++contents;
    film->size = film->size && one_in(4) ? film->size : 1000000 + film->content;
    film->mtime = 1 + sim.now;
    film->bitrate = 500 + (uint32_t)below(30000);
    film->vr = one_in(5);
    film->wide = one_in(3);
    film->wanted = !one_in(4);
    film->broken = one_in(15);
}

static void film_come(struct film *film)
{
    *film = (struct film){.there = true, .name = ++names};
    content_draw(film);
}

void films_reset(void)
{
    films = calloc(sim.world->films + 1, sizeof *films);
    names = 0;
    contents = 0;
    for (uint32_t i = 0; i < sim.world->films; i++)
        if (i == 0 || one_in(2)) /* the first always stays, as an empty folder is one that is not mounted */
            film_come(&films[i]);
    if (sim.world->films)
        wheel_add(about(sim.world->film_ms), EVENT_FILM, 0, NULL, 0);
}

void films_free(void)
{
    free(films);
    free(made_bits);
    films = NULL;
    made_bits = NULL;
    made_size = 0;
}

void film_event(void)
{
    struct film *film = &films[1 + below(sim.world->films - 1)];
    if (sim.calm)
        return;
    uint64_t what = below(10);
    if (!film->there)
        film_come(film);
    else if (what < 4)
        content_draw(film);
    else if (what < 8)
        film->name = ++names;
    else
        film->there = false;
    if (one_in(3))
        worker_hint(sim.world->workers + (uint32_t)below(sim.world->transcoders));
    wheel_add(sim.now + 1 + about(sim.world->film_ms), EVENT_FILM, 0, NULL, 0);
}

struct film *film_named(uint32_t name)
{
    for (uint32_t i = 0; i < sim.world->films; i++)
        if (films[i].there && films[i].name == name)
            return &films[i];
    return NULL;
}

const struct film *film_at(uint32_t place)
{
    return place < sim.world->films ? &films[place] : NULL;
}

/* What a transcode made of it stands in its place. */
void film_replace(struct film *film)
{
    content_draw(film);
    film->wanted = film->broken = false;
    if (film->content / 64 >= made_size) {
        uint64_t size = film->content / 64 * 2 + 64;
        made_bits = realloc(made_bits, size * sizeof *made_bits);
        memset(made_bits + made_size, 0, (size - made_size) * sizeof *made_bits);
        made_size = size;
    }
    made_bits[film->content / 64] |= UINT64_C(1) << film->content % 64;
}

bool film_was_made(uint64_t content)
{
    return content / 64 < made_size && made_bits[content / 64] >> content % 64 & 1;
}

uint32_t film_name_of(struct str path)
{
    unsigned name = 0;
    char text[64];
    str_copy(text, sizeof text, path);
    if (sscanf(text, "shelf/film-%u.mp4", &name) != 1)
        broken(0, "there is a video with a path that no file had: %s", text);
    return name;
}

uint64_t film_content_of(struct str hash)
{
    uint64_t content = 0;
    if (hash.len == HASH)
        memcpy(&content, hash.ptr, sizeof content);
    return content;
}

/* As a scan tells it; `slot` is which of the buffers that it borrows. */
struct rec_video_found film_found(const struct film *film, uint64_t id, bool made, unsigned slot)
{
    static char paths[TOLD + 1][32], hashes[TOLD + 1][HASH];
    snprintf(paths[slot], sizeof paths[slot], "shelf/film-%u.mp4", film->name);
    memcpy(hashes[slot], &film->content, 8);
    memcpy(hashes[slot] + 8, &film->size, 8);
    struct rec_video_found found = {.id = id,
                                    .path = str_of(paths[slot]),
                                    .size = film->size,
                                    .mtime_ns = film->mtime,
                                    .hash = {hashes[slot], HASH},
                                    .made = made,
                                    .rules = FILM_RULES};
    if (film->broken) {
        found.error = STR_LIT("it cannot be read");
        return found;
    }
    found.codec = film->wanted ? STR_LIT("h264") : STR_LIT("hevc");
    found.bitrate_k = film->bitrate;
    found.fps = 25;
    found.width = film->wide ? 3840 : 1280;
    found.height = 720;
    found.is_vr = film->vr;
    found.wanted = film->wanted;
    SET_HAS(&found, rec_video_found, wanted);
    return found;
}

/* ---- a scan ---- */

struct library_walk *walk_new(void)
{
    struct library_walk *scan = calloc(1, sizeof *scan);
    scan->finds = calloc(sim.world->films, sizeof *scan->finds);
    return scan;
}

void walk_free(struct library_walk *scan)
{
    if (!scan)
        return;
    free(scan->known);
    free(scan->finds);
    free(scan->gone);
    free(scan);
}

bool walk_done(const struct library_walk *scan)
{
    return scan->stage == SCAN_DONE;
}

static void known_take(struct library_walk *scan, const struct rec_video_known_list *rows)
{
    scan->known = realloc(scan->known, (scan->known_count + rows->count + 1) * sizeof *scan->known);
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct rec_video_known *row = &rows->items[i];
        if (row->id <= scan->after)
            broken(0, "a scan is told of video %lu behind %lu", (unsigned long)row->id, (unsigned long)scan->after);
        scan->known[scan->known_count++] = (struct known){.id = row->id,
                                                          .size = row->size,
                                                          .mtime = row->mtime_ns,
                                                          .content = film_content_of(row->hash),
                                                          .rules = row->rules,
                                                          .name = film_name_of(row->path)};
        scan->after = row->id;
    }
}

static struct known *known_named(struct library_walk *scan, uint32_t name)
{
    for (uint32_t i = 0; i < scan->known_count; i++)
        if (scan->known[i].name == name)
            return &scan->known[i];
    return NULL;
}

/* One that was not met, of this content, that nothing has been found to be yet. */
static struct known *known_missing(struct library_walk *scan, const struct film *film)
{
    for (uint32_t i = 0; i < scan->known_count; i++) {
        struct known *known = &scan->known[i];
        if (!known->met && !known->moved && known->size == film->size && known->content == film->content)
            return known;
    }
    return NULL;
}

static void walk(struct library_walk *scan)
{
    for (uint32_t i = 0; i < sim.world->films; i++) {
        struct known *known = films[i].there ? known_named(scan, films[i].name) : NULL;
        scan->walked += films[i].there;
        if (known)
            known->met = true;
        if (films[i].there &&
            (!known || known->size != films[i].size || known->mtime != films[i].mtime || known->rules != FILM_RULES))
            scan->finds[scan->find_count++] = (struct find){films[i], known ? known->id : 0};
    }
    scan->gone = calloc(scan->known_count + 1, sizeof *scan->gone);
    for (uint32_t i = 0; i < scan->find_count; i++) {
        struct find *find = &scan->finds[i];
        struct known *moved = find->id ? NULL : known_missing(scan, &find->film);
        if (moved)
            moved->moved = true;
        find->id = moved ? moved->id : 0;
    }
    for (uint32_t i = 0; i < scan->known_count; i++)
        if (!scan->known[i].met && !scan->known[i].moved)
            scan->gone[scan->gone_count++] = scan->known[i].id;
}

/* What is to be told next, if anything: files, then what is gone. */
static void tell_next(struct library_walk *scan)
{
    scan->sent = scan->find_count - scan->find_at < TOLD ? scan->find_count - scan->find_at : TOLD;
    uint32_t left = scan->gone_count - scan->gone_at;
    scan->sent_gone = scan->sent ? 0 : left < GONE ? left : GONE;
    scan->seq++;
    scan->stage = scan->sent || scan->sent_gone ? SCAN_FOUND : SCAN_DONE;
}

const struct shape *walk_question(struct library_walk *scan, uint64_t run, uint64_t attempt, union walk_message *out)
{
    static struct rec_video_found rows[TOLD];
    if (scan->stage == SCAN_KNOWN) {
        out->known = (struct msg_library_known){
            .run_id = run, .attempt = attempt, .root = STR_LIT(FILM_ROOT), .after = scan->after, .limit = PAGE};
        return &shape_msg_library_known;
    }
    for (uint32_t i = 0; i < scan->sent; i++)
        rows[i] = film_found(&scan->finds[scan->find_at + i].film, scan->finds[scan->find_at + i].id, false, i);
    out->found = (struct msg_library_found){.run_id = run,
                                            .attempt = attempt,
                                            .seq = scan->seq,
                                            .root = STR_LIT(FILM_ROOT),
                                            .videos = {rows, scan->sent},
                                            .gone = {scan->gone + scan->gone_at, scan->sent_gone},
                                            .walked = scan->walked};
    return &shape_msg_library_found;
}

bool walk_answer(struct library_walk *scan, const struct msg *msg)
{
    if (msg->shape->id == MSG_LIBRARY_KNOWN_ROWS) {
        const struct msg_library_known_rows *rows = &msg->u.library_known_rows;
        if (scan->stage != SCAN_KNOWN || rows->after != scan->after)
            return false;
        known_take(scan, &rows->videos);
        if (!rows->end)
            return true;
        walk(scan);
    } else {
        if (scan->stage != SCAN_FOUND || msg->u.library_found_ack.seq != scan->seq)
            return false;
        scan->find_at += scan->sent;
        scan->gone_at += scan->sent_gone;
    }
    tell_next(scan);
    return true;
}
