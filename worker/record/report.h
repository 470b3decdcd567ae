/* What a recording says of itself: while it goes on, and at its end. */
#ifndef GANTRY_WORKER_RECORD_REPORT_H
#define GANTRY_WORKER_RECORD_REPORT_H

#include "proto/buf.h"

#define REPORT_GAPS 256 /* kept; those beyond are counted */

/* Why a recording, or a connection, came to nothing; its word is the first of an error. */
enum record_fault {
    FAULT_NONE,
    FAULT_CONNECT,     /* nobody answers, or what answers speaks no RTSP */
    FAULT_AUTH,        /* it wants another name or password */
    FAULT_NOTFOUND,    /* no such stream */
    FAULT_READ,        /* it ended, or broke off */
    FAULT_TIMEOUT,     /* nothing came in time */
    FAULT_UNAVAILABLE, /* there is nothing in it that can be recorded */
    FAULT_DISK,        /* no rights where it is to go, say */
    FAULT_FULL,        /* its disk is full, as the gateway calls it, too */
    FAULT_UNMOUNTED,   /* its disk is away; the same */
    FAULT_OUTPUT,      /* that name is taken, or the run's parameters make no sense */
    FAULT_STOPPED,     /* it was told to end */
};

const char *record_fault_word(enum record_fault fault);
/* 4, completed, to 9: as the recorder's surface counts them. */
int record_fault_status(enum record_fault fault);

struct record_gap {
    int64_t at_us, us;
    enum record_fault cause; /* FAULT_STOPPED: an attempt was lost, with its worker */
};

struct record_report {
    int64_t recorded_us; /* without gaps */
    int64_t last_us;     /* of it, the last frame, as long as frames are guessed to be; 0: none came */
    uint64_t bytes, frames, audio_frames, reconnects, lost_packets;
    double jitter_ms, first_frame_ms; /* below 0: not known */
    char video[32], audio[32];        /* names of codecs as they are in the file; "" without */
    unsigned width, height;
    unsigned gap_count; /* all of them */
    struct record_gap gaps[REPORT_GAPS];
    enum record_fault fault; /* it was cut short by */
    char error[256];
};

void report_gap(struct record_report *report, int64_t at_us, int64_t us, enum record_fault cause);
int64_t report_gaps_us(const struct record_report *report);
/* Appends the RESULT's JSON. -1: no memory. */
int report_write(const struct record_report *report, struct buf *out);
/* Appends lines for the progress descriptor. status: 1 connecting, 2 connected, 3 recording. */
int report_progress(const struct record_report *report, int status, int64_t done_us, int64_t due_us, struct buf *out);

#endif
