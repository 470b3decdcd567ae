/* A fragmented MP4 that may end in the middle of a fragment, read up to there. */
#ifndef GANTRY_WORKER_RECORD_PIECE_READ_H
#define GANTRY_WORKER_RECORD_PIECE_READ_H

#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>

#include "proto/str.h"

struct piece_file {
    AVFormatContext *format; /* NULL: it is not open */
    AVBSFContext *filter;    /* NULL: packets come as they are in the file */
    int fd;
    int video, audio; /* streams; -1: none */
    int64_t whole;    /* bytes up to the end of the last fragment that is there whole */
    int64_t at;
};

/* 0; 1: nothing whole is in it; -1 with err. */
int piece_open(struct piece_file *file, const char *path, struct err *err);
/* From here on the video's packets have start codes and parameter sets in front. -1 with err. */
int piece_unpack(struct piece_file *file, struct err *err);
/* The next packet of one of its streams. 0; 1: that was all; -1: no memory. */
int piece_next(struct piece_file *file, AVPacket *packet);
void piece_close(struct piece_file *file);

#endif
