/* What a worker offers to the render farm: engines with their versions, plug-ins, memory, graphics cards. Settings say it, or the machine. */
#ifndef GANTRY_WORKER_RENDER_OFFER_H
#define GANTRY_WORKER_RENDER_OFFER_H

#include "proto/settings.h"
#include "worker/home.h"
#include "worker/setup.h"

#define OFFER_LABELS 4

struct offer {
    bool serves;        /* it takes frames at all */
    char engines[512];  /* "blender 3.4.1,maya 2024" */
    char plugins[1024]; /* "mtoa 5.5.1" */
    char ram[16], gpus[16];
};

/* Asks the engines, or what is installed beside them, which they are, unless that is known of these very programs (home's file `engines`): some tenths of a second each. */
void offer_open(struct offer *offer, const struct settings *settings, const struct home *home, const struct setup *setup);
/* Its labels, names and values in turn into items (2 * OFFER_LABELS). How many pairs; they borrow. */
int offer_labels(const struct offer *offer, struct str *items);

#endif
