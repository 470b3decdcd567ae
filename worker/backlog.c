#include "worker/backlog.h"

#include <stdlib.h>
#include <string.h>

#define LINE_COST sizeof(struct backlog_line)
#define CHUNK_BYTES ((size_t)256 << 10) /* of a LOG's lines on the wire */
#define LINE_BYTES 32                   /* of a line there, beside its text: 31 at most */

struct backlog_line {
    struct backlog_line *next;
    uint64_t seq, at;
    enum log_level level;
    enum log_stream stream;
    uint32_t len;
    char text[];
};

void backlog_init(struct backlog *backlog, size_t limit)
{
    *backlog = (struct backlog){.limit = limit, .next_seq = 1};
}

static void drop_first(struct backlog *backlog)
{
    struct backlog_line *line = backlog->first;
    backlog->first = line->next;
    if (!backlog->first)
        backlog->last = NULL;
    if (backlog->unsent == line)
        backlog->unsent = line->next;
    backlog->bytes -= LINE_COST + line->len;
    free(line);
}

void backlog_clear(struct backlog *backlog)
{
    while (backlog->first)
        drop_first(backlog);
}

bool backlog_add(struct backlog *backlog, uint64_t at, enum log_level level, enum log_stream stream, const char *text, size_t len)
{
    uint64_t seq = backlog->next_seq++;
    struct backlog_line *line = malloc(sizeof(*line) + len);
    if (!line) {
        backlog->dropped++;
        return false;
    }
    *line = (struct backlog_line){.seq = seq, .at = at, .level = level, .stream = stream, .len = (uint32_t)len};
    if (len)
        memcpy(line->text, text, len);
    if (backlog->last)
        backlog->last->next = line;
    else
        backlog->first = line;
    backlog->last = line;
    if (!backlog->unsent)
        backlog->unsent = line;
    backlog->bytes += LINE_COST + len;
    while (backlog->bytes > backlog->limit && backlog->first != backlog->last) {
        drop_first(backlog);
        backlog->dropped++;
    }
    return true;
}

bool backlog_peek(const struct backlog *backlog, struct rec_log_chunk *chunk, struct rec_log_line *items, uint32_t max)
{
    size_t bytes = 0;
    uint32_t count = 0;
    for (const struct backlog_line *line = backlog->unsent; line && count < max; line = line->next) {
        bytes += line->len + LINE_BYTES;
        if (count > 0 && bytes > CHUNK_BYTES)
            break;
        items[count++] = (struct rec_log_line){
            .seq = line->seq, .at = line->at, .level = line->level, .stream = line->stream, .text = {line->text, line->len}};
    }
    if (count == 0)
        return false;
    chunk->lines.items = items;
    chunk->lines.count = count;
    chunk->dropped = items[0].seq - backlog->sent_seq - 1;
    return true;
}

void backlog_sent(struct backlog *backlog, const struct rec_log_chunk *chunk)
{
    backlog->sent_seq = chunk->lines.items[chunk->lines.count - 1].seq;
    while (backlog->unsent && backlog->unsent->seq <= backlog->sent_seq)
        backlog->unsent = backlog->unsent->next;
}

void backlog_acked(struct backlog *backlog, uint64_t seq)
{
    if (seq >= backlog->next_seq)
        seq = backlog->next_seq - 1;
    while (backlog->first && backlog->first->seq <= seq)
        drop_first(backlog);
    if (seq > backlog->acked_seq)
        backlog->acked_seq = seq;
    if (seq > backlog->sent_seq)
        backlog->sent_seq = seq;
}

void backlog_again(struct backlog *backlog)
{
    backlog->unsent = backlog->first;
    backlog->sent_seq = backlog->acked_seq;
}

bool backlog_waiting(const struct backlog *backlog)
{
    return backlog->first && backlog->first != backlog->unsent;
}
