#include "worker/roster.h"

#include <inttypes.h>

#include "proto/log.h"

#define SHORT_MS 1000.0 /* runs that typically take less are asked for in advance */
#define SHORT_SAMPLES 4
#define AHEAD_MAX 256u

void roster_init(struct roster *roster, const struct run_context *context, uint32_t slots)
{
    *roster = (struct roster){.context = *context, .slots = slots, .credit = slots, .typical_ms = -1};
}

void roster_abandon(struct roster *roster)
{
    for (struct run *run = roster->first; run; run = run->next) {
        process_forget(run->process);
        run->process = NULL;
    }
}

void roster_clear(struct roster *roster)
{
    while (roster->first) {
        struct run *run = roster->first;
        roster->first = run->next;
        run_free(run);
    }
    roster->last = NULL;
    roster->count = 0;
}

struct run *roster_find(const struct roster *roster, uint64_t id, uint64_t attempt)
{
    for (struct run *run = roster->first; run; run = run->next)
        if (run->id == id && run->attempt == attempt && run->state != SLOT_GONE)
            return run;
    return NULL;
}

/* Whether this very lease is on its way back already. */
static bool given_back(const struct roster *roster, const struct rec_assignment *assignment)
{
    for (const struct run *run = roster->first; run; run = run->next)
        if (run->id == assignment->run_id && run->attempt == assignment->attempt && run->owes_reject)
            return true;
    return false;
}

static bool older_drop(struct roster *roster, const struct rec_assignment *assignment)
{
    bool newer_held = false;
    for (struct run *run = roster->first; run; run = run->next) {
        if (run->id != assignment->run_id || run->state == SLOT_GONE)
            continue;
        if (run->attempt < assignment->attempt)
            run_event(run, SLOT_EV_DROP);
        else if (run->attempt > assignment->attempt)
            newer_held = true;
    }
    return newer_held;
}

static const char *refusal(const struct roster *roster, const struct rec_assignment *assignment)
{
    const struct run_context *context = &roster->context;
    uint32_t held = 0;
    for (const struct run *run = roster->first; run; run = run->next)
        held += run->state != SLOT_GONE && !run->acked_at && str_eq(run->assignment.spec.executor, assignment->spec.executor);
    return context->refusal ? context->refusal(context->refuser, assignment, held) : NULL;
}

int roster_assign(struct roster *roster, const struct rec_assignment *assignment, struct err *err)
{
    if (roster_find(roster, assignment->run_id, assignment->attempt))
        return 0;
    if (given_back(roster, assignment))
        return err_set(err, ERR_CONFLICT, "it was given back");
    if (older_drop(roster, assignment))
        return err_set(err, ERR_CONFLICT, "a newer attempt is held");
    if (roster->leaving)
        return err_set(err, ERR_UNAVAILABLE, "the worker is draining");
    if (roster->count >= ROSTER_CREDIT_MAX)
        return err_set(err, ERR_LIMIT, "the worker holds %u runs", roster->count);
    const char *why = refusal(roster, assignment);
    if (why)
        return err_set(err, ERR_UNAVAILABLE, "%s", why);
    struct run *run = run_new(&roster->context, assignment, err);
    if (!run)
        return -1;
    if (roster->last)
        roster->last->next = run;
    else
        roster->first = run;
    roster->last = run;
    roster->count++;
    return 0;
}

/* Slots in use. */
static uint32_t roster_busy(const struct roster *roster)
{
    uint32_t busy = 0;
    for (const struct run *run = roster->first; run; run = run->next)
        busy += slot_busy(run->state);
    return busy;
}

uint32_t roster_processes(const struct roster *roster)
{
    uint32_t count = 0;
    for (const struct run *run = roster->first; run; run = run->next)
        count += run->process != NULL;
    return count;
}

uint32_t roster_undone(const struct roster *roster)
{
    uint32_t count = 0;
    for (const struct run *run = roster->first; run; run = run->next)
        count += run->state != SLOT_GONE;
    return count;
}

/* Another attempt of the same run still has a process here: it must be gone before this one begins. */
static bool sibling_lives(const struct roster *roster, const struct run *run)
{
    for (const struct run *other = roster->first; other; other = other->next)
        if (other != run && other->id == run->id && slot_busy(other->state))
            return true;
    return false;
}

void roster_fill(struct roster *roster, uint64_t now_ms)
{
    uint32_t busy = roster_busy(roster);
    for (struct run *run = roster->first; run; run = run->next) {
        if (run->state != SLOT_ACCEPTED || roster->leaving)
            continue;
        if (busy < roster->slots && !sibling_lives(roster, run)) {
            run_begin(run);
            busy += slot_busy(run->state);
        } else if (busy >= roster->slots && now_ms - run->waiting_since >= ROSTER_WAIT_MS) {
            /* It was asked for in advance, and the runs before it turned out long. */
            roster->credit = roster->slots;
            roster->measured = 0;
            run->reject_reason = "the worker's slots are held by longer runs";
            run_event(run, SLOT_EV_LEAVE);
        }
    }
}

void roster_leave(struct roster *roster)
{
    roster->leaving = true;
    for (struct run *run = roster->first; run; run = run->next) {
        if (run->state == SLOT_GONE)
            continue;
        if (!run->reject_reason)
            run->reject_reason = "the worker leaves";
        run_event(run, SLOT_EV_LEAVE);
    }
}

void roster_purge(struct roster *roster, bool (*keep)(const struct run *run))
{
    struct run *kept = NULL;
    for (struct run **at = &roster->first; *at;) {
        struct run *run = *at;
        if (run->state != SLOT_GONE || (keep && keep(run))) {
            kept = run;
            at = &run->next;
            continue;
        }
        *at = run->next;
        roster->count--;
        run_free(run);
    }
    roster->last = kept;
}

void roster_measure(struct roster *roster, const struct run *run)
{
    if (run->outcome == OUTCOME_ABORTED)
        return;
    double ms = (double)run->duration_ms;
    roster->typical_ms = roster->measured == 0 ? ms : roster->typical_ms * 0.8 + ms * 0.2;
    roster->measured += roster->measured < SHORT_SAMPLES;
    uint32_t ahead = 0;
    if (roster->measured >= SHORT_SAMPLES && roster->typical_ms < SHORT_MS) {
        /* Enough to bridge a fifth of a second of waiting for the farm, within reason. */
        double wanted = 200.0 / (roster->typical_ms < 1 ? 1 : roster->typical_ms) * roster->slots;
        ahead = wanted > AHEAD_MAX ? AHEAD_MAX : (uint32_t)wanted;
        ahead = ahead < roster->slots ? roster->slots : ahead;
    }
    uint32_t credit = roster->slots + ahead;
    roster->credit = credit > ROSTER_CREDIT_MAX ? ROSTER_CREDIT_MAX : credit;
}

uint32_t roster_leases(const struct roster *roster, struct rec_lease *items)
{
    uint32_t count = 0;
    for (const struct run *run = roster->first; run; run = run->next) {
        bool held = run->state != SLOT_GONE && run->state != SLOT_DROPPING && !run->acked_at;
        if (held || run->owes_reject)
            run_lease(run, &items[count++]);
    }
    return count;
}
