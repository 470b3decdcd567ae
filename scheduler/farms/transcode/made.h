/* What the farm has made of a video: sizes and hashes of its newest results, by which one that stands at the name of a newer one is known to
 * be no stranger's file. */
#ifndef GANTRY_SCHEDULER_FARMS_MADE_H
#define GANTRY_SCHEDULER_FARMS_MADE_H

#include "scheduler/farms/transcode/video.h"

#define MADE_ITEM 24u /* bytes: size, hash */
#define MADE_MAX 4u
#define MADE_TEXT (MADE_MAX * 64) /* room for made_text */

/* Puts one in front; beyond MADE_MAX the oldest goes. -1 when out of memory, nothing changed. */
int made_add(struct transcode *farm, struct video *video, uint64_t size, struct str hash);

/* As workers are told: SIZE-HASH,SIZE-HASH…, the hash in hexadecimal. Answers out. */
const char *made_text(struct str made, char out[MADE_TEXT]);

core_handler transcode_on_publish;

#endif
