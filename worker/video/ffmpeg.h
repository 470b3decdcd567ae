/* Runs ffmpeg to its end, reading its report of progress (`-progress pipe:1`) and what it complains about. */
#ifndef GANTRY_WORKER_VIDEO_FFMPEG_H
#define GANTRY_WORKER_VIDEO_FFMPEG_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/str.h"

struct ffmpeg_report {
    uint64_t out_us; /* of the film that is done */
    uint64_t frame, bytes;
    char speed[16];
};

struct ffmpeg_watch {
    /* At each report. False ends it: it is not worth going on. */
    bool (*report)(void *self, const struct ffmpeg_report *report);
    void (*line)(void *self, const char *text); /* of its stderr */
    void *self;
    uint64_t stall_ms; /* without any progress for so long it is ended; 0: never */
};

struct ffmpeg_end {
    int exit_code; /* -1 when a signal ended it */
    int signal;
    bool stalled, given_up;
    unsigned lines;  /* of its stderr */
    char first[512]; /* and the first of them that is no repetition of another's beginning */
    char last[512];
};

/* -1 with err: it could not be started. */
int ffmpeg_run(char *const *argv, const struct ffmpeg_watch *watch, struct ffmpeg_end *end, struct err *err);
/* True when it ended by itself and well; else a sentence in text. */
bool ffmpeg_well(const struct ffmpeg_end *end, char *text, size_t size);

#endif
