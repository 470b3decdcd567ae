/* Letters in the order they were added, their bytes one behind the other. */
#include "scheduler/outbox.h"

#include <stdlib.h>

#include "scheduler/draft.h"

#define KEEP_BYTES ((size_t)1 << 20) /* of text, over a reset */
#define NOTES_MAX 65536u

struct letter {
    struct address to;
    size_t at, len; /* in text */
};

void outbox_free(struct outbox *outbox)
{
    buf_free(&outbox->text);
    free(outbox->letters);
    free(outbox->runs);
    *outbox = (struct outbox){0};
}

void outbox_reset(struct outbox *outbox)
{
    buf_reset(&outbox->text);
    if (outbox->text.size > KEEP_BYTES) {
        buf_free(&outbox->text);
    }
    outbox->count = outbox->run_count = 0;
    outbox->last_event = 0;
}

bool outbox_empty(const struct outbox *outbox)
{
    return outbox->count == 0 && outbox->run_count == 0 && outbox->last_event == 0;
}

size_t outbox_bytes(const struct outbox *outbox)
{
    return outbox->text.len + outbox->count * sizeof(struct letter);
}

int outbox_reserve(struct outbox *outbox, size_t bytes, uint32_t letters)
{
    if (draft_grow((void **)&outbox->letters, &outbox->size, outbox->count, letters, sizeof *outbox->letters) != 0) {
        return -1;
    }
    if (buf_reserve(&outbox->text, bytes) != 0) {
        outbox->text.failed = false; /* what it holds is whole */
        return -1;
    }
    return 0;
}

int outbox_add(struct outbox *outbox, const struct address *to, const struct shape *shape, const void *value, struct str *body,
               struct err *err)
{
    size_t start = outbox->text.len;

    if (outbox_reserve(outbox, 0, 1) != 0) {
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    if (codec_encode(&outbox->text, shape, value, 0, (struct str){0}, err) != 0) {
        return -1;
    }
    size_t len = outbox->text.len - start;
    outbox->letters[outbox->count++] = (struct letter){*to, start, len};
    if (body != NULL) {
        *body = (struct str){outbox->text.data + start, (uint32_t)len};
    }
    return 0;
}

int outbox_add_bytes(struct outbox *outbox, const struct address *to, struct str body)
{
    if (outbox_reserve(outbox, body.len, 1) != 0) {
        return -1;
    }
    outbox->letters[outbox->count++] = (struct letter){*to, outbox->text.len, body.len};
    return buf_add(&outbox->text, body.ptr, body.len);
}

void outbox_note_run(struct outbox *outbox, uint64_t run_id)
{
    bool known = outbox->run_count > 0 && outbox->runs[outbox->run_count - 1] == run_id;

    if (!known && outbox->run_count < NOTES_MAX &&
        draft_grow((void **)&outbox->runs, &outbox->run_size, outbox->run_count, 1, sizeof *outbox->runs) == 0) {
        outbox->runs[outbox->run_count++] = run_id;
    }
}

void outbox_note_event(struct outbox *outbox, uint64_t event_id)
{
    outbox->last_event = event_id > outbox->last_event ? event_id : outbox->last_event;
}

static void letter_deliver(const struct outbox *outbox, const struct letter *letter, const struct journal_port *port,
                           struct buf *scratch)
{
    struct str body = {outbox->text.data + letter->at, (uint32_t)letter->len};
    struct str rid = str_of(letter->to.rid);

    if (letter->to.corr != 0 || rid.len > 0) {
        buf_reset(scratch);
        if (codec_address(scratch, body, letter->to.corr, rid, NULL) != 0) {
            return; /* out of memory: the peer asks again */
        }
        body = buf_str(scratch);
    }
    port->deliver(port->self, &letter->to, body);
}

void outbox_deliver(const struct outbox *outbox, const struct journal_port *port, struct buf *scratch)
{
    for (uint32_t i = 0; i < outbox->count; i++) {
        letter_deliver(outbox, &outbox->letters[i], port, scratch);
    }
    if (outbox->last_event != 0 || outbox->run_count > 0) {
        port->committed(port->self, outbox->last_event, outbox->runs, outbox->run_count);
    }
}
