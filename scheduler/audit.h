/* The audit log: a line for each write over HTTP, in the batch of its effect, so that nothing is done without its line.
 *
 * A command says who asks (rec_idem.by), which the gateway fills in and nobody else may. Refusals that are remembered with the command's
 * key have a line too; "come back later" has none, as nothing has changed and the same key will be tried again; and a repeat that is
 * answered with its first answer did nothing. What the gateway refuses by itself, and what was to come back later, it notes a few
 * times a minute at most (AUDIT_NOTE, gateway/audit.h), so that strangers do not fill the disk; and the gantry command notes what it does to
 * the farm's files. Bodies and secrets are never in a line.
 *
 * The store keeps the newest lines (store/audit.h); here is only the next id.
 */
#ifndef GANTRY_SCHEDULER_AUDIT_H
#define GANTRY_SCHEDULER_AUDIT_H

#include "scheduler/core_state.h"

#define AUDIT_OPS 1

/* Who asks for this command; NULL: nobody says so, or nobody whose word is taken for it. */
const struct rec_audit_by *audit_asker(const struct core_call *call, const struct rec_idem *idem);

/* Bytes of the line that the command being handled will have; 0: it will have none. */
size_t audit_bytes(const struct core *core);
/* Appends it, for this answer. Room has been reserved. */
void audit_answer(struct core *core, const struct core_call *call, const struct shape *shape, const void *value);

core_handler audit_on_note;

#endif
