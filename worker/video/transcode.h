/* A transcode: probes its source, has ffmpeg make another, and lets nothing stand that is not whole, complete and worth it.
 *
 * `gantry-worker --transcode STEP NAME=VALUE…`, a program of its own for each step, with the same arguments (executors/transcode.c):
 *   run     makes and verifies the file under its temporary name, and says on the channel where it is to go
 *   name    puts it there once that is granted: in its own place, or in the place of its source
 *   mend    ends what a `name` that was killed had begun, one way or the other
 *   health  decodes a whole video, and says how many errors there are
 *   undo    gives a source its place back
 *   clear   removes what segments have left
 */
#ifndef GANTRY_WORKER_VIDEO_TRANSCODE_H
#define GANTRY_WORKER_VIDEO_TRANSCODE_H

#include <limits.h>
#include <stdint.h>

#include "proto/str.h"
#include "worker/video/farm.h"
#include "worker/video/probe.h"

#define TRANSCODE_REPLACE "!replace"

struct transcode {
    char *const *words;
    const char *root, *path; /* of the source: the library's folder as it is mounted here, and the name below it */
    const char *library;     /* the farm's name of that folder */
    uint64_t run, attempt, video, size, mtime_ns;
    bool replace;
    bool remote; /* the library is not here: transcode_remote.c */
    char source[PATH_MAX], final[PATH_MAX], temporary[PATH_MAX], bak[PATH_MAX];
    double film_seconds; /* of what was made, as far as its packets go; 0: not known */
    struct farm_line line;
    struct err *err;
};

/* The worker's own folder in transcode.tmp, into path; false: there is no such setting. */
struct settings;
bool transcode_tmp(const struct settings *settings, const char *ident, char path[PATH_MAX]);

int transcode_main(char *const *argv); /* STEP, and the words */

/* ---- between the files of it; each -1 with err ---- */

/* Reads the words, and looks whether the source is what it was. */
int transcode_begin(struct transcode *it, char *const *words, struct err *err);
int transcode_source(struct transcode *it);
/* Where the result goes, by its extension; folders on the way are made. */
int transcode_places(struct transcode *it, const char *extension);
/* ---- without the library: each -1 with err ---- */

struct probe;
/* The folder that results are made in, and sent from. */
const char *transcode_workshop(const struct transcode *it);
bool transcode_is_remote(const struct transcode *it);                    /* by its final name: the result is to be sent */
int transcode_fetch(struct transcode *it);                               /* the source is at it->source then */
int transcode_fetched(struct transcode *it, const struct probe *source); /* whether that is what the farm has looked at */
int transcode_still(struct transcode *it);                               /* whether it still is; also with the library */
/* 1: what an earlier attempt was granted stands at the gateway, of this size. */
int transcode_stands(struct transcode *it, uint64_t *size);
int transcode_send(struct transcode *it);
int transcode_name_remote(struct transcode *it);

/* ---- and the rest ---- */

void transcode_result(const char *text); /* to the file GANTRY_RESULT */

struct wish;
struct recipe;
struct probe;
struct ffmpeg_end;
struct wish transcode_wish(const struct transcode *it);
/* Whether the source is what it was, and what it is. */
int transcode_look(struct transcode *it, const struct wish *wish, struct probe *source);
void transcode_target(const struct transcode *it, char target[PATH_MAX]); /* where it is made */
int transcode_room(struct transcode *it, const char *path);               /* on the disk of that file */
/* Has ffmpeg make target, of so many seconds. */
int transcode_encode(struct transcode *it, const struct recipe *recipe, double duration, const char *target,
                     struct ffmpeg_end *end);
/* From another file system to it->temporary. */
int transcode_bring(struct transcode *it, const char *from);
char *transcode_command(const struct recipe *recipe); /* its arguments as a shell takes them; for free(); NULL: no memory */

int transcode_run(struct transcode *it);
int transcode_name(struct transcode *it);
int transcode_mend(struct transcode *it);
int transcode_health(struct transcode *it);
int transcode_undo(struct transcode *it);

/* Whether a file decodes. full: every frame; else every packet is read, key frames are decoded, and the last seconds whole. */
int transcode_decodes(struct transcode *it, const char *path, bool full, double duration);
/* Whether its film goes as far as its source's, which is whole. -1 with err: it does not. */
int transcode_lasts(struct transcode *it, const char *path, const struct probe *source);
uint64_t transcode_stall_ms(const struct transcode *it);

#endif
