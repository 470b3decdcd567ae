/* What a worker is to the transcode farm: which encoders it offers, at which hours, how many at once; and its folders for that. */
#ifndef GANTRY_WORKER_STUDIO_H
#define GANTRY_WORKER_STUDIO_H

#include "proto/loop.h"
#include "proto/messages.h"
#include "proto/settings.h"
#include "worker/home.h"
#include "worker/setup.h"

struct studio {
    bool serves;                   /* it takes transcodes at all */
    bool open;                     /* and does now: its hours hold, and it has not done as many as it should */
    bool apart;                    /* it joins nobody now, whatever joins says: share_apart */
    char encoders[64], joins[160]; /* joins: see video/share.h */
    uint64_t done;                 /* since its start; of a video in segments, that they were joined */
    const struct settings *settings;
    const struct home *home;
    int timer;
    struct loop *loop;
    void (*changed)(void *self); /* what is offered is another */
    void *self;
};

/* Looks what there is, tries the encoders, ends what a dead worker had begun. Takes some tenths of a second where the worker serves transcodes.
 * -1 with err: a setting makes no sense. */
int studio_open(struct studio *studio, struct loop *loop, const struct settings *settings, const struct home *home,
                const struct setup *setup, struct err *err);
void studio_close(struct studio *studio);
/* What it offers now as labels, names and values in turn into items (2 * STUDIO_LABELS). How many pairs; they borrow. */
#define STUDIO_LABELS 4
int studio_labels(const struct studio *studio, struct str *items);
/* Why this run is not taken while so many of its executor are held; NULL: it is. */
const char *studio_refusal(const struct studio *studio, const struct rec_assignment *assignment, uint32_t held);
/* A run has ended well. */
void studio_count(struct studio *studio, const struct rec_assignment *assignment);

#endif
