/* What the worker says of itself, read from its settings and from the machine. */
#ifndef GANTRY_WORKER_SETUP_H
#define GANTRY_WORKER_SETUP_H

#include <limits.h>

#include "proto/settings.h"
#include "worker/link.h"

#define SETUP_TYPES_MAX 64
#define SETUP_LABELS_MAX 64

struct setup {
    char self[PATH_MAX];       /* path of this program */
    char supervisor[PATH_MAX]; /* gantry-run beside it */
    char hostname[256], ip_address[64];
    uint32_t slots;
    struct str types[SETUP_TYPES_MAX], executors[SETUP_TYPES_MAX];
    uint32_t type_count, executor_count;
    struct buf labels; /* a packed map */
};

/* Texts borrow from the settings. -1 with err when one of them makes no sense. setup_clear afterwards in either case. */
int setup_read(struct setup *setup, const struct settings *settings, struct err *err);
void setup_clear(struct setup *setup);

/* Splits `a,b,c` (blanks around names are dropped); answers the count, -1 with err when there are over max, or an empty one. */
int setup_split(const char *text, struct str *items, uint32_t max, struct err *err);
/* Reads `name=value,name=value`: names and values in turn into items, room for SETUP_LABELS_MAX pairs. How many pairs; -1 with err. */
int setup_label_items(const char *text, struct str *items, struct err *err);
/* Packs them as a map. */
int setup_labels(const char *text, struct buf *out, struct err *err);

#endif
