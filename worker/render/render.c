#include "worker/render/render.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/messages.h"
#include "worker/job.h"
#include "worker/publish.h"
#include "worker/video/made.h"
#include "worker/video/words.h"

#define THUMBNAILS "thumbnails"
#define SMALL_PART 4 /* of the mean of other frames */

const char *render_text(const struct render *it, const char *parameter)
{
    const char *text = json_string_value(json_object_get(it->parameters, parameter));
    return text ? text : "";
}

uint64_t render_number(const struct render *it, const char *parameter)
{
    json_int_t number = json_integer_value(json_object_get(it->parameters, parameter));
    return number > 0 ? (uint64_t)number : 0;
}

bool render_allows_missing(const struct render *it)
{
    const json_t *value = json_object_get(it->parameters, "allow_missing");
    return !value || json_is_true(value) || json_integer_value(value) != 0;
}

/* ---- what it is to do ---- */

static int engine_choose(struct render *it)
{
    const char *name = render_text(it, "engine"), *dot = strrchr(it->output, '.');
    it->engine = engine_find(name);
    if (!it->engine)
        return err_set(it->err, ERR_INVALID, "engine: there is none called '%.40s' (parameter engine: blender, maya, ue)", name);
    it->program = words_or(it->words, name, "");
    it->extension = dot && !strchr(dot, '/') ? dot + 1 : "";
    it->format = engine_format(it->engine, it->extension);
    return it->format
               ? 0
               : err_set(it->err, ERR_INVALID, "engine: %s cannot write '.%.20s' (the task's output)", name, it->extension);
}

static int places_choose(struct render *it)
{
    const char *folder = words_or(it->words, "folder", "");
    struct err err = {0};
    if (folder[0] != '/' || it->output[0] == '/')
        return err_set(it->err, ERR_INVALID, "output is to be a name below the folder of frames (render.output)");
    if (publish_names(str_of(it->output), str_of(folder), it->run, it->attempt, it->final, it->temporary, &err) < 0)
        return err_set(it->err, err.code, "%.200s", err.text);
    return 0;
}

static int begin(struct render *it, char *const *words, struct err *err)
{
    const char *parameters = getenv("GANTRY_PARAMS");
    *it = (struct render){.words = words, .keeper = -1, .line = {.fd = JOB_FD_PROGRAM_CHANNEL}, .err = err};
    it->run = words_number(words, "run");
    it->attempt = words_number(words, "attempt");
    it->output = words_or(words, "output", "");
    if (snprintf(it->work, sizeof(it->work), "%s", words_or(words, "work", "/nonexistent")) >= (int)sizeof(it->work))
        return err_set(err, ERR_INVALID, "the name of the run's folder is too long");
    it->parameters = parameters ? json_load_file(parameters, 0, NULL) : NULL;
    if (!it->parameters)
        return err_set(err, ERR_INVALID, "the run's parameters cannot be read");
    const json_t *frame = json_object_get(it->parameters, "frame"), *last = json_object_get(it->parameters, "frames_to");
    it->frame = render_number(it, "frame");
    if (!json_is_integer(frame) || json_integer_value(frame) < 0)
        return err_set(err, ERR_INVALID, "parameter frame is to be a number from 0");
    if (last && json_integer_value(last) != (json_int_t)it->frame)
        return err_set(err, ERR_INVALID, "one frame a run: parameter frames_to is to be the same as frame");
    return engine_choose(it) < 0 ? -1 : places_choose(it);
}

/* ---- what comes of it ---- */

/* What stood at its name when it was begun may be replaced, and nothing else. */
static void standing_path(const struct render *it, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/standing", it->work);
}

static int standing_note(const struct render *it)
{
    char path[PATH_MAX];
    struct stat seen;
    bool well = false;
    if (lstat(it->final, &seen) < 0)
        return errno == ENOENT ? 0 : err_set(it->err, ERR_IO, "%.150s cannot be looked at: %s", it->final, strerror(errno));
    if (!S_ISREG(seen.st_mode))
        return err_set(it->err, ERR_CONFLICT, "%.150s is there already, and no picture", it->final);
    standing_path(it, path);
    FILE *file = fopen(path, "we");
    if (file) {
        well = fwrite(&seen, sizeof(seen), 1, file) == 1;
        well = fclose(file) == 0 && well;
    }
    return well ? 0 : err_set(it->err, ERR_IO, "%.150s cannot be written: %s", path, strerror(errno));
}

static bool standing_read(const char *work, struct stat *seen)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/standing", work);
    FILE *file = fopen(path, "re");
    bool well = file && fread(seen, sizeof(*seen), 1, file) == 1;
    if (file)
        fclose(file);
    return well;
}

/* Far less than the task's other pictures have, in the mean, may lack something: a layer, an object, a texture. It counts all the same. */
static bool is_small(const struct render *it, const struct picture *picture)
{
    uint64_t mean = render_number(it, "mean_bytes");
    return mean && picture->size < mean / SMALL_PART;
}

static int result_write(const struct render *it, const struct picture *picture, double seconds, const char *thumbnail)
{
    const char *path = getenv("GANTRY_RESULT");
    json_t *object = json_pack("{s:s, s:I, s:s, s:f, s:I, s:I, s:b, s:b, s:s}", "output_path", it->output, "output_size",
                               (json_int_t)picture->size, "output_hash", picture->md5, "render_time", seconds, "width",
                               (json_int_t)picture->width, "height", (json_int_t)picture->height, "black", picture->black,
                               "small", is_small(it, picture), "engine_version", it->version);
    if (object && *thumbnail)
        json_object_set_new(object, "thumbnail_path", json_string(thumbnail));
    int rc = object && path && json_dump_file(object, path, JSON_COMPACT) == 0
                 ? 0
                 : err_set(it->err, ERR_IO, "the run's result cannot be written");
    json_decref(object);
    return rc;
}

/* `thumbnails/frame.0001.png` beside frame.0001.exr; out: below the folder of frames, path: the whole. False: too long. */
static bool thumbnail_name(const struct render *it, char out[PATH_MAX], char path[PATH_MAX])
{
    const char *slash = strrchr(it->output, '/'), *base = slash ? slash + 1 : it->output;
    int len = snprintf(out, PATH_MAX, "%.*s" THUMBNAILS "/%.*s.png", (int)(base - it->output), it->output,
                       (int)(strlen(base) - strlen(it->extension) - 1), base);
    return len < PATH_MAX && snprintf(path, PATH_MAX, "%s/%s", words_or(it->words, "folder", ""), out) < PATH_MAX;
}

/* Nothing that counts: without it the frame is as good. */
static void thumbnail_place(const struct render *it, const char *fresh, char out[PATH_MAX])
{
    char path[PATH_MAX];
    struct err err = {0};
    if (thumbnail_name(it, out, path)) {
        unlink(path);
        if (layout_bring(fresh, path, BRING_MOVE, &err) == 0)
            return;
    }
    printf("there is no thumbnail of it: %s\n", err.code ? err.text : "its name is too long");
    out[0] = '\0';
}

/* 1: what an earlier attempt was granted stands complete; 0: it is to be made. */
static int adopt(struct render *it, struct picture *picture, char thumbnail[PATH_MAX])
{
    struct stat seen;
    char path[PATH_MAX];
    if (!made_stands(words_or(it->words, "published", ""), it->final, &seen))
        return standing_note(it);
    printf("an earlier attempt has made this frame\n");
    if (picture_look(it, it->final, NULL, picture) < 0)
        return -1;
    if (!thumbnail_name(it, thumbnail, path) || access(path, R_OK) < 0)
        thumbnail[0] = '\0';
    return 1;
}

int render_lay(struct render *it)
{
    if (layout_scene(it) < 0)
        return -1;
    snprintf(it->beside, sizeof(it->beside), "%.*s", (int)(strrchr(it->scene, '/') - it->scene), it->scene);
    return unpack_scene(it);
}

static int make(struct render *it, struct picture *picture, char thumbnail[PATH_MAX])
{
    char fresh[PATH_MAX];
    snprintf(fresh, sizeof(fresh), "%s/thumbnail.png", it->work);
    if (frame_make(it) < 0 || picture_look(it, it->made, fresh, picture) < 0)
        return -1;
    kept_done(it);
    if (picture->black)
        printf("WARNING: the picture is all black\n");
    if (is_small(it, picture))
        printf("WARNING: the picture has %" PRIu64 " bytes, those of the task's other frames %" PRIu64 " in the mean\n",
               picture->size, render_number(it, "mean_bytes"));
    if (picture->thumbnail)
        thumbnail_place(it, fresh, thumbnail);
    else
        printf("there is no thumbnail of it\n");
    if (layout_folders(it->final, it->err) < 0 || farm_say(&it->line, CHANNEL_TEMPORARY, it->temporary, it->err) < 0)
        return -1;
    return layout_bring(it->made, it->temporary, BRING_MOVE, it->err);
}

static int step_run(struct render *it)
{
    struct picture picture = {0};
    char thumbnail[PATH_MAX] = "";
    uint64_t begun = clock_mono_ms();
    int there = adopt(it, &picture, thumbnail);
    if (there < 0 || (there == 0 && make(it, &picture, thumbnail) < 0))
        return -1;
    if (result_write(it, &picture, (double)(clock_mono_ms() - begun) / 1000, thumbnail) < 0)
        return -1;
    return there ? 0 : farm_say(&it->line, CHANNEL_FINAL, it->final, it->err);
}

static int step_name(char *const *words, struct err *err)
{
    const char *temporary = words_or(words, "temporary", ""), *final = words_or(words, "final", "");
    struct stat seen;
    int rc = standing_read(words_or(words, "work", ""), &seen) ? publish_supplant(temporary, final, &seen, err)
                                                               : publish_name(temporary, final, err);
    if (rc == 0)
        puts("named");
    else
        printf("error %s\n", err->text);
    return fflush(stdout) == 0 && rc == 0 ? 0 : 1;
}

int render_main(char *const *argv)
{
    struct err err = {0};
    static struct render it;
    if (strcmp(argv[0], "name") == 0)
        return step_name(argv + 1, &err);
    int rc = strcmp(argv[0], "run") != 0 ? err_set(&err, ERR_INVALID, "unknown step %.40s", argv[0]) : begin(&it, argv + 1, &err);
    if (rc == 0)
        rc = step_run(&it);
    fflush(stdout);
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);
    json_decref(it.parameters);
    json_decref(it.files);
    farm_clear(&it.line);
    return rc < 0 ? 1 : 0;
}
