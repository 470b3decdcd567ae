/* A fragmented MP4, written as a stream comes: what has been written can be played at every moment, whatever happens to who writes it. */
#ifndef GANTRY_WORKER_RECORD_WRITER_H
#define GANTRY_WORKER_RECORD_WRITER_H

#include <libavformat/avformat.h>

#include "proto/str.h"
#include "worker/record/sound.h"

#define WRITER_FRAGMENT_US 500000 /* a fragment is not longer, so that no more than that is lost */

struct writer_track {
    int number;            /* of the stream in the file; -1: there is none */
    enum AVCodecID source; /* what goes into it */
    int64_t last;          /* dts of its last packet, in its own units */
    AVPacket *held;        /* that packet: it is written when it is known how long it lasts; NULL: none came yet */
};

struct writer {
    AVFormatContext *mux; /* NULL: nothing is open */
    int fd;
    struct writer_track video, audio;
    struct sound *sound; /* NULL: audio goes in as it is */
    AVPacket *packet;
    uint8_t *headers; /* parameter sets of the video, as the file's own */
    int headers_len;
    bool renew;          /* put the headers before the next key frame, as they are others than the file's */
    int64_t fragment_us; /* where the fragment that is being made begins; < 0: none is */
};

/* Makes the file, new. audio may be NULL. -1 with err (ERR_IO: the disk). */
int writer_open(struct writer *writer, const char *path, const AVStream *video, const AVStream *audio, struct err *err);
/* A new connection's streams are to go on in it. -1 with err: they are others, and cannot. */
int writer_resume(struct writer *writer, const AVStream *video, const AVStream *audio, struct err *err);
/* Puts a packet into it, at the timeline's dts and pts, lasting step (µs each). -1 with err. */
int writer_video(struct writer *writer, const AVPacket *packet, int64_t dts, int64_t pts, int64_t step, struct err *err);
int writer_audio(struct writer *writer, const AVPacket *packet, int64_t dts, struct err *err);
/* Ends the fragment: all that came is in the file then. -1 with err. */
int writer_flush(struct writer *writer, struct err *err);
/* The same, and closes it. Takes one that is not open. */
int writer_close(struct writer *writer, struct err *err);

#endif
