/* Audio that MP4 does not hold (G.711, and other plain samples) as AAC. */
#ifndef GANTRY_WORKER_RECORD_SOUND_H
#define GANTRY_WORKER_RECORD_SOUND_H

#include <libavcodec/avcodec.h>
#include <stdbool.h>

struct sound; /* a decoder, samples in between, and an encoder */

/* Whether it can be recorded, as it is or as AAC. */
bool sound_holds(const AVCodecParameters *par);
/* Whether it goes into MP4 as it is. */
bool sound_copies(const AVCodecParameters *par);

/* NULL: no memory, or no such decoder. out: new parameters of what comes out; packets have the times of 1/rate. */
struct sound *sound_new(const AVCodecParameters *in, AVCodecParameters *out);
void sound_free(struct sound *sound); /* takes NULL */

/* Takes a packet whose first sample is heard at `at` (in 1/rate). put is called with each packet that comes of it, which it may change but not
 * keep. -1: no memory; what cannot be decoded is left out. */
typedef int sound_put(void *self, AVPacket *packet);
int sound_feed(struct sound *sound, const AVPacket *packet, int64_t at, sound_put *put, void *self);
/* What is still in it comes out; nothing is fed to it afterwards. */
int sound_end(struct sound *sound, sound_put *put, void *self);

#endif
