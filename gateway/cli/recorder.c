/* `gantry recorder`: a farm as the recorder is known to be started, its folder and its port alone. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/cli/args.h"
#include "gateway/cli/cli.h"

#define OWN 16
#define SLOTS "400" /* as many as there are streams at most: a recording waits for its camera, not for a processor */

static bool port_well(const char *port)
{
    char *end;
    long number = strtol(port, &end, 10);
    return *port >= '0' && *port <= '9' && !*end && number > 0 && number <= 65535;
}

/* Becomes `gantry up`: flags that were given stand behind ours, and so before them. */
int recorder_command(struct cli *cli)
{
    const char *folder = args_count(cli->args) > 0 ? args_at(cli->args, 0) : "./output";
    const char *port = args_count(cli->args) > 1 ? args_at(cli->args, 1) : "8080";
    const char *own[OWN] = {cli->program,    "up", "--output",          folder,        "--recorder-port", port, "--port", "0",
                            "--render-port", "0",  "--recorder-config", "config.json", "--worker-slots",  SLOTS};
    int flags_count = 0, count = 0;
    char *const *flags = args_settings(cli->args, &flags_count);

    if (!port_well(port) || !*folder) {
        fprintf(stderr, "gantry recorder: DIR is a folder and PORT a number from 1 to 65535; given: %s %s\n", folder, port);
        return EXIT_USAGE;
    }
    char **argv = calloc((size_t)flags_count + OWN + 1, sizeof *argv);
    if (!argv) {
        fprintf(stderr, "gantry recorder: out of memory\n");
        return EXIT_TROUBLE;
    }
    for (; own[count]; count++)
        argv[count] = (char *)(uintptr_t)own[count];
    for (int i = 0; i < flags_count; i++)
        argv[count++] = flags[i];
    execv("/proc/self/exe", argv);
    fprintf(stderr, "gantry recorder: %s\n", strerror(errno));
    free(argv);
    return EXIT_TROUBLE;
}
