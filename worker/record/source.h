/* A live stream over RTSP, read with deadlines: TCP, and UDP where the server has no TCP. */
#ifndef GANTRY_WORKER_RECORD_SOURCE_H
#define GANTRY_WORKER_RECORD_SOURCE_H

#include <libavformat/avformat.h>

#include "worker/record/report.h"

struct source {
    AVFormatContext *format; /* NULL while there is no connection */
    int video, audio;        /* numbers of its streams; -1: none that can be recorded */
    int64_t deadline_us;     /* monotonic: what waits then gives up */
};

int64_t source_now_us(void); /* monotonic */
/* Set by a signal handler: whatever waits gives up. */
extern volatile int source_stopped;

/* libav's words go to stderr as lines, one a second at most, without what the URL holds of secrets. */
void source_log(const char *url);
/* Packets that libav has said were lost, since the start. */
uint64_t source_lost(void);

/* Connects, until deadline_us. FAULT_NONE, or why not, with text. */
enum record_fault source_open(struct source *source, const char *url, int64_t deadline_us, char *text, size_t size);
/* Waits until it is known what is in the stream; the same. */
enum record_fault source_look(struct source *source, int64_t deadline_us, char *text, size_t size);
/* The next packet, until deadline_us. FAULT_NONE, or why there is none. */
enum record_fault source_read(struct source *source, int64_t deadline_us, AVPacket *packet, char *text, size_t size);
void source_close(struct source *source);

#endif
