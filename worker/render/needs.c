#include "worker/render/needs.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/pattern.h"
#include "proto/place.h"
#include "worker/render/child.h"
#include "worker/render/fetch.h"
#include "worker/render/tell.h"
#include "worker/video/words.h"

#define AT_ONCE 256
#define KEPT_BYTES ((uint64_t)256 << 20) /* of what scenes need, for other frames */
#define MD5_BYTES 16
#define AFTER_MAX 2049 /* with its NUL */
#define PAGES_MAX 4096 /* of one pattern: others may be among its names all the while */
#define ARENA_MAX ((size_t)4 << 20)

/* ---- read ---- */

static void keep_line(void *self, const char *text)
{
    snprintf(self, CHILD_LINE, "%s", text);
}

static json_t *report_load(const char *path, struct err *err)
{
    json_t *report = json_load_file(path, 0, NULL);
    const char *why = json_string_value(json_object_get(report, "error"));
    if (json_is_array(json_object_get(report, "assets")) && !why)
        return report;
    err_set(err, ERR_INVALID, "%.200s", why ? why : "gantry-scene does not say");
    json_decref(report);
    return NULL;
}

static int report_make(const struct render *it, const char *path, struct err *err)
{
    char said[CHILD_LINE] = "";
    struct child_end end;
    char *const argv[] = {(char *)words_or(it->words, "reader", "gantry-scene"),
                          (char *)"--root",
                          (char *)it->root,
                          (char *)"--output",
                          (char *)path,
                          (char *)"--",
                          (char *)it->scene,
                          NULL};
    if (child_run(argv, NULL, 0, keep_line, said, &end, err) < 0)
        return -1;
    return end.exit_code == 0 || access(path, R_OK) == 0 ? 0 : err_set(err, ERR_INVALID, "%.200s", said);
}

/* Where it is kept for other frames; false: nowhere. */
static bool kept_path(const struct render *it, const char *md5, char kept[PATH_MAX])
{
    char name[64];
    snprintf(name, sizeof(name), "%.40s.2", md5); /* another number where more is read */
    return fetch_keeps(it, "needs", name, kept);
}

bool needs_known(const struct render *it, const char *md5)
{
    char kept[PATH_MAX];
    return kept_path(it, md5, kept) && access(kept, R_OK) == 0;
}

/* fresh: where gantry-scene writes it. */
static json_t *report_fresh(const struct render *it, char fresh[PATH_MAX], struct err *err)
{
    snprintf(fresh, PATH_MAX, "%s/needs.json", it->work);
    return report_make(it, fresh, err) < 0 ? NULL : report_load(fresh, err);
}

json_t *needs_read_beside(const struct render *it, struct err *err)
{
    char fresh[PATH_MAX];
    json_t *report = report_fresh(it, fresh, err);
    unlink(fresh);
    return report;
}

json_t *needs_read(struct render *it, const char *md5, struct err *err)
{
    char kept[PATH_MAX], fresh[PATH_MAX];
    struct err why = {0};
    bool keeps = kept_path(it, md5, kept);
    json_t *report = keeps && utimensat(AT_FDCWD, kept, NULL, 0) == 0 ? report_load(kept, &why) : NULL;
    if (report)
        return report;
    report = report_fresh(it, fresh, err);
    if (report && tell_files(&it->line, it->run, it->attempt, report, &why) < 0 &&
        why.code != ERR_INVALID) /* refused: it is of no render task */
        printf("the farm was not told which files the scene needs: %s\n", why.text);
    if (report && keeps && layout_bring(fresh, kept, BRING_MOVE, &why) < 0)
        printf("it is not kept which files the scene needs: %s\n", why.text); /* the next frame reads it again */
    else if (report && keeps)
        fetch_trim(words_or(it->words, "needs", ""), KEPT_BYTES);
    unlink(fresh);
    return report;
}

/* ---- looked for ---- */

struct finding {
    struct render *it;
    struct str scene;
    bool blender;
    json_t *files; /* found, and missing */
    struct arena *arena;
    const char *paths[AT_ONCE]; /* the next to be asked about */
    struct str asked[AT_ONCE];
    uint32_t count;
};

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NO_MEMORY, "no memory for the files of the scene");
}

static int file_add(struct finding *finding, const char *path, const unsigned char *md5)
{
    char place[PLACE_MAX], hex[2 * MD5_BYTES + 1];
    bool placed = place_beside(str_of(path), finding->scene, finding->blender, place, sizeof(place));
    json_t *file = json_pack("{s:s, s:s*}", "file_path", path, "server_path", placed ? place : NULL);
    if (file && md5)
        json_object_set_new(file, "file_hash", json_string(sodium_bin2hex(hex, sizeof(hex), md5, MD5_BYTES)));
    return json_array_append_new(finding->files, file);
}

static int chunk_ask(struct finding *finding, struct err *err)
{
    static const unsigned char none[MD5_BYTES];
    struct render *it = finding->it;
    struct msg answer;
    struct msg_render_look look = {.run_id = it->run, .attempt = it->attempt, .paths = {finding->asked, finding->count}};
    for (uint32_t i = 0; i < finding->count; i++)
        finding->asked[i] = str_of(finding->paths[i]);
    if (finding->count == 0)
        return 0;
    if (farm_ask(&it->line, finding->arena, &shape_msg_render_look, &look, &answer, err) < 0)
        return -1;
    if (answer.shape->id != MSG_RENDER_LOOKED || answer.u.render_looked.md5s.len != finding->count * MD5_BYTES)
        return err_set(err, ERR_PROTOCOL, "the farm answers something else");
    for (uint32_t i = 0; i < finding->count; i++) {
        const unsigned char *md5 = (const unsigned char *)answer.u.render_looked.md5s.ptr + (size_t)i * MD5_BYTES;
        bool there = memcmp(md5, none, MD5_BYTES) != 0;
        if (file_add(finding, finding->paths[i], there ? md5 : NULL) < 0)
            return no_memory(err);
    }
    finding->count = 0;
    return 0;
}

static int path_add(struct finding *finding, const char *path, struct err *err)
{
    if (finding->count == AT_ONCE && chunk_ask(finding, err) < 0)
        return -1;
    finding->paths[finding->count++] = path;
    return 0;
}

/* ---- all that a pattern stands for ---- */

static const char *last_name(const char *path)
{
    const char *name = path;
    for (; *path; path++)
        if (*path == '/' || *path == '\\')
            name = path + 1;
    return name;
}

/* A file beside the pattern: seen has the names that were there before. */
static int beside_add(struct finding *finding, const char *pattern, struct str name, const char *md5, json_t *seen)
{
    char path[PLACE_MAX];
    size_t folder = (size_t)(last_name(pattern) - pattern);
    int len = snprintf(path, sizeof(path), "%.*s%.*s", (int)folder, pattern, (int)name.len, name.ptr);
    if (len >= (int)sizeof(path) || json_object_get(seen, path + folder))
        return 0;
    return json_object_set_new(seen, path + folder, json_true()) < 0 ? -1 : file_add(finding, path, (const unsigned char *)md5);
}

/* The next page; after: of the one before, and then of this. */
static int page_ask(struct finding *finding, const char *pattern, char after[AFTER_MAX], json_t *seen, struct err *err)
{
    struct render *it = finding->it;
    struct str paths = str_of(pattern);
    struct msg answer;
    struct msg_render_look look = {
        .run_id = it->run, .attempt = it->attempt, .paths = {&paths, 1}, .each = true, .after = str_of(after)};
    if (farm_ask(&it->line, finding->arena, &shape_msg_render_look, &look, &answer, err) < 0)
        return -1;
    const struct msg_render_looked *looked = &answer.u.render_looked;
    if (answer.shape->id != MSG_RENDER_LOOKED || looked->md5s.len != looked->names.count * MD5_BYTES ||
        !str_copy(after, AFTER_MAX, looked->after))
        return err_set(err, ERR_PROTOCOL, "the farm answers something else");
    for (uint32_t i = 0; i < looked->names.count; i++)
        if (beside_add(finding, pattern, looked->names.items[i], looked->md5s.ptr + (size_t)i * MD5_BYTES, seen) < 0)
            return no_memory(err);
    return 0;
}

/* Each is a file; where none is there one may be called like that itself, or it is missing. */
static int pattern_add(struct finding *finding, const char *pattern, struct err *err)
{
    size_t before = json_array_size(finding->files);
    json_t *seen = json_object();
    char after[AFTER_MAX] = "";
    int rc = seen ? 0 : no_memory(err);
    bool more = true;
    for (unsigned page = 0; rc == 0 && more && page < PAGES_MAX; page++) {
        rc = page_ask(finding, pattern, after, seen, err);
        more = *after && json_array_size(finding->files) <= RENDER_FILES_MAX;
    }
    json_decref(seen);
    if (rc < 0)
        return -1;
    return json_array_size(finding->files) > before ? 0 : path_add(finding, pattern, err);
}

static int all_find(struct finding *finding, const json_t *assets, struct err *err)
{
    for (size_t i = 0; i < json_array_size(assets); i++) {
        const json_t *asset = json_array_get(assets, i);
        const char *path = json_string_value(json_object_get(asset, "path"));
        if (!path || json_is_true(json_object_get(asset, "packed")))
            continue;
        if (pattern_is(last_name(path)) ? pattern_add(finding, path, err) < 0 : path_add(finding, path, err) < 0)
            return -1;
    }
    return chunk_ask(finding, err);
}

json_t *needs_find(struct render *it, const json_t *report, const char *named, struct err *err)
{
    struct finding finding = {.it = it,
                              .scene = str_of(named),
                              .blender = strcmp(it->engine->name, "blender") == 0,
                              .files = json_array(),
                              .arena = arena_new(ARENA_MAX)};
    int rc = finding.files && finding.arena ? all_find(&finding, json_object_get(report, "assets"), err) : no_memory(err);
    arena_free(finding.arena);
    if (rc == 0)
        return finding.files;
    json_decref(finding.files);
    return NULL;
}
