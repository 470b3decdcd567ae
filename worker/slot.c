#include "worker/slot.h"

#define ON(event, action, next) [SLOT_EV_##event] = {SLOT_##action, SLOT_##next}

/* Whatever way a stopped or dropped run's process ends, it comes to the same. */
#define ANY_END(action, next) ON(START, action, next), ON(DONE, action, next), ON(OUTPUT, action, next), ON(BAD, action, next)

static const struct slot_step table[SLOT_STATES][SLOT_EVENTS] = {
    [SLOT_ASSIGNED] = {ON(ACCEPT, NOTHING, ACCEPTED), ON(CANCEL, ABORT, ENDED), ON(DROP, FREE, GONE), ON(LEAVE, REJECT, GONE)},
    [SLOT_ACCEPTED] = {ON(CHECK, CHECK, CHECKING), ON(START, START, STARTING), ON(BAD, REPORT, ENDED), ON(CANCEL, ABORT, ENDED),
                       ON(UNABLE, REJECT, GONE), ON(DROP, FREE, GONE), ON(LEAVE, REJECT, GONE)},
    [SLOT_CHECKING] = {ON(START, START, STARTING), ON(DONE, REPORT, ENDED), ON(OUTPUT, ASK, PUBLISHING), ON(BAD, REPORT, ENDED),
                       ON(UNABLE, REJECT, GONE), ON(UP, NOTHING, CHECKING), ON(CANCEL, STOP, STOPPING), ON(DROP, KILL, DROPPING),
                       ON(LEAVE, STOP, DROPPING)},
    [SLOT_STARTING] = {ON(UP, NOTHING, RUNNING), ON(BAD, REPORT, ENDED), ON(UNABLE, REJECT, GONE), ON(CANCEL, STOP, STOPPING),
                       ON(DROP, KILL, DROPPING), ON(LEAVE, STOP, DROPPING)},
    [SLOT_RUNNING] = {ON(DONE, REPORT, ENDED), ON(OUTPUT, VERIFY, VERIFYING), ON(BAD, REPORT, ENDED), ON(CANCEL, STOP, STOPPING),
                      ON(DROP, KILL, DROPPING), ON(LEAVE, STOP, DROPPING)},
    [SLOT_VERIFYING] = {ON(UP, NOTHING, VERIFYING), ON(OUTPUT, ASK, PUBLISHING), ON(BAD, REPORT, ENDED),
                        ON(CANCEL, STOP, STOPPING), ON(DROP, KILL, DROPPING), ON(LEAVE, STOP, DROPPING)},
    [SLOT_PUBLISHING] = {ON(GRANT, NAME, NAMING), ON(BAD, REPORT, ENDED), ON(CANCEL, ABORT, ENDED), ON(DROP, FREE, GONE),
                         ON(LEAVE, FREE, GONE)},
    /* The grant is committed: the name is given, whatever comes. */
    [SLOT_NAMING] = {ON(UP, NOTHING, NAMING), ON(DONE, REPORT, ENDED), ON(BAD, REPORT, ENDED), ON(GRANT, NOTHING, NAMING),
                     ON(CANCEL, NOTHING, NAMING), ON(DROP, NOTHING, DROPPING), ON(LEAVE, NOTHING, NAMING)},
    [SLOT_STOPPING] = {ON(UP, NOTHING, STOPPING), ANY_END(ABORT, ENDED), ON(CANCEL, NOTHING, STOPPING), ON(DROP, KILL, DROPPING),
                       ON(LEAVE, NOTHING, STOPPING)},
    [SLOT_DROPPING] = {ON(UP, NOTHING, DROPPING), ANY_END(FREE, GONE), ON(CANCEL, NOTHING, DROPPING), ON(DROP, NOTHING, DROPPING),
                       ON(LEAVE, NOTHING, DROPPING)},
    [SLOT_ENDED] = {ON(GRANT, NOTHING, ENDED), ON(CANCEL, NOTHING, ENDED), ON(DROP, FREE, GONE), ON(LEAVE, NOTHING, ENDED),
                    ON(ACK, FREE, GONE)},
};

struct slot_step slot_step(enum slot_state state, enum slot_event event)
{
    struct slot_step step = table[state][event];
    if (step.action == SLOT_ILLEGAL)
        step.next = state;
    return step;
}

const char *slot_state_name(enum slot_state state)
{
    static const char *const names[] = {"assigned",   "accepted", "checking", "starting", "running", "verifying",
                                        "publishing", "naming",   "stopping", "dropping", "ended",   "gone"};
    return state < SLOT_STATES ? names[state] : "?";
}

const char *slot_event_name(enum slot_event event)
{
    static const char *const names[] = {"accept", "check", "start",  "up",   "done",  "output", "bad",
                                        "unable", "grant", "cancel", "drop", "leave", "ack"};
    return event < SLOT_EVENTS ? names[event] : "?";
}

bool slot_busy(enum slot_state state)
{
    return state >= SLOT_CHECKING && state <= SLOT_DROPPING;
}
