/* The claim, the lanes, and their reports.
 *
 * Invariants: nothing is sent without the claim; one report is under way at a time, and what it does not answer for certain is
 * forgotten here, with all lanes: the scheduler knows the cursors, and what it does not know of is sent again.
 */
#include "gateway/hooks.h"

#include <stdlib.h>

#include "gateway/ask.h"
#include "gateway/courier.h"
#include "gateway/hook_lane.h"
#include "proto/clock.h"
#include "proto/ident.h"
#include "proto/log.h"

#define CLAIM_EVERY_MS 1000
#define CLAIM_IDLE_MS 5000  /* while it is ours and there are no webhooks */
#define CLAIM_HOLDS_MS 4000 /* the scheduler's 5 s, less what its answer may take */
#define CLAIM_DEADLINE_MS 2000
#define REPORT_DEADLINE_MS 30000
#define REPORT_RESULTS 64 /* at once */
#define TICK_MS 100

struct hooks {
    struct gateway *gateway;
    struct courier *courier;
    struct targets targets;
    struct lane_port port;
    struct lane *lanes;
    char boot[33];
    int claim_timer, tick_timer;
    uint64_t version;       /* of the lanes; 0: none */
    uint64_t granted_until; /* mono */
    uint64_t claimed_ms;    /* when the question under way was asked */
    bool claiming, claim_again, reporting, quiet;
    bool ours; /* the claim was, when it was last asked for */
    uint64_t claim_corr, report_corr;
};

static void claim(struct hooks *hooks);

static struct bus_client *scheduler(const struct hooks *hooks)
{
    return ask_client(hooks->gateway->ask, ASK_SCHEDULER);
}

static bool may_send(void *self)
{
    const struct hooks *hooks = self;
    return !hooks->quiet && clock_mono_ms() < hooks->granted_until;
}

/* ---- lanes ---- */

static void lanes_drop(struct hooks *hooks)
{
    while (hooks->lanes) {
        struct lane *lane = hooks->lanes;
        hooks->lanes = lane->next;
        lane_free(lane);
    }
    if (hooks->reporting)
        bus_forget(scheduler(hooks), hooks->report_corr);
    hooks->reporting = false;
    hooks->version = 0;
    loop_unset(hooks->gateway->loop, hooks->tick_timer);
}

static struct lane *lane_find(struct hooks *hooks, uint64_t id)
{
    struct lane *lane = hooks->lanes;

    while (lane && lane->id != id)
        lane = lane->next;
    return lane;
}

static int lane_take(struct hooks *hooks, const struct rec_webhook *webhook)
{
    struct lane *lane = lane_find(hooks, webhook->id);

    if (lane) {
        lane->kept = true;
        return lane_update(lane, webhook);
    }
    lane = lane_new(&hooks->port, webhook);
    if (!lane)
        return -1;
    lane->kept = true;
    lane->next = hooks->lanes;
    hooks->lanes = lane;
    return 0;
}

/* Makes the lanes what the list says; -1 when memory is short: the list is asked for again. */
static int lanes_take(struct hooks *hooks, const struct rec_webhook_list *webhooks)
{
    for (struct lane *lane = hooks->lanes; lane; lane = lane->next)
        lane->kept = false;
    for (uint32_t i = 0; i < webhooks->count; i++) {
        if (lane_take(hooks, &webhooks->items[i]) != 0)
            return -1;
    }
    for (struct lane **at = &hooks->lanes; *at;) {
        struct lane *lane = *at;
        if (lane->kept) {
            at = &lane->next;
            continue;
        }
        *at = lane->next;
        lane_free(lane);
    }
    if (hooks->lanes)
        loop_set(hooks->gateway->loop, hooks->tick_timer, TICK_MS, TICK_MS);
    else
        loop_unset(hooks->gateway->loop, hooks->tick_timer);
    return 0;
}

/* ---- reports ---- */

static void report(struct hooks *hooks);

/* Nothing has changed, and the same may be taken in a moment: the store is away. */
static bool refused_for_now(const struct msg *msg, const struct err *err)
{
    uint64_t code = msg && msg->shape->id == MSG_ERROR ? msg->u.error.code : msg || !err ? 0 : (uint64_t)err->code;
    return code == ERR_UNAVAILABLE || code == ERR_LIMIT || code == ERR_NO_MEMORY;
}

static void on_reported(void *arg, const struct msg *msg, const struct err *err)
{
    struct hooks *hooks = arg;

    hooks->reporting = false;
    if (refused_for_now(msg, err)) {
        for (struct lane *lane = hooks->lanes; lane; lane = lane->next)
            lane_unreported(lane);
        return; /* the next tick reports it again */
    }
    if (!msg || msg->shape->id != MSG_WEBHOOK_REPORTED) {
        struct str why = msg && msg->shape->id == MSG_ERROR ? msg->u.error.text : STR_LIT("nobody answers");
        log_info("GTY-WEBHOOK-AGAIN", "%.*s: what was not reported is sent again", (int)why.len, why.ptr ? why.ptr : "");
        hooks->granted_until = 0;
        lanes_drop(hooks);
        return;
    }
    const struct uint_list *pending = &msg->u.webhook_reported.pending;
    for (struct lane *lane = hooks->lanes; lane; lane = lane->next) {
        if (!lane->in_report)
            continue;
        lane_reported(lane, lane->report_at < pending->count ? pending->items[lane->report_at] : lane->pending);
        lane_go(lane);
    }
    report(hooks);
}

static void report(struct hooks *hooks)
{
    struct rec_webhook_report *rows = NULL;
    struct msg_webhook_report message = {.boot = str_of(hooks->boot)};
    uint32_t left = REPORT_RESULTS, count = 0;

    if (hooks->reporting || !hooks->lanes || clock_mono_ms() >= hooks->granted_until)
        return;
    struct arena *arena = arena_new((size_t)8 << 20);
    for (const struct lane *lane = hooks->lanes; lane; lane = lane->next)
        count++;
    if (arena)
        rows = arena_alloc(arena, count * sizeof *rows);
    message.reports.items = rows;
    for (struct lane *lane = hooks->lanes; rows && lane && left > 0; lane = lane->next) {
        if (lane_report(lane, arena, &left, &rows[message.reports.count]))
            lane->report_at = message.reports.count++;
    }
    if (message.reports.count > 0) {
        hooks->reporting = true;
        uint64_t corr = bus_ask(scheduler(hooks), &shape_msg_webhook_report, &message, (struct str){NULL, 0}, REPORT_DEADLINE_MS,
                                on_reported, hooks);
        if (hooks->reporting)
            hooks->report_corr = corr;
        /* Who had no room in it is the first in the next one. */
        struct lane *front = hooks->lanes;
        if (left == 0 && front && front->next) {
            struct lane *last = front;
            while (last->next)
                last = last->next;
            hooks->lanes = front->next;
            last->next = front;
            front->next = NULL;
        }
    }
    arena_free(arena);
}

static void on_job_done(void *self)
{
    report(self);
}

static void on_tick(void *arg)
{
    struct hooks *hooks = arg;

    for (struct lane *lane = hooks->lanes; lane; lane = lane->next)
        lane_go(lane);
    report(hooks);
}

/* ---- the claim ---- */

static void on_work(void *arg, const struct msg *msg, const struct err *err)
{
    struct hooks *hooks = arg;
    (void)err;

    hooks->claiming = false;
    if (!msg || msg->shape->id != MSG_WEBHOOK_WORK)
        return; /* the next one may; until then what was granted lasts */
    const struct msg_webhook_work *work = &msg->u.webhook_work;
    hooks->ours = work->granted;
    if (!work->granted) {
        hooks->granted_until = 0;
        lanes_drop(hooks);
        return;
    }
    hooks->granted_until = hooks->claimed_ms + CLAIM_HOLDS_MS;
    if (work->webhooks.count > 0)
        loop_set(hooks->gateway->loop, hooks->claim_timer, CLAIM_EVERY_MS, 0);
    if (work->version != hooks->version)
        hooks->version = lanes_take(hooks, &work->webhooks) == 0 ? work->version : 0;
    on_tick(hooks);
    if (hooks->claim_again)
        claim(hooks);
}

static void claim(struct hooks *hooks)
{
    struct msg_webhook_claim message = {.boot = str_of(hooks->boot), .version = hooks->version};

    hooks->claim_again = hooks->claiming;
    if (hooks->claiming || hooks->quiet || !bus_client_is_up(scheduler(hooks)))
        return;
    hooks->claiming = true;
    hooks->claimed_ms = clock_mono_ms();
    uint64_t corr =
        bus_ask(scheduler(hooks), &shape_msg_webhook_claim, &message, (struct str){NULL, 0}, CLAIM_DEADLINE_MS, on_work, hooks);
    if (hooks->claiming)
        hooks->claim_corr = corr;
}

static void on_claim_timer(void *arg)
{
    struct hooks *hooks = arg;
    bool idle = !hooks->lanes && hooks->ours;

    claim(hooks);
    loop_set(hooks->gateway->loop, hooks->claim_timer, idle ? CLAIM_IDLE_MS : CLAIM_EVERY_MS, 0);
}

void hooks_changed(struct hooks *hooks)
{
    claim(hooks);
}

/* ---- life ---- */

int hooks_configure(struct hooks *hooks, struct err *err)
{
    struct targets targets = {0};

    if (targets_parse(str_of(settings_text(hooks->gateway->settings, SET_WEBHOOKS_DENY)), &targets, err) != 0)
        return -1;
    hooks->targets = targets;
    if (hooks->courier)
        courier_retarget(hooks->courier);
    return 0;
}

const struct targets *hooks_targets(const struct hooks *hooks)
{
    return &hooks->targets;
}

struct hooks *hooks_new(struct gateway *gateway, struct err *err)
{
    struct hooks *hooks = calloc(1, sizeof *hooks);

    if (!hooks) {
        err_set(err, ERR_NO_MEMORY, "no memory for webhooks");
        return NULL;
    }
    hooks->gateway = gateway;
    hooks->claim_timer = loop_timer(gateway->loop, on_claim_timer, hooks);
    hooks->tick_timer = loop_timer(gateway->loop, on_tick, hooks);
    ident_random(hooks->boot, 16);
    if (hooks->claim_timer < 0 || hooks->tick_timer < 0) {
        err_set(err, ERR_NO_MEMORY, "no memory for webhooks");
        goto error;
    }
    if (hooks_configure(hooks, err) != 0 || !(hooks->courier = courier_new(gateway->loop, &hooks->targets, err)))
        goto error;
    hooks->port = (struct lane_port){
        .gateway = gateway, .courier = hooks->courier, .self = hooks, .may_send = may_send, .done = on_job_done};
    loop_set(gateway->loop, hooks->claim_timer, 0, 0);
    return hooks;
error:
    hooks_free(hooks);
    return NULL;
}

void hooks_quiesce(struct hooks *hooks)
{
    hooks->quiet = true;
}

bool hooks_busy(const struct hooks *hooks)
{
    for (const struct lane *lane = hooks->lanes; lane; lane = lane->next) {
        if (lane_busy(lane))
            return true;
    }
    return false;
}

void hooks_free(struct hooks *hooks)
{
    struct msg_webhook_claim release = {.boot = str_of(hooks ? hooks->boot : ""), .release = true};

    if (!hooks)
        return;
    lanes_drop(hooks);
    if (hooks->claiming)
        bus_forget(scheduler(hooks), hooks->claim_corr);
    if (hooks->granted_until > 0)
        (void)bus_tell(scheduler(hooks), &shape_msg_webhook_claim, &release, NULL);
    courier_free(hooks->courier);
    loop_cancel(hooks->gateway->loop, hooks->claim_timer);
    loop_cancel(hooks->gateway->loop, hooks->tick_timer);
    free(hooks);
}
