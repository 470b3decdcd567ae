/* POST /runs/{id}/publish: a worker over REST asks to give an output its name.
 *
 * What a worker with a session asks by PUBLISH, under the same rules: (run, attempt) is the lease of a worker over REST, the grant is on disk
 * before the answer leaves, and an attempt has one. Asked again, also with another key or behind a restart, the answer is the same.
 */
#include <stdio.h>

#include "scheduler/publish.h"
#include "scheduler/rest.h"

static int refuse_unheld(const struct core *core, const struct msg_run_publish *publish, struct fault *fault)
{
    char value[24];
    snprintf(value, sizeof value, "%llu", (unsigned long long)publish->run_id);
    if (publish->run_id >= core->next_id[TYPE_RUN])
        return fault_set(fault, ERR_NOT_FOUND, "id", "not_found", str_of(value), "the id of a run", "there is no run %s", value);
    return rest_refuse_stale(publish->run_id, publish->output.attempt, fault);
}

void rest_on_publish(struct core *core, const struct core_call *call)
{
    const struct msg_run_publish *publish = &call->msg->u.run_publish;
    struct lease *lease = index_id(&core->leases, lease_key(publish->run_id, publish->output.attempt));
    struct msg_run_published answer = {.run_id = publish->run_id, .output = publish->output};
    size_t bytes = publish->output.path.len + publish->output.temporary.len + 256;
    struct fault fault;
    if (!lease || lease->state == LEASE_CANCELLED) {
        refuse_unheld(core, publish, &fault);
        goto error;
    }
    if (rest_check_lease(lease, publish->worker_id, publish->whose, &fault) || rest_attend(core, lease->worker, &fault))
        goto error;
    rest_claim(core, lease);
    if (publish_grant(core, lease, &publish->output, bytes, &fault))
        goto error;
    core_answer(core, call, &shape_msg_run_published, &answer);
    return;
error:
    core_refuse(core, call, &fault);
}
