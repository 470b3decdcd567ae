/* What is known of a video file: filled in by gantry-probe (probe_read.c), carried as a line of JSON, used by scans and transcodes.
 *
 * Texts come from files that anybody may have made: they are cut and cleaned to well-formed UTF-8 here, numbers are finite and not
 * negative. Nothing in it borrows.
 */
#ifndef GANTRY_WORKER_VIDEO_PROBE_H
#define GANTRY_WORKER_VIDEO_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buf.h"

#define PROBE_STREAMS 64
#define PROBE_LINE ((size_t)65536) /* of JSON, at most */
#define PROBE_HASH 16              /* XXH3 128, big-endian */
#define PROBE_ERROR 512

enum probe_kind { PROBE_VIDEO, PROBE_AUDIO, PROBE_SUBTITLE, PROBE_PICTURE, PROBE_ATTACHMENT, PROBE_DATA, PROBE_KINDS };

struct probe_stream {
    unsigned index; /* in the file */
    enum probe_kind kind;
    char codec[32], profile[32], language[16], title[96]; /* codec: ffmpeg's name */
    bool standard, forced;                                /* its disposition: default, forced */
    uint64_t bitrate;                                     /* bit/s; 0: the container does not say */
    double duration;                                      /* s; 0: it does not say */
    /* audio */
    unsigned channels, sample_rate;
    /* video */
    unsigned width, height, depth; /* depth: bits a component */
    double fps;                    /* average; 0 is unknown */
    bool variable;                 /* its frames do not come at one pace */
    bool interlaced;
    int rotation; /* degrees, as a player is to turn it */
    char pixels[32], primaries[24], transfer[24], space[24], range[16];
    bool spherical, stereo, dolby_vision, hdr10_plus;
    char headers[20]; /* hash of what a decoder is told before the first frame; empty: nothing */
    char master[128]; /* mastering display, as x265 takes it; empty: none */
    unsigned cll, fall;
};

struct probe {
    char error[PROBE_ERROR]; /* why it cannot be read; empty: it can, and has a video stream */
    uint64_t size;           /* bytes */
    int64_t mtime_ms;
    bool hashed;
    unsigned char hash[PROBE_HASH]; /* of its size and three samples: who it is, wherever it stands */
    char format[48];
    double duration;  /* s; 0 is unknown */
    int64_t start_us; /* its first time stamp */
    uint64_t bitrate; /* bit/s of the whole file */
    unsigned chapters;
    int video;            /* which of streams is the film; -1: none */
    unsigned count, more; /* streams kept, and left out */
    struct probe_stream streams[PROBE_STREAMS];
};

/* bit/s of the film: what the container says of it, else of the whole file. */
uint64_t probe_video_bitrate(const struct probe *probe);
const struct probe_stream *probe_film(const struct probe *probe); /* NULL if there is none */
unsigned probe_count(const struct probe *probe, enum probe_kind kind);
bool probe_is_pq(const struct probe *probe);  /* its transfer is SMPTE 2084: HDR10 and its kin */
bool probe_is_hdr(const struct probe *probe); /* that, or HLG */

/* Appends the same as a free-form map (msgpack), for the farm to keep. -1: no memory. */
int probe_detail(const struct probe *probe, struct buf *out);
/* Appends one JSON object without a newline. number: which of the asked files it is, from 0. -1: no memory. */
int probe_write(const struct probe *probe, uint64_t number, struct buf *out);
/* Reads what probe_write wrote. -1 with err for anything else. */
int probe_parse(struct str line, struct probe *probe, uint64_t *number, struct err *err);

#endif
