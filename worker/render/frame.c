/* An engine at work on one frame, and the picture that it leaves. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/messages.h"
#include "proto/place.h"
#include "worker/job.h"
#include "worker/render/frame.h"
#include "worker/video/words.h"

#define FIND_DEPTH 4
#define FIND_ENTRIES 10000
#define SAYS "GANTRY " /* before what prepare.py says */

/* ---- what it says ---- */

static void on_prepared(struct watching *watching, const char *text)
{
    if (strncmp(text, "READY ", 6) == 0) {
        watching->ready = true;
        snprintf(watching->it->version, sizeof(watching->it->version), "%s", text + 6);
    } else if (strncmp(text, "ERROR ", 6) == 0) {
        snprintf(watching->why, sizeof(watching->why), "%s", text + 6);
    } else if (strncmp(text, "ONCE ", 5) == 0) {
        watching->once = true;
        printf("this frame's %s is not kept for others: %s\n", watching->it->engine->name, text + 5);
    } else if (strncmp(text, "MISSING ", 8) == 0) {
        printf("WARNING: missing file %s\n", text + 8);
    } else if (strncmp(text, "WARNING ", 8) == 0) {
        printf("WARNING: %s\n", text + 8);
    }
    fflush(stdout);
}

/* Behind READY only what an engine that is kept says of this very frame. */
static bool on_said(struct watching *watching, const char *text)
{
    if (!watching->ready) {
        on_prepared(watching, text);
        return true;
    }
    bool done = watching->token[0] && strncmp(text, "DONE ", 5) == 0 && strcmp(text + 5, watching->token) == 0;
    watching->done = watching->done || done;
    return done;
}

void watching_line(void *self, const char *text)
{
    struct watching *watching = self;
    if (strncmp(text, SAYS, strlen(SAYS)) == 0 && on_said(watching, text + strlen(SAYS)))
        return;
    if (!lines_take(&watching->lines, text)) {
        puts(text);
        fflush(stdout);
    }
    if (watching->lines.percent >= watching->told + 0.1) {
        watching->told = watching->lines.percent;
        dprintf(JOB_FD_PROGRAM, "percent=%.1f\n", watching->told * 0.99); /* it is looked at, and named, yet */
    }
}

/* With an engine that ends with its frame. */
static int call(struct watching *watching, const char *folder, struct child_end *end)
{
    struct render *it = watching->it;
    char *argv[ENGINE_ARGS + 1];
    int rc = call_make(it, folder, false, argv);
    rc = rc < 0 ? rc : child_run(argv, folder, 0, watching_line, watching, end, it->err);
    engine_args_free(argv + 1);
    return rc < 0 && it->err->code == ERR_NOT_FOUND ? call_missing(it) : rc;
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
    char *named_path;                /* PATH_MAX */
    char other_path[PATH_MAX];
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

/* Unreal's preset says itself where pictures go: below the project, unless somebody has it otherwise. */
static bool is_preset(const struct render *it)
{
    return strcmp(it->engine->made, "{made}") == 0 && *render_text(it, "preset");
}

/* Its picture, into it->made; false: none, or several. */
static bool find(struct render *it, const char *folder, struct finding *finding)
{
    char saved[PATH_MAX * 2];
    *finding = (struct finding){.it = it, .named_path = it->made};
    if (is_preset(it))
        snprintf(saved, sizeof(saved), "%.*s/Saved/MovieRenders", (int)(strrchr(it->scene, '/') - it->scene), it->scene);
    find_in(finding, is_preset(it) ? saved : folder, 0);
    if (finding->named == 0 && finding->others == 1)
        snprintf(it->made, sizeof(it->made), "%s", finding->other_path);
    return finding->named == 1 || (finding->named == 0 && finding->others == 1);
}

/* What stood there before it was called is not its doing. */
static bool is_old(const struct render *it)
{
    struct stat now;
    return stat(it->made, &now) == 0 && now.st_ino == it->before.st_ino && now.st_size == it->before.st_size &&
           now.st_mtim.tv_sec == it->before.st_mtim.tv_sec && now.st_mtim.tv_nsec == it->before.st_mtim.tv_nsec;
}

static int find_made(struct render *it, const char *folder, const struct watching *watching)
{
    struct finding finding;
    bool there = find(it, folder, &finding), old = there && is_old(it);
    if (there && !old)
        return 0;
    bool several =
        !old && (finding.named || (finding.others && !is_preset(it))); /* beside a preset's are those of other frames */
    const char *error = watching->lines.error;
    return err_set(it->err, ERR_INVALID, "engine: %s made %s of frame %" PRIu64 "%s%.150s", it->engine->name,
                   several ? "several pictures" : "no picture", it->frame, *error ? ": " : "", error);
}

static int make(struct watching *watching, const char *folder, struct child_end *end)
{
    struct render *it = watching->it;
    int rc = it->engine->kept_args && words_text(it->words, "keeper") ? kept_call(watching, folder, end) : 1;
    if (rc != 1)
        return rc;
    kept_done(it);
    *watching = (struct watching){.it = it};
    snprintf(it->place, sizeof(it->place), "%s", it->work);
    if (render_lay(it) < 0)
        return -1;
    struct finding standing;
    if (is_preset(it) && find(it, folder, &standing) && stat(it->made, &it->before) < 0)
        it->before = (struct stat){0};
    return call(watching, folder, end);
}

int frame_make(struct render *it)
{
    struct watching watching = {.it = it};
    struct child_end end = {0};
    char folder[PATH_MAX];
    snprintf(folder, sizeof(folder), "%s/made", it->work);
    if (mkdir(folder, 0777) < 0 && errno != EEXIST)
        return err_set(it->err, ERR_IO, "%.150s cannot be made: %s", folder, strerror(errno));
    if (make(&watching, folder, &end) < 0 || judge(&watching, &end) < 0)
        return -1;
    return find_made(it, folder, &watching);
}
