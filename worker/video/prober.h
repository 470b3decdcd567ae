/* gantry-probe as a child: names go in, what they are comes out, in whatever order they are done. */
#ifndef GANTRY_WORKER_VIDEO_PROBER_H
#define GANTRY_WORKER_VIDEO_PROBER_H

#include <sys/types.h>

#include "worker/video/cuts.h"
#include "worker/video/probe.h"

#define PROBER_AHEAD 64 /* names given and not answered */

struct prober {
    pid_t pid;
    int in, out; /* our ends; -1: closed */
    uint64_t given, taken;
    struct buf names, lines; /* not written yet; not read yet */
};

/* program: path of gantry-probe. root: names are below it; NULL: they are as they are. -1 with err. */
int prober_start(struct prober *prober, const char *program, const char *root, unsigned jobs, struct err *err);
/* Gives it a name, which gets the number of those given before. False: it has enough, take an answer first. */
bool prober_give(struct prober *prober, const char *name);
/* Waits for an answer. 1; 0: all that was given is answered; -1 with err: it ended. */
int prober_take(struct prober *prober, struct probe *probe, uint64_t *number, struct err *err);
void prober_end(struct prober *prober);

/* One file, by itself. */
int prober_one(const char *program, const char *path, struct probe *probe, struct err *err);
/* Where it can be cut, about every so many ms. -1 with err: it cannot, and why. */
int prober_keys(const char *program, const char *path, uint64_t every_ms, struct cut_places *places, struct err *err);

#endif
