/* One stream. What it sends is taken from the feed as long as its client takes it: beyond STREAM_AHEAD the next events wait in the ring, and
 * in the store when they are not there any more. So a slow client costs no more than what was made ready for him. */
#include "gateway/stream.h"

#include <stdlib.h>

#include "gateway/event_type.h"
#include "gateway/feed.h"
#include "gateway/http.h"
#include "gateway/reply.h"
#include "gateway/writer.h"
#include "proto/clock.h"

#define STREAM_AHEAD (32u << 10)
#define STREAM_QUIET_MS 15000 /* then a comment shows that the stream lives, and finds out whether the client does */
#define STREAM_AT_ONCE 2000   /* events looked at in one go */

struct stream_client {
    struct request *request;
    struct stream_filter filter;
    struct feed_reader reader;
    struct buf out;
    size_t sent; /* of out */
    size_t held; /* of the gateway's budget */
    uint64_t wrote_ms;
    bool ended;
};

static bool full(const struct stream_client *stream)
{
    return stream->out.len - stream->sent > STREAM_AHEAD;
}

static void wake(struct stream_client *stream)
{
    stream->wrote_ms = clock_mono_ms();
    stream->ended |= stream->out.failed;
    budget_charge(&stream->request->gateway->budget, &stream->held, stream->out.size);
    http_wake(stream->request);
}

static bool wanted(const struct stream_client *stream, const struct feed_event *event)
{
    const struct stream_filter *filter = &stream->filter;

    return (event->type & filter->types) && (!filter->task_id || event->task_id == filter->task_id) &&
           (!filter->run_id || event->run_id == filter->run_id);
}

static void tell(struct stream_client *stream, struct feed_event *event)
{
    struct str json = feed_json(event);

    if (!json.ptr) {
        stream->out.failed = true;
        return;
    }
    buf_printf(&stream->out, "id: %llu\nevent: %.*s\ndata: ", (unsigned long long)event->id, (int)event->record.type.len,
               event->record.type.ptr);
    buf_add(&stream->out, json.ptr, json.len);
    buf_text(&stream->out, "\n\n");
}

/* Nobody can say how many of those that are missing he would have wanted. */
static void tell_cut(struct stream_client *stream, uint64_t missing, uint64_t to)
{
    buf_printf(&stream->out, "id: %llu\nevent: cut\ndata: {\"missing\":%llu}\n\n", (unsigned long long)to,
               (unsigned long long)missing);
}

/* Takes one event; false when it has to wait. */
static bool take(struct stream_client *stream, struct feed *feed, struct feed_event *event)
{
    if (wanted(stream, event)) {
        if (full(stream) || !feed_spend(feed, &stream->reader, feed_json(event).len + 64))
            return false;
        tell(stream, event);
    }
    stream->reader.position = event->id;
    return true;
}

static void pump(struct stream_client *stream)
{
    struct feed *feed = stream->request->gateway->feed;
    struct feed_event *event;
    enum feed_next next = FEED_END;
    size_t before = stream->out.len;
    unsigned left = STREAM_AT_ONCE;

    while (!stream->ended && left-- > 0) {
        next = feed_next(feed, stream->reader.position, &event);
        if (next != FEED_EVENT || !take(stream, feed, event))
            break;
    }
    stream->reader.sated = full(stream);
    if (next == FEED_BEHIND && !stream->reader.sated)
        feed_read(feed, &stream->reader);
    if (stream->out.len != before || stream->out.failed)
        wake(stream);
}

static void on_news(void *self)
{
    struct stream_client *stream = self;

    if (stream->ended)
        return;
    if (clock_mono_ms() - stream->wrote_ms > STREAM_QUIET_MS && !full(stream)) {
        buf_text(&stream->out, ": still here\n\n");
        wake(stream);
    }
    if (!stream->reader.reading)
        pump(stream);
}

static void on_events(void *self, struct feed_event *const *events, uint32_t count, uint64_t oldest, bool failed)
{
    struct stream_client *stream = self;
    size_t before = stream->out.len;
    bool waits = false;

    if (stream->ended || failed)
        return; /* the store is away: the next news tries again */
    if (oldest > stream->reader.position + 1) {
        tell_cut(stream, oldest - 1 - stream->reader.position, oldest - 1);
        stream->reader.position = oldest - 1;
    }
    for (uint32_t i = 0; i < count && !waits; i++)
        waits = !take(stream, stream->request->gateway->feed, events[i]);
    if (stream->out.len != before || stream->out.failed)
        wake(stream);
    if (!waits)
        pump(stream);
}

static void on_beat(void *self, const struct rec_worker *worker, struct str json)
{
    struct stream_client *stream = self;
    (void)worker;

    if (stream->ended || full(stream) || stream->filter.task_id || stream->filter.run_id)
        return;
    buf_text(&stream->out, "event: " EVENT_HEARTBEAT "\ndata: ");
    buf_add(&stream->out, json.ptr, json.len);
    buf_text(&stream->out, "\n\n");
    wake(stream);
}

static long on_read(void *self, char *out, size_t max)
{
    struct stream_client *stream = self;
    size_t left = stream->out.len - stream->sent;
    size_t most = left < max ? left : max;
    bool was_full = full(stream);

    if (most == 0)
        return stream->ended ? -1 : 0;
    memcpy(out, stream->out.data + stream->sent, most);
    stream->sent += most;
    if (stream->sent == stream->out.len) {
        bool large = stream->out.size > STREAM_AHEAD;
        stream->sent = 0;
        if (large)
            buf_free(&stream->out);
        else
            buf_reset(&stream->out);
    } else if (stream->sent > STREAM_AHEAD) { /* what is gone makes room */
        stream->out.len -= stream->sent;
        memmove(stream->out.data, stream->out.data + stream->sent, stream->out.len);
        stream->sent = 0;
    }
    if (was_full && !full(stream) && !stream->reader.reading && !stream->ended)
        pump(stream);
    return (long)most;
}

static void on_closed(void *self)
{
    struct stream_client *stream = self;

    feed_remove(stream->request->gateway->feed, &stream->reader);
    budget_release(&stream->request->gateway->budget, &stream->held);
    buf_free(&stream->out);
    free(stream);
}

void stream_start(struct request *request, const struct stream_filter *filter, uint64_t after)
{
    if (!reply_stream_begin(request))
        return;
    struct stream_client *stream = calloc(1, sizeof *stream);
    if (!stream || buf_text(&stream->out, ": events follow\n\n") != 0) { /* what a client waits for before it goes on */
        free(stream);
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    stream->request = request;
    stream->filter = *filter;
    stream->wrote_ms = clock_mono_ms();
    stream->reader = (struct feed_reader){.position = after,
                                          .news = on_news,
                                          .events = on_events,
                                          .beat = on_beat,
                                          .beats = event_types_beat(filter->types),
                                          .self = stream};
    const struct stream answer = {.read = on_read, .closed = on_closed, .self = stream};
    reply_stream(request, "text/event-stream; charset=utf-8", &answer);
    feed_add(request->gateway->feed, &stream->reader);
}
