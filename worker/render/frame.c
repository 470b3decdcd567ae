/* An engine at work on one frame, and the picture that it leaves. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/messages.h"
#include "proto/place.h"
#include "worker/job.h"
#include "worker/render/child.h"
#include "worker/render/lines.h"
#include "worker/render/prepare.h"
#include "worker/render/render.h"
#include "worker/video/words.h"

#define FIND_DEPTH 4
#define FIND_ENTRIES 10000
#define SAYS "GANTRY " /* before what prepare.py says */

struct watching {
    struct render *it;
    struct lines lines;
    double told;
    char why[LINES_TEXT]; /* prepare.py gave up */
    bool ready;
};

/* ---- what it says ---- */

static void on_prepared(struct watching *watching, const char *text)
{
    if (strncmp(text, "READY ", 6) == 0) {
        watching->ready = true;
        snprintf(watching->it->version, sizeof(watching->it->version), "%s", text + 6);
    } else if (strncmp(text, "ERROR ", 6) == 0) {
        snprintf(watching->why, sizeof(watching->why), "%s", text + 6);
    } else if (strncmp(text, "MISSING ", 8) == 0) {
        printf("WARNING: missing file %s\n", text + 8);
    } else if (strncmp(text, "WARNING ", 8) == 0) {
        printf("WARNING: %s\n", text + 8);
    }
    fflush(stdout);
}

static void on_line(void *self, const char *text)
{
    struct watching *watching = self;
    if (strncmp(text, SAYS, strlen(SAYS)) == 0 && !watching->ready) {
        on_prepared(watching, text + strlen(SAYS));
        return;
    }
    if (!lines_take(&watching->lines, text)) {
        puts(text);
        fflush(stdout);
    }
    if (watching->lines.percent >= watching->told + 0.1) {
        watching->told = watching->lines.percent;
        dprintf(JOB_FD_PROGRAM, "percent=%.1f\n", watching->told * 0.99); /* it is looked at, and named, yet */
    }
}

/* ---- how it is called ---- */

/* For prepare.py: what is wished of the scene. */
static int wish_write(const struct render *it, const char *path)
{
    static const struct {
        const char *wished, *renderer;
    } renderers[] = {{"cycles", "CYCLES"}, {"eevee", "BLENDER_EEVEE"}, {"workbench", "BLENDER_WORKBENCH"}};
    json_t *wish =
        json_pack("{s:s, s:s, s:b, s:I, s:I}", "scene", it->scene, "root", it->root, "allow_missing", render_allows_missing(it),
                  "width", (json_int_t)render_number(it, "width"), "height", (json_int_t)render_number(it, "height"));
    for (size_t i = 0; wish && i < sizeof(renderers) / sizeof(renderers[0]); i++)
        if (strcasecmp(render_text(it, "renderer"), renderers[i].wished) == 0)
            json_object_set_new(wish, "renderer", json_string(renderers[i].renderer));
    int rc = wish && json_dump_file(wish, path, 0) == 0 ? 0 : err_set(it->err, ERR_IO, "%.150s cannot be written", path);
    json_decref(wish);
    return rc;
}

static int prepare(const struct render *it, char script[PATH_MAX])
{
    char wish[PATH_MAX];
    snprintf(script, PATH_MAX, "%s/prepare.py", it->work);
    snprintf(wish, sizeof(wish), "%s/wish.json", it->work);
    FILE *file = fopen(script, "we");
    bool well = file && fwrite(prepare_py_begin, (size_t)(prepare_py_end - prepare_py_begin), 1, file) == 1;
    if (file)
        well = fclose(file) == 0 && well;
    if (!well)
        return err_set(it->err, ERR_IO, "%.150s cannot be written: %s", script, strerror(errno));
    if (setenv("GANTRY_RENDER", wish, 1) < 0)
        return err_set(it->err, ERR_NO_MEMORY, "no memory for a run");
    return wish_write(it, wish);
}

static int call(struct watching *watching, const char *folder, const char *script, struct child_end *end)
{
    struct render *it = watching->it;
    const char *preset = render_text(it, "preset"), *renderer = render_text(it, "renderer"),
               *project = render_text(it, "project_dir");
    char frame[24], frame4[24], width[24], height[24], place[PATH_MAX * 2] = "", below[PATH_MAX], *argv[ENGINE_ARGS + 1];
    uint64_t wide = render_number(it, "width"), high = render_number(it, "height");
    snprintf(frame, sizeof(frame), "%" PRIu64, it->frame);
    snprintf(frame4, sizeof(frame4), "%04" PRIu64, it->frame);
    snprintf(width, sizeof(width), "%" PRIu64, wide);
    snprintf(height, sizeof(height), "%" PRIu64, high);
    if (*project && place_below(project, below, sizeof(below)))
        snprintf(place, sizeof(place), "%s/%s", it->root, below);
    const struct engine_value values[] = {
        {"scene", it->scene},
        {"prepare", script},
        {"folder", folder},
        {"format", it->format},
        {"frame", frame},
        {"frame4", frame4},
        {"width", wide && high ? width : NULL},
        {"height", wide && high ? height : NULL},
        {"renderer", renderer},
        {"no_renderer", *renderer ? NULL : "1"},
        {"threads", words_or(it->words, "threads", "0")[0] != '0' ? words_text(it->words, "threads") : NULL},
        {"project", access(place, X_OK) == 0 ? place : NULL},
        {"map", render_text(it, "map")},
        {"sequence", render_text(it, "sequence")},
        {"preset", preset},
        {"no_preset", *preset ? NULL : "1"},
        {NULL, NULL},
    };
    argv[0] = (char *)it->program;
    if (engine_args(it->engine, values, argv + 1, it->err) < 0)
        return -1;
    int rc = child_run(argv, folder, 0, on_line, watching, end, it->err);
    engine_args_free(argv + 1);
    if (rc < 0 && it->err->code == ERR_NOT_FOUND)
        err_set(it->err, ERR_NOT_FOUND, "engine: there is no %s on this worker (render.%s: %.100s)", it->engine->name,
                it->engine->name, it->program);
    return rc;
}

/* ---- how it went ---- */

/* Memory first: what it takes for an error then may be anything. */
static int judge(const struct watching *watching, const struct child_end *end)
{
    const struct render *it = watching->it;
    const char *name = it->engine->name, *error = watching->lines.error;
    if (watching->lines.memory || end->signal == SIGKILL)
        return err_set(it->err, ERR_LIMIT, "memory: %s ran out of memory%s%.150s", name, *error ? ": " : "", error);
    if (watching->why[0])
        return err_set(it->err, ERR_INVALID, "scene: %.150s%s%.60s", watching->why, *error ? ": " : "", error);
    if (it->engine->prepares && !watching->ready && end->exit_code > 0 && *error)
        return err_set(it->err, ERR_INVALID, "scene: %s cannot open it: %.180s", name, error);
    if (strstr(error, "Cannot render"))
        return err_set(it->err, ERR_INVALID, "scene: %.200s", error);
    if (watching->lines.display)
        return err_set(it->err, ERR_INVALID,
                       "engine: this renderer of %s needs a display, or Mesa, which this worker has not (Eevee and Workbench do, "
                       "Cycles does not)",
                       name);
    if (end->signal)
        return err_set(it->err, ERR_IO, "engine: %s was ended by signal %d (%s)%s%.120s", name, end->signal,
                       strsignal(end->signal), *error ? ": " : "", error);
    if (end->exit_code != 0)
        return err_set(it->err, ERR_IO, "engine: %s failed (exit code %d)%s%.150s", name, end->exit_code, *error ? ": " : "",
                       error);
    return 0;
}

/* ---- what it made ---- */

struct finding {
    const struct render *it;
    unsigned entries, named, others; /* pictures with the frame's number, and without it */
    char *named_path, *other_path;   /* PATH_MAX each */
};

/* frame.0012.png is of frame 12. */
static bool is_of_frame(const char *name, const char *dot, uint64_t frame)
{
    const char *digits = dot;
    while (digits > name && isdigit((unsigned char)digits[-1]))
        digits--;
    return digits < dot && strtoull(digits, NULL, 10) == frame;
}

static void find_one(struct finding *finding, const char *path, const char *name)
{
    const char *dot = strrchr(name, '.');
    const char *made = dot ? engine_format(finding->it->engine, dot + 1) : NULL;
    if (!made || strcmp(made, finding->it->format) != 0)
        return;
    bool named = is_of_frame(name, dot, finding->it->frame);
    *(named ? &finding->named : &finding->others) += 1;
    snprintf(named ? finding->named_path : finding->other_path, PATH_MAX, "%s", path);
}

static void find_in(struct finding *finding, const char *folder, unsigned depth)
{
    char path[PATH_MAX];
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) && finding->entries++ < FIND_ENTRIES) {
        if (entry->d_name[0] == '.' || snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >= PATH_MAX)
            continue;
        struct stat info;
        if (lstat(path, &info) < 0)
            continue;
        if (S_ISDIR(info.st_mode) && depth < FIND_DEPTH)
            find_in(finding, path, depth + 1);
        else if (S_ISREG(info.st_mode))
            find_one(finding, path, entry->d_name);
    }
    if (dir)
        closedir(dir);
}

static int find_made(struct render *it, const char *folder, const struct watching *watching)
{
    char other[PATH_MAX], slash_off[PATH_MAX], saved[PATH_MAX * 2];
    struct finding finding = {.it = it, .named_path = it->made, .other_path = other};
    snprintf(slash_off, sizeof(slash_off), "%s", it->scene);
    *strrchr(slash_off, '/') = '\0';
    snprintf(saved, sizeof(saved), "%s/Saved/MovieRenders", slash_off);
    bool preset = strcmp(it->engine->made, "{made}") == 0 && *render_text(it, "preset");
    find_in(&finding, preset ? saved : folder, 0);
    if (finding.named == 0 && finding.others == 1) {
        snprintf(it->made, sizeof(it->made), "%s", other);
        return 0;
    }
    if (finding.named == 1)
        return 0;
    const char *error = watching->lines.error;
    return err_set(it->err, ERR_INVALID, "engine: %s made %s of frame %" PRIu64 "%s%.150s", it->engine->name,
                   finding.named + finding.others ? "several pictures" : "no picture", it->frame, *error ? ": " : "", error);
}

int frame_make(struct render *it)
{
    struct watching watching = {.it = it};
    struct child_end end;
    char folder[PATH_MAX], script[PATH_MAX] = "";
    snprintf(folder, sizeof(folder), "%s/made", it->work);
    if (mkdir(folder, 0777) < 0 && errno != EEXIST)
        return err_set(it->err, ERR_IO, "%.150s cannot be made: %s", folder, strerror(errno));
    if (it->engine->prepares && prepare(it, script) < 0)
        return -1;
    if (call(&watching, folder, script, &end) < 0 || judge(&watching, &end) < 0)
        return -1;
    return find_made(it, folder, &watching);
}
