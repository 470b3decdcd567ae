#include "gateway/feed_event.h"

#include <stdlib.h>

#include "gateway/event_type.h"
#include "gateway/event_write.h"

#define EVENT_COST 256 /* beside its texts */

void feed_event_free(struct feed_event *event)
{
    if (event)
        free(event->json);
    free(event);
}

size_t feed_event_size(const struct feed_event *event)
{
    const struct rec_event *record = &event->record;
    return EVENT_COST + record->type.len + record->task_name.len + record->worker_name.len + record->status.len +
           (size_t)7 * record->detail.len; /* escaped it may be six times as long */
}

static char *text_copy(char *at, struct str *text)
{
    if (text->len > 0)
        memcpy(at, text->ptr, text->len);
    text->ptr = at;
    return at + text->len;
}

/* In one block: itself, what it notifies, its texts. */
struct feed_event *feed_event_new(const struct rec_event *record)
{
    size_t texts =
        (size_t)record->type.len + record->task_name.len + record->worker_name.len + record->status.len + record->detail.len;
    size_t notify = record->notify.count * sizeof *record->notify.items;
    struct feed_event *event = malloc(sizeof *event + notify + texts);

    if (!event)
        return NULL;
    *event = (struct feed_event){.id = record->id,
                                 .task_id = record->task_id,
                                 .run_id = record->run_id,
                                 .type = event_type_bit(record->type),
                                 .record = *record};
    char *at = (char *)(event + 1);
    if (notify > 0)
        memcpy(at, record->notify.items, notify);
    event->record.notify.items = (uint64_t *)(void *)at;
    at += notify;
    at = text_copy(at, &event->record.type);
    at = text_copy(at, &event->record.task_name);
    at = text_copy(at, &event->record.worker_name);
    at = text_copy(at, &event->record.status);
    text_copy(at, &event->record.detail);
    return event;
}

struct str feed_json(struct feed_event *event)
{
    struct buf out = {0};
    struct writer w = {.out = &out};

    if (!event->json) {
        event_write(&w, &event->record);
        if (out.failed) {
            buf_free(&out);
            return (struct str){NULL, 0};
        }
        event->json = out.data;
        event->json_len = (uint32_t)out.len;
    }
    return (struct str){event->json, event->json_len};
}
