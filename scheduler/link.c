/* After a reconnect nothing is written until the store has confirmed our epoch and said what it has applied: what was sent on
 * the old connection may be lost, or not. */
#include "scheduler/link.h"

#include <stdlib.h>

#include "proto/log.h"
#include "proto/ship.h"

#define CLAIM_DEADLINE_MS 10000
#define CLAIM_PAUSE_MS 200

struct link {
    struct loop *loop;
    struct bus_client *client;
    struct link_port port;
    struct recover *recover;
    struct journal *journal; /* NULL until attached */
    uint64_t epoch;
    uint64_t claimed; /* the open claim; 0: none */
    int timer;        /* made ahead: a claim that failed comes again, memory or not */
};

static void claim_ask(void *arg);

static void claim_later(struct link *link)
{
    loop_set(link->loop, link->timer, CLAIM_PAUSE_MS, 0);
}

/* One row a message of the store's; the last has handle NULL. */
struct link_route {
    uint16_t id;
    void (*handle)(struct link *link, const struct msg *msg);
    const char *doc;
};

/* False when there is no row for it. */
static bool link_dispatch(struct link *link, const struct link_route *routes, const struct msg *msg)
{
    for (const struct link_route *route = routes; route->handle != NULL; route++) {
        if (route->id == msg->shape->id) {
            route->handle(link, msg);
            return true;
        }
    }
    return false;
}

static void on_grant(struct link *link, const struct msg *msg)
{
    const struct msg_epoch_grant *grant = &msg->u.epoch_grant;

    if (grant->epoch != link->epoch) {
        link->port.stale(link->port.self, grant->epoch);
        return;
    }
    log_info("GTY-STORE-BACK", "epoch=%lu applied=%lu", (unsigned long)link->epoch, (unsigned long)grant->applied);
    journal_reconnected(link->journal, grant->applied);
}

static void on_stale(struct link *link, const struct msg *msg)
{
    link->port.stale(link->port.self, msg->u.epoch_stale.epoch);
}

static const struct link_route claim_routes[] = {
    {MSG_EPOCH_GRANT, on_grant, "our epoch still holds"},
    {MSG_EPOCH_STALE, on_stale, "another scheduler has taken over"},
    {0, NULL, NULL},
};

static void on_claim(void *arg, const struct msg *msg, const struct err *err)
{
    struct link *link = arg;

    link->claimed = 0;
    if (msg == NULL || !link_dispatch(link, claim_routes, msg)) {
        log_warn("GTY-STORE-CLAIM", "epoch=%lu not confirmed: %s", (unsigned long)link->epoch,
                 msg != NULL ? "an error" : err->text);
        claim_later(link);
    }
}

static void claim_ask(void *arg)
{
    struct link *link = arg;
    struct msg_epoch_claim claim = {.epoch = link->epoch};

    if (link->claimed == 0 && bus_client_is_up(link->client)) {
        link->claimed = bus_ask(link->client, &shape_msg_epoch_claim, &claim, (struct str){0}, CLAIM_DEADLINE_MS, on_claim, link);
    }
}

static void on_up(void *self)
{
    struct link *link = self;

    if (link->journal != NULL) {
        claim_ask(link);
    }
}

static void on_down(void *self)
{
    struct link *link = self;

    if (link->claimed != 0) {
        bus_forget(link->client, link->claimed);
        link->claimed = 0;
    }
    if (link->journal != NULL) {
        log_warn("GTY-STORE-AWAY", "epoch=%lu nothing new is dispatched until it is back", (unsigned long)link->epoch);
        journal_disconnected(link->journal);
    } else if (link->recover != NULL) {
        recover_again(link->recover);
    }
}

static void on_ack(struct link *link, const struct msg *msg)
{
    journal_acked(link->journal, msg->u.batch_ack.epoch, msg->u.batch_ack.seq);
}

static void on_resume(struct link *link, const struct msg *msg)
{
    if (msg->u.batch_resume.epoch == link->epoch) {
        journal_resume(link->journal, msg->u.batch_resume.seq);
    }
}

static void on_refused(struct link *link, const struct msg *msg)
{
    if (msg->u.batch_refused.epoch == link->epoch) {
        journal_refused(link->journal, msg->u.batch_refused.seq, msg->u.batch_refused.text);
    }
}

static void on_error(struct link *link, const struct msg *msg)
{
    struct str text = msg->u.error.text;
    struct err err = {0};

    if (msg->u.error.code == ERR_NO_MEMORY) { /* it could not even be read: the store says what it has, and gets the rest again */
        log_warn("GTY-STORE-MEMORY", "the store has no memory for a batch: %.*s", (int)text.len, text.len > 0 ? text.ptr : "");
        claim_later(link);
        return;
    }
    err_set(&err, ERR_INTERNAL, "the store refuses a batch for good: %.*s", (int)text.len, text.len > 0 ? text.ptr : "");
    link->port.broken(link->port.self, &err);
}

static const struct link_route batch_routes[] = {
    {MSG_BATCH_ACK, on_ack, "on disk"},
    {MSG_BATCH_RESUME, on_resume, "a gap: send again from here"},
    {MSG_BATCH_REFUSED, on_refused, "not written, send it again later"},
    {MSG_EPOCH_STALE, on_stale, "another scheduler has taken over"},
    {MSG_ERROR, on_error, "cannot ever be written"},
    {0, NULL, NULL},
};

static void on_message(void *self, const struct msg *msg, struct str frame)
{
    struct link *link = self;

    (void)frame;
    if (link->journal == NULL) {
        return; /* about batches of a scheduler before us */
    }
    if (!link_dispatch(link, batch_routes, msg)) {
        log_warn("GTY-STORE-MESSAGE", "message=%s not expected from the store", msg->shape->name);
    }
}

struct link *link_new(struct loop *loop, const char *endpoint, const struct bus_curve *curve, const struct link_port *port,
                      struct err *err)
{
    static const struct bus_client_events events = {.up = on_up, .down = on_down, .message = on_message};
    struct link *link = calloc(1, sizeof *link);

    if (link == NULL) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    *link = (struct link){.loop = loop, .port = *port};
    link->timer = loop_timer(loop, claim_ask, link);
    if (link->timer < 0) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        goto error;
    }
    link->client = bus_client_new(loop, endpoint, curve, &events, link, err);
    if (link->client == NULL) {
        goto error;
    }
    return link;
error:
    link_free(link);
    return NULL;
}

void link_free(struct link *link)
{
    if (link == NULL) {
        return;
    }
    loop_cancel(link->loop, link->timer);
    recover_free(link->recover);
    bus_client_free(link->client);
    free(link);
}

int link_recover(struct link *link, const struct recover_port *port, struct err *err)
{
    link->recover = recover_new(link->loop, link->client, port);
    return link->recover != NULL ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory");
}

void link_attach(struct link *link, struct journal *journal, uint64_t epoch)
{
    link->journal = journal;
    link->epoch = epoch;
}

bool link_ask_lines(struct link *link, const struct msg_log_lines *lines, bus_reply *reply, void *arg)
{
    if (!bus_client_is_up(link->client)) {
        return false;
    }
    bus_ask(link->client, &shape_msg_log_lines, lines, (struct str){0}, SHIP_DEADLINE_MS, reply, arg);
    return true;
}

int link_send(struct link *link, struct str frame)
{
    return bus_tell_bytes(link->client, frame, NULL);
}
