/* The audit log, as far as the gateway has a part in it: it says who asks for a write, and notes writes that it refuses by itself for
 * want of a credential or a role. The lines are made where the write is decided (scheduler/audit.h). */
#ifndef GANTRY_GATEWAY_AUDIT_H
#define GANTRY_GATEWAY_AUDIT_H

#include "gateway/request.h"

struct audit_notes { /* zeroed: none yet */
    uint64_t next_ms, untold;
};

struct audit {
    bool enabled;
    struct audit_notes strangers, known;
};

/* Says who asks in the key of a write; borrows from the request. */
void audit_sign(const struct request *request, struct rec_idem *idem);
/* A request was refused, as nobody knows who asks (stranger) or for want of a role. Of writes one note leaves in a while, with the number of
 * the others. */
void audit_refused(const struct request *request, bool stranger);

#endif
