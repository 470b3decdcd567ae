/* The audit log, as far as the gateway has a part in it: it says who asks for a write, and notes writes that are refused and that the
 * scheduler has made no line of (scheduler/audit.h): those that the gateway refuses by itself, and "come back later" for there is too much.
 *
 * Notes are few, however many are refused. The first refusal of its kind (who asks, and why not) is noted at once. While more of them
 * come there is a line after a while, with the newest and the number of the others, then one after twice as long, up to a minute; so
 * nothing is refused uncounted. There is room for AUDIT_KINDS kinds at a time; those beyond share one.
 */
#ifndef GANTRY_GATEWAY_AUDIT_H
#define GANTRY_GATEWAY_AUDIT_H

#include "gateway/request.h"

#define AUDIT_KINDS 32

struct audit {
    bool enabled;
    struct audit_notes *notes;
};

int audit_open(struct gateway *gateway, struct err *err); /* -1 with err */
/* Notes what is not noted yet; before the clients of the bus go. */
void audit_close(struct gateway *gateway);

/* Says who asks in the key of a write; borrows from the request. */
void audit_sign(const struct request *request, struct rec_idem *idem);
/* This one is no act but a question or a sign of life: it has no line, nor has its refusal from here on. */
void audit_unsign(struct request *request, struct rec_idem *idem);

/* What the scheduler has refused with this code it has a line of, unless it is one of those it keeps none of. */
void audit_told(struct request *request, uint64_t code);
/* A request is refused: notes it when it is a write that has no line. */
void audit_refused(const struct request *request, enum problem_kind kind);

#endif
