/* How far a run is, read from what it writes.
 *
 * On its progress descriptor: lines `percent=NN` (a decimal number) and `note=text`, or ffmpeg's own report (`out_time_us=…`,
 * `speed=…`, closed by `progress=continue`), which names no percentage: that comes from the time written and the time that will be,
 * which is the duration of the input, as ffmpeg says it on stderr, less what its arguments cut off. ffmpeg that is told to be
 * silent (`-v error`) and is given no `-t` leaves it unknown.
 */
#ifndef GANTRY_WORKER_PROGRESS_H
#define GANTRY_WORKER_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRESS_NOTE 200
#define PROGRESS_LINE 512

struct progress {
    /* what is known; percent is below 0 while it is not */
    double percent;
    char note[PROGRESS_NOTE];
    bool changed; /* set when one of them is new; who reads them clears it */
    /* ffmpeg's block being read */
    uint64_t duration_us; /* of the longest input; 0 is unknown */
    uint64_t skip_us;     /* of the input before what is used (-ss) */
    uint64_t most_us;     /* that is written of it (-t, -to); 0 is no limit */
    bool loops;           /* the only input is repeated: its duration means nothing */
    uint64_t out_us, frame;
    char speed[16];
    /* the line being read */
    size_t len;
    bool skip; /* until its end: it is too long to be one of ours */
    char line[PROGRESS_LINE];
};

void progress_init(struct progress *progress);
/* Bytes from the progress descriptor. */
void progress_feed(struct progress *progress, const char *data, size_t len);
/* ffmpeg's arguments, NULL-terminated: takes in how much of its input it is to use. */
void progress_arguments(struct progress *progress, char *const *argv);
/* A line of ffmpeg's stderr: looks for `Duration: HH:MM:SS.ff`. */
void progress_stderr(struct progress *progress, const char *text, size_t len);

#endif
