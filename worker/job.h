/* What gantry-run is to start, and under which limits: written by the worker into a memory file, read by gantry-run.
 *
 * Packed it is a row of `name=value` texts, each ended by a NUL. Uses libc only, as gantry-run links nothing else.
 */
#ifndef GANTRY_WORKER_JOB_H
#define GANTRY_WORKER_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOB_BYTES_MAX ((size_t)8 << 20)

/* Descriptors gantry-run is started with, besides stdin (/dev/null), stdout and stderr (the run's). */
enum {
    JOB_FD_CONTROL = 3, /* commands from the worker; its end kills everything */
    JOB_FD_STATUS,      /* reports to the worker */
    JOB_FD_PROGRESS,    /* becomes the program's JOB_FD_PROGRAM */
    JOB_FD_JOB,         /* the packed job */
    JOB_FD_FIRST = JOB_FD_CONTROL,
    JOB_FD_LAST = JOB_FD_JOB,
    JOB_FD_CHANNEL, /* only of a job with a channel: becomes the program's JOB_FD_PROGRAM_CHANNEL */
};
#define JOB_FD_PROGRAM 3         /* GANTRY_PROGRESS_FD, as the program sees it */
#define JOB_FD_PROGRAM_CHANNEL 4 /* what a program of Gantry's own asks its worker on (channel.h) */

/* Commands, one byte each. */
#define JOB_TERM 'T' /* TERM to every descendant, KILL grace_ms later */
#define JOB_KILL 'K'

/* Reports, one line each:
 *   started PID
 *   failed TEXT                                      nothing was started
 *   limit timeout                                    timeout_ms are over; TERM was sent
 *   ended EXIT SIGNAL USER_MS SYSTEM_MS MAXRSS_KB    the program; EXIT is -1 when a signal ended it
 *   clean KILLED                                     nothing is left; KILLED processes had outlived the program
 */

struct job {
    char **argv; /* NULL-terminated */
    char **env;  /* NULL-terminated, NAME=VALUE; all the program gets */
    const char *cwd;
    const char *user;                       /* to become; NULL or empty is nobody else */
    uint64_t cpu_seconds, memory_mb, files; /* 0 is no limit of ours */
    uint64_t timeout_ms;                    /* 0 is none */
    uint64_t grace_ms;
    bool channel; /* the program has one */
};

/* Returns new bytes, to be freed; NULL when out of memory or over JOB_BYTES_MAX (errno E2BIG). */
char *job_pack(const struct job *job, size_t *len);

/* Reads bytes in place: what job points to lives in them, argv and env are new (job_clear). -1 when malformed or out of memory. */
int job_unpack(char *bytes, size_t len, struct job *job);
void job_clear(struct job *job);

#endif
