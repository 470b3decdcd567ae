#include "gateway/feed_beat.h"

#include "gateway/ask.h"
#include "gateway/event_write.h"

#define EVERY_MS 1000
#define WORKERS 1000

static void beat_tell(const struct feed_beat *beat, const struct rec_worker *worker)
{
    struct buf out = {0};
    struct writer w = {.out = &out};

    event_write_beat(&w, worker);
    if (!out.failed)
        beat->tell(beat->self, worker, buf_str(&out));
    buf_free(&out);
}

static void on_workers(void *arg, const struct msg *msg, const struct err *err)
{
    struct feed_beat *beat = arg;
    uint64_t seen = beat->seen;
    (void)err;

    beat->asking = false;
    if (!msg || msg->shape->id != MSG_WORKER_ROWS)
        return;
    const struct rec_worker_list *workers = &msg->u.worker_rows.workers;
    for (uint32_t i = 0; i < workers->count; i++) {
        const struct rec_worker *worker = &workers->items[i];
        if (worker->status == WORKER_OFFLINE || worker->last_heartbeat <= seen)
            continue;
        if (worker->last_heartbeat > beat->seen)
            beat->seen = worker->last_heartbeat;
        if (seen > 0)
            beat_tell(beat, worker);
    }
    if (beat->seen == 0)
        beat->seen = 1; /* from now on all count */
}

static void on_timer(void *arg)
{
    struct feed_beat *beat = arg;
    struct bus_client *scheduler = ask_client(beat->gateway->ask, ASK_SCHEDULER);
    struct msg_worker_list list = {.sort = STR_LIT("last_heartbeat"), .descending = true, .page = 1, .size = WORKERS};

    if (beat->readers == 0) {
        loop_unset(beat->gateway->loop, beat->timer);
        beat->seen = 0;
        return;
    }
    if (beat->asking || !bus_client_is_up(scheduler))
        return;
    beat->asking = true;
    uint64_t corr = bus_ask(scheduler, &shape_msg_worker_list, &list, (struct str){NULL, 0}, EVERY_MS, on_workers, beat);
    if (beat->asking)
        beat->corr = corr;
}

void feed_beat_add(struct feed_beat *beat)
{
    if (beat->readers++ == 0)
        loop_set(beat->gateway->loop, beat->timer, 0, EVERY_MS);
}

void feed_beat_remove(struct feed_beat *beat)
{
    beat->readers--; /* the timer sees that it is not wanted any more */
}

int feed_beat_init(struct feed_beat *beat, struct gateway *gateway,
                   void (*tell)(void *self, const struct rec_worker *worker, struct str json), void *self)
{
    beat->gateway = gateway;
    beat->tell = tell;
    beat->self = self;
    beat->timer = loop_timer(gateway->loop, on_timer, beat);
    return beat->timer < 0 ? -1 : 0;
}

void feed_beat_close(struct feed_beat *beat)
{
    if (!beat->gateway)
        return;
    if (beat->asking)
        bus_forget(ask_client(beat->gateway->ask, ASK_SCHEDULER), beat->corr);
    loop_cancel(beat->gateway->loop, beat->timer);
}
