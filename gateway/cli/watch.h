/* Following a run: its log line by line, its progress, its end, through restarts of whatever farm process. */
#ifndef GANTRY_CLI_WATCH_H
#define GANTRY_CLI_WATCH_H

#include <jansson.h>
#include <stdint.h>

#include "gateway/cli/cli.h"

struct watch_how {
    uint64_t after;  /* position to begin behind; 0 is the beginning */
    bool segments;   /* the log is that of a transcode and its segments (lines.h) */
    bool times;      /* time, level and stream before each line */
    bool json;       /* each line is a JSON object */
    bool all_stderr; /* stdout is kept for JSON */
    bool whole;      /* the run is ours: stopping aborts it, and its end is told; otherwise only its log is of interest */
};

/* Follows the run until it is final and its log is printed. Answers the exit code that `gantry run --wait` has, or stop_code. */
int watch_run(struct cli *cli, long long run_id, const struct watch_how *how);

/* Prints the lines of one answer of /runs/{id}/logs; says on stderr where lines are missing. */
void watch_print(const json_t *data, const struct watch_how *how);

/* Makes a run by a POST of body (borrowed) to path, under --key if that is given; prints its id, or with --wait follows it. Stopped
 * in between it leaves no run that nobody knows of, or says so. Answers the exit code. */
int watch_submit(struct cli *cli, const char *path, const json_t *body);

/* The exit code that a final run comes to: 0, its own code, 128 + signal, or 1. */
int watch_exit_code(const json_t *run);

#endif
