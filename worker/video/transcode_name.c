#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/messages.h"
#include "worker/publish.h"
#include "worker/video/found.h"
#include "worker/video/made.h"
#include "worker/video/prober.h"
#include "worker/video/replace.h"
#include "worker/video/scan.h"
#include "worker/video/transcode.h"
#include "worker/video/words.h"

#define DAY_MS 86400000u

/* Which words tell who they are for; NULL when there is no such folder. */
static struct replacement replacement_of(const struct transcode *it, char name[64])
{
    snprintf(name, 64, "%" PRIu64 "-%" PRIu64, it->run, it->attempt);
    return (struct replacement){.source = it->source,
                                .bak = it->bak,
                                .temporary = it->temporary,
                                .final = it->final,
                                .journal = words_or(it->words, "replace", "/nonexistent"),
                                .kept = words_or(it->words, "kept", "/nonexistent"),
                                .name = name,
                                .size = it->size,
                                .mtime_ns = it->mtime_ns,
                                .until_ms = clock_wall_ms() + words_number(it->words, "keep_days") * DAY_MS,
                                .links = true};
}

/* The library's file is another now, or has its old name again: told at once, so that no scan takes it for a new one. That this fails
 * changes nothing of what is done; a scan finds out, too. */
static void tell_file(struct transcode *it, const char *file, bool by_farm)
{
    static struct found found;
    static struct probe probe;
    struct err err = {0};
    struct msg answer;
    const char *rules = words_or(it->words, "rules", RULES_DEFAULT), *vr = words_or(it->words, "vr", VR_DEFAULT);
    struct arena *arena = arena_new((size_t)1 << 20);
    struct rec_video_found row = {.id = it->video, .path = str_of(file + strlen(it->root) + 1), .made = by_farm};
    struct msg_library_found message = {
        .run_id = it->run, .attempt = it->attempt, .seq = 1, .root = str_of(it->library), .walked = 1};
    int rc = arena ? prober_one(words_or(it->words, "probe", "gantry-probe"), file, &probe, &err) : -1;
    if (rc == 0)
        rc = found_begin(&found, rules, vr, scan_rules_id(rules, vr), &err);
    struct stat info;
    if (rc == 0 && stat(file, &info) == 0) {
        row.size = (uint64_t)info.st_size;
        row.mtime_ns = (uint64_t)info.st_mtim.tv_sec * 1000000000u + (uint64_t)info.st_mtim.tv_nsec;
    }
    if (rc == 0)
        rc = found_add(&found, &row, &probe, &err);
    if (rc == 0) {
        message.videos = (struct rec_video_found_list){found.items, found.count};
        rc = farm_ask(&it->line, arena, &shape_msg_library_found, &message, &answer, &err);
    }
    if (rc < 0)
        fprintf(stderr, "the farm was not told of the new file: %s\n", err.text);
    found_clear(&found);
    arena_free(arena);
}

static int name_replaced(struct transcode *it)
{
    char name[64];
    struct replacement replacement = replacement_of(it, name);
    if (replace_do(&replacement, it->err) < 0)
        return -1;
    if (it->video)
        tell_file(it, it->final, true);
    return 0;
}

/* A result of an older version of this video that was named for its container goes with it. */
static void sibling_remove(const struct transcode *it, const char *made)
{
    static const char *const endings[] = {"mp4", "mkv"};
    const char *dot = strrchr(it->final, '.');
    char path[PATH_MAX];
    struct stat seen;
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        int len = snprintf(path, sizeof(path), "%.*s%s", (int)(dot + 1 - it->final), it->final, endings[i]);
        if (len < PATH_MAX && strcmp(path, it->final) != 0 && made_stands(made, path, &seen) && unlink(path) == 0)
            fprintf(stderr, "the result of an older version is gone: %s\n", path);
    }
}

/* Under its name, or in the place of what was made of an older version. */
static int name_give(struct transcode *it)
{
    const char *made = words_or(it->words, "made", "");
    struct stat seen;
    int rc = *made && made_stands(made, it->final, &seen) ? publish_supplant(it->temporary, it->final, &seen, it->err)
                                                          : publish_name(it->temporary, it->final, it->err);
    if (rc == 0 && *made)
        sibling_remove(it, made);
    return rc;
}

static int name_saved(struct transcode *it)
{
    char name[64];
    struct replacement replacement = replacement_of(it, name);
    struct err err = {0};
    if (name_give(it) < 0)
        return -1;
    replacement.temporary = NULL;
    if (words_number(it->words, "keep_days") == 0)
        replacement.bak = NULL;
    if (words_number(it->words, "remove_original") && replace_retire(&replacement, &err) < 0)
        fprintf(stderr, "the original stays: %s\n", err.text); /* what was made stands, and that is what counts */
    return 0;
}

int transcode_name(struct transcode *it)
{
    snprintf(it->temporary, sizeof(it->temporary), "%s", words_or(it->words, "temporary", ""));
    snprintf(it->final, sizeof(it->final), "%s", words_or(it->words, "final", ""));
    if (!it->temporary[0] || !it->final[0])
        return err_set(it->err, ERR_INVALID, "nothing is to be named");
    if (words_number(it->words, "segment")) { /* it takes nobody's place */
        if (publish_name(it->temporary, it->final, it->err) < 0)
            return -1;
        puts("named");
        return 0;
    }
    if (transcode_is_remote(it)) {
        if (transcode_name_remote(it) < 0)
            return -1;
        puts("named");
        return 0;
    }
    bool keeps = it->replace || words_number(it->words, "remove_original");
    if (keeps && replace_bak(it->source, it->run, it->bak) < 0) {
        unlink(it->temporary);
        return err_set(it->err, ERR_CONFLICT, "there is no free name to keep the original under");
    }
    int rc = it->replace ? name_replaced(it) : name_saved(it);
    if (rc == 0)
        puts("named");
    return rc;
}

int transcode_mend(struct transcode *it)
{
    char name[64];
    struct stat info;
    snprintf(it->temporary, sizeof(it->temporary), "%s", words_or(it->words, "temporary", ""));
    snprintf(it->final, sizeof(it->final), "%s", words_or(it->words, "final", ""));
    bool segment = words_number(it->words, "segment"), sent = !segment && transcode_is_remote(it),
         own = it->replace && !segment && !sent;
    bool there = lstat(it->temporary, &info) == 0 || errno != ENOENT;
    if (sent && there) /* the gateway may have it already: it is asked before anything is sent */
        return transcode_name(it);
    const struct replacement replacement = replacement_of(it, name);
    bool named = replace_mend(replacement.journal, replacement.kept, name);
    if (!own) /* only by getting its name it is not there any more */
        named = !there && (sent || lstat(it->final, &info) == 0);
    if (!named) {
        unlink(it->temporary);
        return err_set(it->err, ERR_IO, "the step that gives it its name was killed; the original is as it was");
    }
    if (own && it->video)
        tell_file(it, it->final, true);
    puts("named");
    return 0;
}

static bool below(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    return folder[0] == '/' && strncmp(path, folder, len) == 0 && path[len] == '/' && !strstr(path, "/../");
}

/* Of what was sent to the gateway: it is where this worker has the farm's folder of results, if it has it. The first attempt has to find
 * it; a later one may come behind its removal. */
static int sent_check(const struct transcode *it, const char *made)
{
    struct stat info;
    char folder[PATH_MAX];
    if (stat(it->source, &info) < 0 || !S_ISREG(info.st_mode))
        return err_set(it->err, ERR_NOT_FOUND, "the original is not on this machine: %.150s", it->source);
    if (lstat(made, &info) == 0 || errno != ENOENT)
        return 0;
    snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(made, '/') - made), made);
    return it->attempt > 1 && stat(folder, &info) == 0
               ? 0
               : err_set(it->err, ERR_NOT_FOUND, "the result is not on this machine: %.150s", made);
}

int transcode_undo(struct transcode *it)
{
    struct err none = {0};
    char made[PATH_MAX];
    const char *results = words_or(it->words, "results", ""), *dest = words_or(it->words, "dest", "");
    bool sent = *dest && *dest != '/'; /* to the gateway: below its folder of results, and the source's name is the farm's */
    if (sent && snprintf(made, sizeof(made), "%s/%s", results, dest) < PATH_MAX)
        dest = made;
    const struct undo undo = {.source = sent ? it->source : words_or(it->words, "source", it->source),
                              .dest = dest,
                              .bak = words_or(it->words, "bak", ""),
                              .size_after = words_number(it->words, "size_after"),
                              .size_before = words_number(it->words, "size_before")};
    bool well =
        below(undo.source, it->root) && (!undo.bak[0] || below(undo.bak, it->root)) &&
        (sent ? below(undo.dest, results) : below(undo.dest, it->root) || below(undo.dest, words_or(it->words, "save", "")));
    if (!well)
        return err_set(it->err, ERR_INVALID,
                       "it needs the parameters source, dest and bak as the transcode's result has them, below %.100s", it->root);
    int done = sent && sent_check(it, dest) < 0 ? -1 : replace_undo(&undo, it->err);
    if (done < 0)
        return -1;
    if (it->video)
        tell_file(it, undo.source, false);
    else
        farm_hint(&it->line, it->library, &none);
    printf(done ? "%s has its place already\n" : "%s has its place again\n", undo.source);
    return 0;
}
