#include "gateway/cli/scene.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/cli/args.h"
#include "gateway/cli/child.h"
#include "proto/buf.h"
#include "proto/messages.h"

#define ROOTS_MAX 16

/* Its arguments: NULL-terminated, room for two a root and four. real: roots without links on their way, kept in places (ROOTS_MAX). */
static int scene_arguments(const struct cli *cli, const char *file, bool real, char **places, char *program, const char **argv,
                           struct err *err)
{
    size_t at = 0;
    int count = 0;
    argv[count++] = program;
    for (const char *root; (root = args_each(cli->args, "root", &at)) != NULL;) {
        if (count > 2 * (ROOTS_MAX - 1) + 1)
            return err_set(err, ERR_BAD_REQUEST, "--root: %d folders at most", ROOTS_MAX);
        char *place = real ? *places++ = realpath(root, NULL) : NULL;
        argv[count++] = "--root";
        argv[count++] = place ? place : root; /* of one that is not there gantry-scene says so */
    }
    argv[count++] = "--";
    argv[count++] = file;
    argv[count] = NULL;
    return 0;
}

static int read_all(int fd, struct buf *out, struct err *err)
{
    char bytes[65536];
    for (;;) {
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return err_set(err, ERR_IO, "the reader's answer cannot be read: %s", strerror(errno));
        if (got > 0 && buf_add(out, bytes, (size_t)got) < 0)
            return err_set(err, ERR_NO_MEMORY, "out of memory for the reader's answer");
    }
}

/* Runs it, and takes what it prints. What it says on stderr is said there. Its exit code; -1 with err. */
static int scene_run(const char **argv, struct buf *out, struct err *err)
{
    int ends[2], status = 0;
    if (pipe(ends) != 0)
        return err_set(err, ERR_IO, "no pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execv(argv[0], (char *const *)argv);
        _exit(127);
    }
    close(ends[1]);
    int rc = pid < 0 ? err_set(err, ERR_IO, "no process: %s", strerror(errno)) : read_all(ends[0], out, err);
    close(ends[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (rc < 0)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status)
                             : err_set(err, ERR_INTERNAL, "gantry-scene was killed (signal %d)", WTERMSIG(status));
}

json_t *scene_read(const struct cli *cli, const char *file, bool real, struct err *err)
{
    char *places[ROOTS_MAX] = {NULL};
    const char *argv[2 * ROOTS_MAX + 5];
    char program[PATH_MAX];
    struct buf out = {0};
    json_t *row = NULL;
    if (child_sibling("gantry-scene", program, sizeof program, err) == 0 &&
        scene_arguments(cli, file, real, places, program, argv, err) == 0 && scene_run(argv, &out, err) >= 0) {
        row = json_loadb(out.data ? out.data : "", out.len, JSON_REJECT_DUPLICATES, NULL);
        if (!row)
            err_set(err, ERR_BAD_REQUEST, "%s was not read", file);
    }
    for (size_t i = 0; i < ROOTS_MAX; i++)
        free(places[i]);
    buf_free(&out);
    return row;
}
