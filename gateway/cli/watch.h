/* Following a run: its log line by line, its progress, its end, through restarts of whatever farm process. */
#ifndef GANTRY_CLI_WATCH_H
#define GANTRY_CLI_WATCH_H

#include <jansson.h>
#include <stdint.h>

#include "gateway/cli/cli.h"

struct watch_how {
    uint64_t after;  /* position to begin behind; 0 is the beginning */
    bool times;      /* time, level and stream before each line */
    bool all_stderr; /* stdout is kept for JSON */
    bool abort;      /* Ctrl-C aborts the run; otherwise it only ends the watching */
};

/* Follows the run until it is final and its log is printed. Answers the exit code that `gantry run --wait` has. */
int watch_run(struct cli *cli, long long run_id, const struct watch_how *how);

/* Prints the lines of one answer of /runs/{id}/logs; says where lines are missing. */
void watch_print(const json_t *data, const struct watch_how *how);

/* What follows a submit: its id is printed, or with --wait it is followed. Takes data (of the answer). Answers the exit code. */
int watch_submitted(struct cli *cli, json_t *data);

/* The exit code that a final run comes to: 0, its own code, 128 + signal, or 1. */
int watch_exit_code(const json_t *run);

#endif
