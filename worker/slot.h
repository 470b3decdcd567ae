/* A run's life on the worker, as a table: in this state, when that happens, do this and be in that state. */
#ifndef GANTRY_WORKER_SLOT_H
#define GANTRY_WORKER_SLOT_H

#include <stdbool.h>

enum slot_state {
    SLOT_ASSIGNED,   /* came with ASSIGN */
    SLOT_ACCEPTED,   /* said so; waits for a free slot */
    SLOT_CHECKING,   /* a process looks whether its output stands already */
    SLOT_STARTING,   /* its process is being started */
    SLOT_RUNNING,    /* its program runs */
    SLOT_VERIFYING,  /* it ended well; a process flushes and reads the output */
    SLOT_PUBLISHING, /* waits for the grant */
    SLOT_NAMING,     /* granted; a process gives the output its name */
    SLOT_STOPPING,   /* cancelled; waits for its process to end */
    SLOT_DROPPING,   /* no longer ours; waits for its process to end */
    SLOT_ENDED,      /* the result waits for its acknowledgement */
    SLOT_GONE,       /* nothing is left to do */
    SLOT_STATES
};

enum slot_event {
    SLOT_EV_ACCEPT, /* it was accepted */
    SLOT_EV_CHECK,  /* a slot is free, and it has an output to be looked for */
    SLOT_EV_START,  /* a slot is free, or nothing stands at the output's name: go */
    SLOT_EV_UP,     /* the program runs */
    SLOT_EV_DONE,   /* its process ended well, and that was the last of it */
    SLOT_EV_OUTPUT, /* its process ended well, and the output is the next step's */
    SLOT_EV_BAD,    /* its process failed, or could not be started */
    SLOT_EV_UNABLE, /* its process could not be started, and that is the worker's fault: its disk is full, say */
    SLOT_EV_GRANT,  /* PUBLISH_GRANT */
    SLOT_EV_CANCEL, /* CANCEL */
    SLOT_EV_DROP,   /* REFUSED, or in a drop list */
    SLOT_EV_LEAVE,  /* the worker is leaving: back to the queue */
    SLOT_EV_ACK,    /* RESULT_ACK */
    SLOT_EVENTS
};

enum slot_action {
    SLOT_ILLEGAL, /* a hole in the table: it cannot happen, and is ignored with a log line */
    SLOT_NOTHING,
    SLOT_CHECK,  /* start the process that looks for the output */
    SLOT_START,  /* start the program */
    SLOT_VERIFY, /* start the process that verifies the output */
    SLOT_ASK,    /* send PUBLISH */
    SLOT_NAME,   /* start the process that names the output */
    SLOT_STOP,   /* TERM, and KILL after the grace */
    SLOT_KILL,
    SLOT_REPORT, /* send the RESULT */
    SLOT_ABORT,  /* send a RESULT of outcome aborted */
    SLOT_REJECT, /* send REJECT, then forget it */
    SLOT_FREE,   /* forget it */
};

struct slot_step {
    enum slot_action action;
    enum slot_state next;
};

struct slot_step slot_step(enum slot_state state, enum slot_event event);
const char *slot_state_name(enum slot_state state);
const char *slot_event_name(enum slot_event event);
/* It holds one of the worker's slots: something of it runs, or is about to. */
bool slot_busy(enum slot_state state);

#endif
