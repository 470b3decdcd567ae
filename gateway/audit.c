#include "gateway/audit.h"

#include "gateway/ask.h"
#include "gateway/connection.h"
#include "gateway/gateway.h"
#include "proto/clock.h"
#include "proto/log.h"

#define STRANGERS_MS 10000 /* between notes on those who are nobody: anybody may send as many as they like */
#define KNOWN_MS 1000      /* and on those with too small a role */

static void by_fill(const struct request *request, struct rec_audit_by *by)
{
    static const uint8_t kinds[] = {[ACTOR_NOBODY] = AUDIT_NOBODY,
                                    [ACTOR_OPEN] = AUDIT_LOCAL,
                                    [ACTOR_NETWORK] = AUDIT_NETWORK,
                                    [ACTOR_KEY] = AUDIT_KEY,
                                    [ACTOR_TOKEN] = AUDIT_TOKEN};
    const struct actor *actor = &request->actor;
    const struct field *path = shape_field(&shape_rec_audit_by, STR_LIT("path"));

    *by = (struct rec_audit_by){.kind = kinds[actor->kind],
                                .who = str_of(actor->name),
                                .address = str_of(request->connection->address),
                                .method = str_of(method_name(request->method)),
                                .path = request->uri.path};
    if (actor->kind == ACTOR_OPEN)
        by->who = STR_LIT("local");
    else if (actor->kind == ACTOR_NETWORK)
        by->who = STR_LIT("network");
    if (by->path.len > path->high)
        by->path = str_cut(by->path, (size_t)path->high);
}

void audit_sign(const struct request *request, struct rec_idem *idem)
{
    if (!request->gateway->audit.enabled || !request->connection)
        return;
    by_fill(request, &idem->by);
    SET_HAS(idem, rec_idem, by);
}

void audit_refused(const struct request *request, bool stranger)
{
    struct audit *audit = &request->gateway->audit;
    struct audit_notes *notes = stranger ? &audit->strangers : &audit->known;
    uint64_t now_ms = clock_mono_ms();
    struct msg_audit_note note = {.request_id = str_of(request->rid), .more = notes->untold};
    struct err err = {0};

    if (!audit->enabled || request->method == METHOD_GET || request->method == METHOD_OPTIONS)
        return;
    if (now_ms < notes->next_ms) {
        notes->untold++;
        return;
    }
    by_fill(request, &note.by);
    if (bus_tell(ask_client(request->gateway->ask, ASK_SCHEDULER), &shape_msg_audit_note, &note, &err) != 0) {
        notes->untold++; /* told with the next one that finds the scheduler */
        log_debug("GTY-AUDIT-UNTOLD", "%s", err.text);
        return;
    }
    notes->untold = 0;
    notes->next_ms = now_ms + (stranger ? STRANGERS_MS : KNOWN_MS);
}
