/* Outputs are published once (rule 6): what an attempt is granted. */
#ifndef GANTRY_SCHEDULER_PUBLISH_H
#define GANTRY_SCHEDULER_PUBLISH_H

#include "scheduler/lease.h"

/* Grants the attempt of a lease its output: the record with the grant is in the forming batch, and room for an answer of so many bytes is
 * reserved. Asked again for the same output: granted as before. -1 with fault and nothing changed: refused (publish_refuses), else it is
 * to be asked again. */
int publish_grant(struct core *core, struct lease *lease, const struct rec_published *output, size_t answer, struct fault *fault);

/* Whether asking again would come to the same; fault->text is one of LEASE_WHY_… then. */
bool publish_refuses(const struct fault *fault);

#endif
