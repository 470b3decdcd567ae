#include "worker/owed.h"

#include <stdlib.h>

#include "proto/log.h"

#define LOG_AGAIN_MS 2000u             /* lines that the farm has not confirmed after this are sent again */
#define AGAIN_MS 10000u                /* what else the farm has not confirmed after this is sent again */
#define LIST_MAX 1000u                 /* items of one message */
#define RESULT_BYTES ((size_t)1 << 20) /* of one RESULT, about */
#define LINES_MAX 1024u                /* of one LOG */

void owed_clear(struct owed *owed)
{
    free(owed->space);
    *owed = (struct owed){0};
}

static void *owed_space(struct owed *owed, size_t bytes)
{
    if (bytes > owed->size) {
        size_t size = bytes + bytes / 2;
        void *space = realloc(owed->space, size);
        if (!space)
            return NULL;
        owed->space = space;
        owed->size = size;
    }
    return memset(owed->space, 0, bytes);
}

struct rec_lease *owed_leases(struct owed *owed, uint32_t count)
{
    return owed_space(owed, ((size_t)count + 1) * sizeof(struct rec_lease));
}

static bool due(uint64_t sent, uint64_t now_ms)
{
    return sent == 0 || now_ms - sent >= AGAIN_MS;
}

void owed_again(struct run *run)
{
    run->publish_sent = run->result_sent = run->log_sent = 0;
    backlog_again(&run->backlog);
    /* HELLO named it, which accepts it; saying so once more does no harm. */
    run->owes_accept = run->owes_accept || run->state == SLOT_ASSIGNED;
}

/* ---- accept, reject ---- */

static void accept_sent(struct run *run, uint64_t now_ms)
{
    run->owes_accept = false;
    if (run->state != SLOT_ASSIGNED)
        return;
    run->waiting_since = now_ms;
    run_event(run, SLOT_EV_ACCEPT);
}

void owed_send_accepts(struct owed *owed, struct bus_client *client, struct roster *roster, uint64_t now_ms)
{
    struct run *from = roster->first;
    while (from) {
        struct msg_accept accept = {.leases = {owed_leases(owed, LIST_MAX), 0}};
        struct run *run = from;
        for (; accept.leases.items && run && accept.leases.count < LIST_MAX; run = run->next)
            if (run->owes_accept && run->state != SLOT_GONE)
                run_lease(run, &accept.leases.items[accept.leases.count++]);
        if (accept.leases.count == 0 || bus_tell(client, &shape_msg_accept, &accept, NULL) < 0)
            return;
        for (struct run *sent = from; sent != run; sent = sent->next)
            if (sent->owes_accept)
                accept_sent(sent, now_ms);
        from = run;
    }
}

void owed_send_rejects(struct owed *owed, struct bus_client *client, struct roster *roster)
{
    for (struct run *run = roster->first; run; run = run->next) {
        if (!run->owes_reject)
            continue;
        struct msg_reject reject = {.leases = {owed_leases(owed, 1), 1}};
        if (!reject.leases.items)
            return;
        run_lease(run, reject.leases.items);
        reject.leases.items->reason = str_of(run->reject_reason);
        if (bus_tell(client, &shape_msg_reject, &reject, NULL) < 0)
            return;
        run->owes_reject = false;
    }
}

/* ---- progress, log ---- */

void owed_send_progress(struct owed *owed, struct bus_client *client, struct roster *roster)
{
    struct rec_progress *items = owed_space(owed, LIST_MAX * sizeof(*items));
    struct msg_progress message = {.items = {items, 0}};
    if (!items)
        return;
    for (struct run *run = roster->first; run && message.items.count < LIST_MAX; run = run->next) {
        if (!run->progress.changed || run->state != SLOT_RUNNING)
            continue;
        run->progress.changed = false; /* soft: the next one tells more */
        struct rec_progress *item = &items[message.items.count++];
        *item = (struct rec_progress){.run_id = run->id, .attempt = run->attempt, .note = str_of(run->progress.note)};
        if (run->progress.percent >= 0) {
            item->percent = run->progress.percent;
            SET_HAS(item, rec_progress, percent);
        }
    }
    if (message.items.count)
        bus_tell(client, &shape_msg_progress, &message, NULL);
}

bool owed_send_log(struct owed *owed, struct bus_client *client, struct run *run, uint64_t now_ms)
{
    if (run->state == SLOT_GONE || run->state == SLOT_DROPPING)
        return true;
    if (backlog_waiting(&run->backlog)) {
        if (now_ms - run->log_sent < LOG_AGAIN_MS)
            return !run->backlog.unsent;
        backlog_again(&run->backlog);
    }
    if (run->backlog.unsent) {
        struct msg_log message = {.chunk = {.run_id = run->id, .attempt = run->attempt}};
        struct rec_log_line *items = owed_space(owed, LINES_MAX * sizeof(*items));
        if (!items || !backlog_peek(&run->backlog, &message.chunk, items, LINES_MAX) ||
            bus_tell(client, &shape_msg_log, &message, NULL) < 0)
            return false;
        backlog_sent(&run->backlog, &message.chunk);
        run->log_sent = now_ms;
    }
    return !run->backlog.unsent;
}

/* ---- results, publishing ---- */

static bool result_ready(struct owed *owed, struct bus_client *client, struct run *run, uint64_t now_ms)
{
    if (run->state != SLOT_ENDED || run->acked_at || !due(run->result_sent, now_ms))
        return false;
    return owed_send_log(owed, client, run, now_ms);
}

/* Logs first and results behind them: two passes over the same runs, as both need the space. */
void owed_send_results(struct owed *owed, struct bus_client *client, struct roster *roster, uint64_t now_ms)
{
    struct run *from = roster->first;
    while (from) {
        struct run *run = from;
        uint32_t count = 0;
        size_t bytes = 0;
        for (; run && count < LIST_MAX && bytes < RESULT_BYTES; run = run->next) {
            run->result_due = result_ready(owed, client, run, now_ms);
            count += run->result_due;
            bytes += run->result_due ? run->result.len + 256 : 0;
        }
        if (count == 0)
            return;
        struct rec_outcome *items = owed_space(owed, count * sizeof(*items));
        struct msg_result message = {.items = {items, 0}};
        for (struct run *each = from; items && each != run; each = each->next)
            if (each->result_due)
                run_outcome(each, &items[message.items.count++]);
        struct err err = {0};
        if (!items || bus_tell(client, &shape_msg_result, &message, &err) < 0) {
            log_warn("GTY-RUN-RESULT", "count=%u results could not be sent: %s", count, err.text);
            return;
        }
        for (; from != run; from = from->next)
            if (from->result_due)
                from->result_sent = now_ms;
    }
}

void owed_send_publishes(struct bus_client *client, struct roster *roster, uint64_t now_ms)
{
    for (struct run *run = roster->first; run; run = run->next) {
        if (run->state != SLOT_PUBLISHING || !due(run->publish_sent, now_ms))
            continue;
        struct msg_publish publish = {.run_id = run->id};
        run_published(run, &publish.output);
        if (bus_tell(client, &shape_msg_publish, &publish, NULL) < 0)
            return;
        run->publish_sent = now_ms;
    }
}
