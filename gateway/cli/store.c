/* backup, restore and fsck: what only the store's own program can do, as it alone knows the database. It is found beside this one
 * and takes over this process, so that signals, output and exit code are its own. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/cli/args.h"
#include "gateway/cli/child.h"
#include "gateway/cli/cli.h"

#define OPTION_SIZE 64

/* Answers only when it could not. */
static int store_become(const struct cli *cli, const char *command, const char *const *options, size_t option_count)
{
    struct err err = {0};
    char path[PATH_MAX], texts[2][OPTION_SIZE];
    int flag_count, count = 0;
    char *const *flags = args_settings(cli->args, &flag_count);
    char **argv = calloc((size_t)flag_count + (size_t)args_count(cli->args) + option_count + 3, sizeof *argv);

    if (argv == NULL || child_sibling("gantry-store", path, sizeof path, &err) != 0) {
        fprintf(stderr, "gantry %s: %s\n", command, argv == NULL ? "out of memory" : err.text);
        free(argv);
        return EXIT_TROUBLE;
    }
    argv[count++] = path;
    argv[count++] = (char *)(uintptr_t)command;
    for (size_t i = 0; i < option_count; i++) {
        const char *value = args_text(cli->args, options[i]);
        if (value != NULL) {
            snprintf(texts[i], sizeof texts[i], value[0] != '\0' ? "--%s=%s" : "--%s", options[i], value);
            argv[count++] = texts[i];
        }
    }
    for (int i = 0; i < flag_count; i++) {
        argv[count++] = flags[i];
    }
    for (int i = 0; i < args_count(cli->args); i++) {
        argv[count++] = (char *)(uintptr_t)args_at(cli->args, i);
    }
    execv(path, argv);
    fprintf(stderr, "gantry %s: cannot run %s: %s\n", command, path, strerror(errno));
    free(argv);
    return EXIT_TROUBLE;
}

int backup_command(struct cli *cli)
{
    static const char *const options[] = {"keep", "grow-mb"};
    return store_become(cli, "backup", options, 2);
}

int restore_command(struct cli *cli)
{
    static const char *const options[] = {"repair"};
    return store_become(cli, "restore", options, 1);
}

int fsck_command(struct cli *cli)
{
    static const char *const options[] = {"repair"};
    return store_become(cli, "fsck", options, 1);
}
