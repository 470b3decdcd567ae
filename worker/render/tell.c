#include "worker/render/tell.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "worker/job.h"
#include "worker/render/child.h"
#include "worker/video/words.h"

#define ARENA_MAX ((size_t)1 << 20)

struct telling {
    struct farm_line *line;
    struct arena *arena;
    struct msg_scene_tell told;
    struct rec_scene_file files[SCENE_PAGE];
    bool enough;
};

static struct str member(const json_t *object, const char *name, size_t most)
{
    const json_t *value = json_object_get(object, name);
    struct str text = {json_string_value(value), (uint32_t)json_string_length(value)};
    return text.ptr ? str_cut(text, most) : (struct str){0};
}

static bool md5_read(struct str hex, unsigned char md5[16])
{
    size_t len = 0;
    return hex.len == 32 && sodium_hex2bin(md5, 16, hex.ptr, hex.len, NULL, &len, NULL) == 0 && len == 16;
}

static int page_tell(struct telling *telling, bool last, struct err *err)
{
    struct msg answer;
    telling->told.last = last;
    if (farm_ask(telling->line, telling->arena, &shape_msg_scene_tell, &telling->told, &answer, err) < 0)
        return -1;
    if (answer.shape->id != MSG_SCENE_TOLD)
        return err_set(err, ERR_PROTOCOL, "the farm answers something else");
    telling->enough = answer.u.scene_told.enough;
    telling->told.page++;
    telling->told.files.count = 0;
    return 0;
}

static int pages_tell(struct telling *telling, const json_t *assets, struct err *err)
{
    size_t count = json_array_size(assets);
    const size_t most = (size_t)SCENE_PAGE * SCENE_PAGES;
    for (size_t i = 0; i < count && i < most; i++) {
        const json_t *asset = json_array_get(assets, i);
        struct rec_scene_file file = {.path = member(asset, "path", 4096), .type = member(asset, "type", 32)};
        if (!file.path.len || json_is_true(json_object_get(asset, "packed")))
            continue;
        if (telling->told.files.count == SCENE_PAGE && page_tell(telling, false, err) < 0)
            return -1;
        if (telling->enough)
            return 0;
        telling->files[telling->told.files.count++] = file;
    }
    telling->told.left_out += count > most ? count - most : 0;
    return page_tell(telling, true, err);
}

int tell_files(struct farm_line *line, uint64_t run, uint64_t attempt, const json_t *report, struct err *err)
{
    unsigned char md5[16];
    json_int_t left_out = json_integer_value(json_object_get(report, "assets_left_out"));
    static struct telling telling;
    telling = (struct telling){.line = line,
                               .arena = arena_new(ARENA_MAX),
                               .told = {.run_id = run,
                                        .attempt = attempt,
                                        .md5 = {(const char *)md5, sizeof(md5)},
                                        .files = {telling.files, 0},
                                        .left_out = left_out > 0 ? (uint64_t)left_out : 0,
                                        .version = member(report, "version", 64)}};
    int rc = 0;
    if (!telling.arena)
        rc = err_set(err, ERR_NO_MEMORY, "no memory to tell the farm what the scene needs");
    else if (!md5_read(member(report, "scene_file_hash", 32), md5))
        rc = err_set(err, ERR_INVALID, "the scene has no hash");
    else
        rc = pages_tell(&telling, json_object_get(report, "assets"), err);
    arena_free(telling.arena);
    return rc;
}

/* ---- a run that reads a scene ---- */

static void on_line(void *self, const char *text)
{
    snprintf(self, CHILD_LINE, "%s", text);
    puts(text);
    fflush(stdout);
}

int scene_run_main(char **argv)
{
    char said[CHILD_LINE] = "";
    struct farm_line line = {.fd = JOB_FD_PROGRAM_CHANNEL};
    struct child_end end = {.exit_code = -1};
    struct err err = {0};
    char **program = argv;
    while (*program && strcmp(*program, "--") != 0)
        program++;
    if (!*program || !program[1])
        return 2;
    *program++ = NULL; /* the words end there */
    if (child_run(program, NULL, 0, on_line, said, &end, &err) < 0 || end.exit_code != 0) {
        fprintf(stderr, "%s\n", err.code ? err.text : *said ? said : "the scene was not read");
        return end.exit_code > 0 ? end.exit_code : 1;
    }
    json_t *report = json_load_file(words_or(argv, "report", ""), 0, NULL);
    bool well = json_is_array(json_object_get(report, "assets")) && !json_is_string(json_object_get(report, "error"));
    if (well && tell_files(&line, words_number(argv, "run"), words_number(argv, "attempt"), report, &err) < 0 &&
        err.code != ERR_INVALID) /* refused: a run like any other, which nobody asked for that */
        printf("the farm was not told which files it needs: %s\n", err.text);
    json_decref(report);
    farm_clear(&line);
    return 0;
}
