#include "gateway/feed_back.h"

#include "proto/clock.h"
#include "proto/log.h"

#define EVENTS 200 /* at once */
#define A_MS 10    /* events that are read in a millisecond, over time */
#define MOST 10000
#define READ_MS 5000

/* Decodes rows for the time of a callback; those that are damaged are left out. Answers how many. */
static uint32_t rows_read(struct feed_back *back, const struct rec_row_list *rows, struct feed_event **events)
{
    uint32_t count = 0;

    arena_reset(back->arena);
    for (uint32_t i = 0; i < rows->count; i++) {
        struct rec_event record;
        struct err err = {0};
        if (rec_decode_event(back->arena, rows->items[i].value, &record, &err) != 0) {
            log_error("GTY-ROW-DAMAGED", "event=%llu %s", (unsigned long long)rows->items[i].id, err.text);
            if (err.code == ERR_NO_MEMORY)
                break; /* it comes again */
            continue;
        }
        events[count] = feed_event_new(&record);
        if (!events[count])
            break;
        count++;
    }
    return count;
}

static void on_rows(void *arg, const struct msg *msg, const struct err *err)
{
    struct feed_back_reading *reading = arg;
    struct feed_back *back = reading->back;
    struct feed_reader *reader = reading->reader;
    struct feed_event *events[EVENTS];
    const struct msg_event_rows *rows = msg && msg->shape->id == MSG_EVENT_ROWS ? &msg->u.event_rows : NULL;
    (void)err;

    reading->asking = false;
    reading->reader = NULL;
    if (reader) {
        uint32_t count = rows && rows->rows.count <= EVENTS ? rows_read(back, &rows->rows, events) : 0;
        reader->reading = false;
        reader->events(reader->self, events, count, rows ? rows->oldest : 0, !rows);
        for (uint32_t i = 0; i < count; i++)
            feed_event_free(events[i]);
    }
    feed_back_serve(back);
}

/* Whether another reading is within what these may cost. */
static bool may_read(struct feed_back *back)
{
    uint64_t now = clock_mono_ms();

    back->left += (now - back->until_ms) * A_MS;
    back->until_ms = now;
    if (back->left > MOST)
        back->left = MOST;
    return back->left >= EVENTS;
}

static struct feed_reader *waiting_take(struct feed_back *back)
{
    struct feed_reader *reader = back->waiting;

    back->waiting = reader->next_waiting;
    if (!back->waiting)
        back->last_waiting = NULL;
    reader->waits = false;
    return reader;
}

void feed_back_serve(struct feed_back *back)
{
    for (unsigned i = 0; i < FEED_BACK_MOST && back->waiting && may_read(back); i++) {
        struct feed_back_reading *reading = &back->readings[i];
        if (reading->asking)
            continue;
        back->left -= EVENTS;
        struct feed_reader *reader = waiting_take(back);
        struct msg_event_read read = {.after = reader->position, .limit = EVENTS};
        reader->reading = true;
        reading->reader = reader;
        reading->asking = true;
        uint64_t corr = bus_ask(back->store, &shape_msg_event_read, &read, (struct str){NULL, 0}, READ_MS, on_rows, reading);
        if (reading->asking)
            reading->corr = corr;
    }
}

void feed_back_read(struct feed_back *back, struct feed_reader *reader)
{
    if (reader->waits || reader->reading)
        return;
    reader->waits = true;
    reader->next_waiting = NULL;
    if (back->last_waiting)
        back->last_waiting->next_waiting = reader;
    else
        back->waiting = reader;
    back->last_waiting = reader;
    feed_back_serve(back);
}

void feed_back_remove(struct feed_back *back, struct feed_reader *reader)
{
    struct feed_reader **at = &back->waiting, *before = NULL;

    for (unsigned i = 0; i < FEED_BACK_MOST; i++) {
        if (back->readings[i].reader == reader)
            back->readings[i].reader = NULL; /* its answer is for nobody */
    }
    if (!reader->waits)
        return;
    while (*at != reader) {
        before = *at;
        at = &(*at)->next_waiting;
    }
    *at = reader->next_waiting;
    if (back->last_waiting == reader)
        back->last_waiting = before;
    reader->waits = false;
}

void feed_back_init(struct feed_back *back, struct bus_client *store, struct arena *arena)
{
    back->store = store;
    back->arena = arena;
    for (unsigned i = 0; i < FEED_BACK_MOST; i++)
        back->readings[i].back = back;
}

void feed_back_close(struct feed_back *back)
{
    for (unsigned i = 0; i < FEED_BACK_MOST; i++) {
        if (back->readings[i].asking)
            bus_forget(back->store, back->readings[i].corr);
    }
}
