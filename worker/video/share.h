/* Whether workers can join one another's segments: they have the folder of results in common, and make them with the same programs. */
#ifndef GANTRY_WORKER_VIDEO_SHARE_H
#define GANTRY_WORKER_VIDEO_SHARE_H

#include "proto/settings.h"

#define SHARE_TEXT 160
#define SHARE_MARK                                                                                                               \
    ".gantry.id" /* in the folder of results, by the first worker that comes: a link to a random text, the same for all */

/* The label transcode.joins into out: equal texts, and only these, stand for workers that may take part in one video. Empty: this worker may not,
 * as the folder cannot be written to. */
void share_label(const struct settings *settings, char out[SHARE_TEXT]);

/* Whether transcode.pools leaves libx265 no thread: it makes no wavefronts then, which its headers say, and decoders of others' segments take
 * one header for all. Such a worker has no label, whatever share_label says; the setting can be reloaded. */
bool share_apart(const struct settings *settings);

#endif
