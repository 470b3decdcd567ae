/* Engines that outlive their frame: what a frame's process and the keeper of its slot say to each other.
 *
 * `gantry-worker --render-keeper folder=… most_mb=…` is started by the worker for each slot that renders (worker/keepers.h), under a gantry-run
 * of its own, so that nothing of it outlives the worker. It holds one engine with the scene open, in a folder of its own. A frame's
 * process (kept.c) comes by a socket in that folder, is handed the engine's ends, and speaks to the engine itself. A packet is a line of
 * text; the frame's process asks:
 *
 *   want KEY CHUNK SECONDS   what it needs, as a hash; frames an engine makes at most, and how long it is kept idle
 *     same FRAMES              with the engine's ends: it waits, has this scene open, and has made so many frames
 *     fresh FOLDER             there is none such any more: the scene is to be laid out in this empty folder
 *   start                    the scene stands, and FOLDER/job says what is to be started (worker/job.h)
 *     started PID              with its ends
 *     failed ERRNO
 *   end                      it has written its last
 *     ended EXIT SIGNAL
 *   done                     the frame is there: the engine may wait for the next one. No answer
 *
 * A line that is closed before `done` ends the engine with all that it has started: whatever became of its frame, the next one meets none
 * that is in the middle of something.
 */
#ifndef GANTRY_WORKER_RENDER_KEEP_H
#define GANTRY_WORKER_RENDER_KEEP_H

#include <limits.h>
#include <stdint.h>

#include "proto/str.h"

#define KEEP_TEXT (PATH_MAX + 64) /* bytes of a packet with its NUL */
#define KEEP_KEY 65               /* SHA-256 in hexadecimal, and a NUL */
#define KEEP_JOB "job"
#define KEEP_HUNG "hung" /* a file in the keeper's folder: it did not answer a frame's process, and is to end */

struct keep_ends { /* of an engine; -1 each where there is none */
    int process;   /* a pidfd: readable when it has ended */
    int in, out;   /* its stdin; its stdout and stderr */
};

struct keep_want {
    char key[KEEP_KEY];
    uint64_t chunk, seconds;
};

int keep_listen(const char *folder, struct err *err); /* a socket; -1 with err */
int keep_dial(const char *folder);                    /* a line; -1 with errno */

/* Sends a packet, and the ends with it unless they are NULL. -1: the other side is gone, or it is too long. */
int keep_send(int line, const struct keep_ends *ends, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Waits for a packet. ends (may be NULL): those that came with it, to be closed by the caller; -1 each without any. 1; 0: the other side has
 * closed the line; -1: it was no packet of ours, or none came in time (SO_RCVTIMEO). */
int keep_receive(int line, char text[KEEP_TEXT], struct keep_ends *ends);
void keep_ends_close(struct keep_ends *ends);

/* Reads `want …`. False: it is none. */
bool keep_want_read(const char *text, struct keep_want *out);

int keeper_main(char *const *argv); /* the words */

#endif
