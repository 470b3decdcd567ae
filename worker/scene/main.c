/* gantry-scene: what a scene file says of its rendering, and which files it needs, as a line of JSON.
 *
 *   gantry-scene [--root DIR]… [--seconds N] [--memory MIB] [--result FILE] [--output FILE] FILE
 *
 * A child reads it, under limits of time and memory, and opens nothing but that file and, for its size, what that names: so a file that
 * crashes a reader, or makes it loop or grow, is answered with an `error`. With --root names are below one of these folders, and nothing
 * leads out of them. --result: into this file, in 64 KiB (assets that do not fit are left out, and counted); --output: all into that one.
 * Exits with 0, with 1 if there is an error (with --result: if it is one that another try may not meet), with 2 if it is asked in a wrong
 * way.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/messages.h"
#include "worker/scene/format.h"
#include "worker/scene/locate.h"
#include "worker/scene/report.h"

#define RESULT_MAX ((size_t)65536) /* of a run */

struct options {
    struct locate locate;
    uint64_t seconds, memory_mb;
    const char *result, *output, *path;
};

static void limit(int resource, uint64_t value)
{
    setrlimit(resource, &(struct rlimit){value, value});
}

static void limits(const struct options *options)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGALRM, SIG_DFL);
    alarm((unsigned)options->seconds);
    limit(RLIMIT_CORE, 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* whose shadow takes terabytes of address space */
    limit(RLIMIT_AS, options->memory_mb << 20);
#endif
}

/* ---- what is said ---- */

static int all_write(int fd, const struct buf *text)
{
    for (size_t done = 0; done < text->len;) {
        ssize_t put = write(fd, text->data + done, text->len - done);
        if (put < 0 && errno != EINTR)
            return -1;
        done += put > 0 ? (size_t)put : 0;
    }
    return 0;
}

static int file_write(const char *path, const struct buf *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    int rc = fd < 0 ? -1 : all_write(fd, text);
    if (fd >= 0 && close(fd) < 0)
        rc = -1;
    if (rc < 0)
        fprintf(stderr, "gantry-scene: %s: %s\n", path, strerror(errno));
    return rc;
}

static int report_put(const struct scene *scene, const struct report *report, const char *path, size_t limit)
{
    struct buf text = {0};
    int rc = report_write(scene, report, limit, &text) < 0 || buf_text(&text, "\n") < 0 ? -1 : 0;
    if (rc < 0)
        fprintf(stderr, "gantry-scene: no memory for the answer\n");
    else
        rc = path ? file_write(path, &text) : all_write(STDOUT_FILENO, &text);
    buf_free(&text);
    return rc;
}

static void log_line(const struct scene *scene, const struct err *err)
{
    uint32_t gone = 0;
    for (uint32_t i = 0; i < scene->count; i++)
        gone += !scene->assets[i].exists;
    if (err)
        printf("it could not be read: %s\n", err->text);
    else
        printf("%s%s%.*s: %u files it needs, %u of them missing\n", scene_format_name(scene->format),
               scene->version.len ? " " : "", (int)scene->version.len, scene->version.ptr, scene->count, gone);
}

static int say(const struct options *options, const struct scene *scene, const struct err *err)
{
    char when[32];
    time_t now = time(NULL);
    struct tm parts;
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &parts));
    struct report report = {.path = options->path, .err = err, .read_at = when};
    int rc = 0;
    if (options->output)
        rc = report_put(scene, &report, options->output, BUF_LIMIT);
    if (options->result && report_put(scene, &report, options->result, RESULT_MAX - 1) < 0)
        rc = -1;
    if (!options->output && !options->result)
        return report_put(scene, &report, NULL, BUF_LIMIT);
    log_line(scene, err);
    return fflush(stdout) == 0 ? rc : -1;
}

/* ---- the child, and who waits for it ---- */

/* To a run a file that cannot be read is an answer like another. What may go better next time is not. */
static bool is_answer(const struct options *options, const struct err *err)
{
    return options->result && err->code != ERR_NO_MEMORY && err->code != ERR_IO;
}

static int child(struct options *options)
{
    static struct scene scene;
    struct err err = {0};
    limits(options);
    int fd = locate_open(&options->locate, options->path, &err), rc = fd < 0 ? -1 : 0;
    if (rc == 0 && scene_open(&scene, &err) < 0)
        rc = -1;
    if (rc == 0) {
        const char *slash = strrchr(options->path, '/');
        rc = scene_read(fd, slash ? slash + 1 : options->path, &scene, &err);
        locate_assets(&options->locate, &scene);
    }
    if (scene.compression == NULL)
        scene.compression = "none";
    bool said = say(options, &scene, rc < 0 ? &err : NULL) == 0;
    return said && (rc == 0 || is_answer(options, &err)) ? 0 : 1;
}

static int crashed(const struct options *options, int number)
{
    struct scene scene = {.compression = "none"};
    struct err err = {0};
    if (number == SIGALRM)
        err_set(&err, ERR_INVALID, "it was given up after %" PRIu64 " s", options->seconds);
    else
        err_set(&err, ERR_INVALID, "the reader crashed on it (signal %d, %s)", number, strsignal(number));
    return say(options, &scene, &err) == 0 && is_answer(options, &err) ? 0 : 1;
}

static int work(struct options *options)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(child(options));
    if (pid < 0) {
        fprintf(stderr, "gantry-scene: no process: %s\n", strerror(errno));
        return 1;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFSIGNALED(status) ? crashed(options, WTERMSIG(status)) : WEXITSTATUS(status);
}

/* ---- options ---- */

static bool number_read(const char *text, uint64_t low, uint64_t high, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *out >= low && *out <= high;
}

static bool option_read(struct options *options, const char *name, char *value, struct err *err)
{
    size_t len = strlen(value);
    if (strcmp(name, "--root") == 0) {
        while (len > 1 && value[len - 1] == '/')
            value[--len] = '\0';
        return locate_root(&options->locate, value, err) == 0;
    }
    err_set(err, ERR_BAD_REQUEST, "not understood");
    if (strcmp(name, "--seconds") == 0)
        return number_read(value, 1, 86400, &options->seconds);
    if (strcmp(name, "--memory") == 0)
        return number_read(value, 64, 1 << 20, &options->memory_mb);
    if (strcmp(name, "--result") == 0)
        options->result = value;
    else if (strcmp(name, "--output") == 0)
        options->output = value;
    else
        return false;
    return len > 0;
}

int main(int argc, char **argv)
{
    static struct options options = {.seconds = 600, .memory_mb = 1024};
    int at = 1;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
        struct err err = {0};
        static char none[1];
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (!option_read(&options, argv[at], at + 1 < argc ? argv[at + 1] : none, &err)) {
            fprintf(stderr, "gantry-scene: %s %s: %s\n", argv[at], at + 1 < argc ? argv[at + 1] : "", err.text);
            return 2;
        }
    }
    if (at + 1 != argc) {
        fprintf(stderr, "usage: gantry-scene [--root DIR]… [--seconds N] [--memory MIB] [--result FILE] [--output FILE] FILE\n");
        return 2;
    }
    options.path = argv[at];
    int code = work(&options);
    locate_close(&options.locate);
    return code;
}
