/* A recording as it goes on: connections one after another until its time is over, into one piece. */
#ifndef GANTRY_WORKER_RECORD_SESSION_H
#define GANTRY_WORKER_RECORD_SESSION_H

#include "worker/record/config.h"
#include "worker/record/pieces.h"
#include "worker/record/source.h"
#include "worker/record/timeline.h"
#include "worker/record/writer.h"

struct session {
    const struct record_config *config;
    struct pieces *pieces; /* of earlier attempts; its own comes last */
    uint64_t attempt;
    int progress_fd;
    struct record_report *report;

    uint64_t start_ms;             /* wall clock at the recording's first frame; 0: none came yet, in any attempt */
    int64_t base_us;               /* from there to this attempt's first frame */
    int64_t begun_us, slot_end_us; /* monotonic; slot_end_us 0: its time has not begun */
    bool opened;                   /* its piece is there */
    bool keyed;                    /* a key frame came in this connection */
    int64_t keyless_us;            /* until when this connection may go without one */
    int64_t last_packet_us, told_us, jittered_us, jittered_dts;
    unsigned jitter_frames;  /* of this connection */
    enum record_fault broke; /* why the connection before ended */
    struct source source;
    struct writer writer;
    struct timeline timeline;
    char text[256]; /* why something failed */
};

/* Records until the time is over. FAULT_NONE, or what cut it short, which text says; what came before is in the piece. */
enum record_fault session_record(struct session *session);

#endif
