#include "worker/capture.h"

#include <stdlib.h>
#include <string.h>

#include "proto/str.h"

struct capture {
    capture_line *line;
    void *self;
    uint64_t redrawn_at; /* when a state of a redrawn line was last told */
    size_t len;
    bool cut;
    bool returned; /* a carriage return came last: a newline ends the line, anything else begins it anew */
    char raw[CAPTURE_LINE];
};

struct capture *capture_new(capture_line *line, void *self)
{
    struct capture *capture = malloc(sizeof(*capture));
    if (!capture)
        return NULL;
    capture->line = line;
    capture->self = self;
    capture->redrawn_at = 0;
    capture->len = 0;
    capture->cut = capture->returned = false;
    return capture;
}

void capture_free(struct capture *capture)
{
    free(capture);
}

static void capture_tell(struct capture *capture)
{
    char text[CAPTURE_LINE];
    size_t room = sizeof(text) - (sizeof(CAPTURE_MARK) - 1);
    size_t len = str_clean(text, capture->cut ? room : sizeof(text), (struct str){capture->raw, (uint32_t)capture->len});
    if (capture->cut) {
        memcpy(text + len, CAPTURE_MARK, sizeof(CAPTURE_MARK) - 1);
        len += sizeof(CAPTURE_MARK) - 1;
    }
    capture->line(capture->self, text, len);
}

static void capture_clear(struct capture *capture)
{
    capture->len = 0;
    capture->cut = capture->returned = false;
}

/* The line is about to be drawn over. */
static void capture_redraw(struct capture *capture, uint64_t now_ms)
{
    if (capture->len && now_ms - capture->redrawn_at >= CAPTURE_REDRAW_MS) {
        capture->redrawn_at = now_ms;
        capture_tell(capture);
    }
    capture_clear(capture);
}

static void capture_add(struct capture *capture, const char *data, size_t len)
{
    size_t room = CAPTURE_LINE - capture->len, take = len < room ? len : room;
    memcpy(capture->raw + capture->len, data, take);
    capture->len += take;
    capture->cut = capture->cut || take < len;
}

void capture_feed(struct capture *capture, const char *data, size_t len, uint64_t now_ms)
{
    for (size_t i = 0; i < len;) {
        if (data[i] == '\n') {
            capture_tell(capture);
            capture_clear(capture);
            i++;
        } else if (data[i] == '\r') {
            capture->returned = true;
            i++;
        } else {
            if (capture->returned)
                capture_redraw(capture, now_ms);
            size_t run = 0;
            while (i + run < len && data[i + run] != '\n' && data[i + run] != '\r')
                run++;
            capture_add(capture, data + i, run);
            i += run;
        }
    }
}

void capture_finish(struct capture *capture)
{
    if (capture->len)
        capture_tell(capture);
    capture_clear(capture);
}
