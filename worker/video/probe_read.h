/* Reads a file with libavformat. Only gantry-probe links this: it runs in a process of its own for each file, under limits, as a
 * demuxer that is fed a hostile file may loop, grow or crash. */
#ifndef GANTRY_WORKER_VIDEO_PROBE_READ_H
#define GANTRY_WORKER_VIDEO_PROBE_READ_H

#include "worker/video/probe.h"

/* fd: a regular file, opened for reading; stays open. Nothing else is opened on its behalf. What is wrong with it stands in
 * probe->error. */
struct AVFormatContext;
struct AVIOContext;

void probe_read(int fd, const char *name, struct probe *probe);

/* The same file for who wants something else of it: below 0 it cannot be read, as libavformat says why. probe_close in either case; the file
 * does not move while it is open. */
struct probe_file {
    int fd;
    struct AVFormatContext *format;
    struct AVIOContext *io;
};
int probe_open(struct probe_file *file, int fd, const char *name);
void probe_close(struct probe_file *file);

/* Size, time and the sampled hash alone; false with probe->error. */
bool probe_identity(int fd, struct probe *probe);

#endif
