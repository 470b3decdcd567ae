/* One stream. A cycle reads the run's state first and its lines behind that; so when the state was final and there are no
 * more lines, nothing can be missing. News that come during a cycle make another one follow.
 *
 * Nothing is read ahead of a client that is slow: beyond FOLLOW_AHEAD bytes the next lines wait until these are gone.
 *
 * Nor does one stream wait for another. Many lines are read at once only where the last reading left some, and while there is room
 * for them; else a few, which are too small to count. While room is scarce these wait until the client has all that was read before.
 */
#include "gateway/follow.h"

#include <stdlib.h>

#include "gateway/ask.h"
#include "gateway/events.h"
#include "gateway/http.h"
#include "gateway/position.h"
#include "proto/clock.h"

#define FOLLOW_LINES 100 /* read at once: 1.6 MiB at most */
#define FOLLOW_FEW 3     /* of the longest these are less than BUDGET_SMALL */
#define FOLLOW_AHEAD (256u << 10)
#define FOLLOW_MOST ((size_t)4 << 20) /* what reading FOLLOW_LINES may come to in memory */
#define FOLLOW_QUIET_MS 15000         /* then a comment shows that the stream lives, and finds out whether the client does */

struct follow {
    struct request *request;
    struct follower follower;
    void (*line)(struct writer *w, const struct rec_log_line *line, uint64_t missing);
    uint64_t run_id, position;
    struct buf out;
    size_t sent; /* of out */
    size_t held; /* of the gateway's budget, for out and for what is being read */
    struct bus_client *store;
    uint64_t corr;
    uint64_t wrote_ms;
    uint64_t status, attempt; /* as last told */
    double progress;          /* below 0 while nobody told one */
    bool told, asking, again, waits, more, final, ended;
};

static void cycle(struct follow *follow);

static bool full(const struct follow *follow)
{
    size_t ahead = budget_scarce(&follow->request->gateway->budget) ? 0 : FOLLOW_AHEAD;

    return follow->out.len - follow->sent > ahead;
}

static void charge(struct follow *follow, size_t reading)
{
    budget_charge(&follow->request->gateway->budget, &follow->held, follow->out.size + reading);
}

static void wake(struct follow *follow)
{
    follow->wrote_ms = clock_mono_ms();
    http_wake(follow->request);
}

/* ---- events ---- */

static void tell_status(struct follow *follow)
{
    struct writer w = {.out = &follow->out};

    buf_text(&follow->out, "event: status\ndata: ");
    writer_open(&w, NULL, '{');
    writer_text(&w, "status", str_of(run_status_name(follow->status)));
    writer_uint(&w, "attempt", follow->attempt);
    if (follow->progress >= 0)
        writer_real(&w, "progress", follow->progress);
    else
        writer_null(&w, "progress");
    writer_close(&w, '}');
    buf_text(&follow->out, "\n\n");
    wake(follow);
}

static void tell_end(struct follow *follow, const char *status)
{
    struct writer w = {.out = &follow->out};

    buf_text(&follow->out, "event: end\ndata: ");
    writer_open(&w, NULL, '{');
    writer_text_or_null(&w, "status", str_of(status));
    writer_close(&w, '}');
    buf_text(&follow->out, "\n\n");
    follow->ended = true;
    wake(follow);
}

static void tell_cut(struct follow *follow, uint64_t missing)
{
    struct writer w = {.out = &follow->out};

    buf_text(&follow->out, "event: cut\ndata: ");
    writer_open(&w, NULL, '{');
    writer_uint(&w, "missing", missing);
    writer_close(&w, '}');
    buf_text(&follow->out, "\n\n");
}

/* A line found behind the follower's position, which moves on to it. */
static void tell_line(struct follow *follow, const struct rec_log_line *line, uint64_t cut)
{
    struct writer w = {.out = &follow->out};
    uint64_t missing = position_missing(follow->position, line, cut);

    if (missing > 0)
        tell_cut(follow, missing);
    follow->position = position_of(line);
    buf_printf(&follow->out, "id: %llu\nevent: log\ndata: ", (unsigned long long)follow->position);
    follow->line(&w, line, 0);
    buf_text(&follow->out, "\n\n");
}

/* ---- reading ---- */

static void ask(struct follow *follow, const struct shape *shape, const void *value, bus_reply *reply)
{
    follow->asking = true;
    uint64_t corr =
        bus_ask(follow->store, shape, value, str_of(follow->request->rid), follow->request->gateway->deadline_ms, reply, follow);
    if (follow->asking)
        follow->corr = corr;
}

static void on_lines(void *arg, const struct msg *msg, const struct err *err);

static void read_lines(struct follow *follow)
{
    bool many = follow->more && !budget_scarce(&follow->request->gateway->budget);
    struct msg_log_read read = {.run_id = follow->run_id, .after = follow->position, .limit = many ? FOLLOW_LINES : FOLLOW_FEW};

    if (full(follow)) {
        follow->waits = true; /* on_read goes on */
        return;
    }
    charge(follow, many ? FOLLOW_MOST : 0);
    ask(follow, &shape_msg_log_read, &read, on_lines);
}

static void on_lines(void *arg, const struct msg *msg, const struct err *err)
{
    struct follow *follow = arg;
    (void)err;

    follow->asking = false;
    charge(follow, 0);
    if (!msg || msg->shape->id != MSG_LOG_ROWS)
        return; /* the store is away: the next tick tries again */
    const struct msg_log_rows *rows = &msg->u.log_rows;
    for (uint32_t i = 0; i < rows->lines.count; i++)
        tell_line(follow, &rows->lines.items[i], rows->cut);
    follow->more = !rows->end && rows->lines.count > 0;
    if (rows->lines.count > 0) {
        charge(follow, 0);
        wake(follow);
    }
    if (follow->out.failed)
        follow->ended = true;
    else if (follow->more)
        read_lines(follow);
    else if (follow->final)
        tell_end(follow, run_status_name(follow->status));
    else if (follow->again)
        cycle(follow);
}

static void on_run(void *arg, const struct msg *msg, const struct err *err)
{
    struct follow *follow = arg;
    struct arena *arena = request_arena(follow->request);
    struct err damage;
    struct rec_run run;
    (void)err;

    follow->asking = false;
    if (!msg || msg->shape->id != MSG_QUERY_ROWS || !arena)
        return;
    if (msg->u.query_rows.rows.count == 0) {
        tell_end(follow, NULL); /* deleted meanwhile */
        return;
    }
    arena_reset(arena);
    if (rec_decode_run(arena, msg->u.query_rows.rows.items[0].value, &run, &damage) != 0) {
        tell_end(follow, NULL);
        return;
    }
    double progress = run.status == RUN_COMPLETED ? 100 : run.progress > 0 ? run.progress : -1;
    bool changed = !follow->told || run.status != follow->status || run.attempt != follow->attempt;
    if (changed) {
        follow->told = true;
        follow->status = run.status;
        follow->attempt = run.attempt;
        follow->progress = progress;
        tell_status(follow);
    }
    follow->final = run_status_final(run.status);
    read_lines(follow);
}

static void cycle(struct follow *follow)
{
    struct msg_get get = {.type = TYPE_RUN, .ids = {&follow->run_id, 1}};

    if (follow->asking || follow->waits) {
        follow->again = true;
        return;
    }
    follow->again = false;
    ask(follow, &shape_msg_get, &get, on_run);
}

/* ---- what wakes it ---- */

static void on_changed(void *self)
{
    struct follow *follow = self;

    if (follow->ended)
        return;
    if (clock_mono_ms() - follow->wrote_ms > FOLLOW_QUIET_MS && !full(follow)) {
        buf_text(&follow->out, ": still here\n\n");
        wake(follow);
    }
    cycle(follow);
}

static void on_live(void *self, const struct rec_live_run *live)
{
    struct follow *follow = self;

    if (follow->ended || !follow->told || run_status_final(follow->status) || live->attempt != follow->attempt || full(follow))
        return;
    double progress = HAS(live, rec_live_run, progress) ? live->progress : -1;
    if (progress > follow->progress || progress < follow->progress) {
        follow->progress = progress;
        tell_status(follow);
    }
}

static long on_read(void *self, char *out, size_t max)
{
    struct follow *follow = self;
    size_t left = follow->out.len - follow->sent;
    size_t take = left < max ? left : max;

    if (take == 0 && follow->ended)
        return -1;
    if (take == 0)
        return 0;
    memcpy(out, follow->out.data + follow->sent, take);
    follow->sent += take;
    if (follow->sent == follow->out.len || follow->sent > FOLLOW_AHEAD) { /* what is gone makes room */
        memmove(follow->out.data, follow->out.data + follow->sent, follow->out.len - follow->sent);
        follow->out.len -= follow->sent;
        follow->sent = 0;
    }
    if (follow->out.len == 0 && follow->out.size > BUDGET_SMALL)
        buf_free(&follow->out);
    if (!follow->asking)
        charge(follow, 0);
    if (follow->waits && !full(follow)) {
        follow->waits = false;
        read_lines(follow);
    }
    return (long)take;
}

static void on_closed(void *self)
{
    struct follow *follow = self;

    if (follow->asking)
        bus_forget(follow->store, follow->corr);
    events_unfollow(follow->request->gateway->events, &follow->follower);
    budget_release(&follow->request->gateway->budget, &follow->held);
    buf_free(&follow->out);
    free(follow);
}

void follow_start(struct request *request, uint64_t run_id, uint64_t after,
                  void (*line)(struct writer *w, const struct rec_log_line *line, uint64_t missing))
{
    if (!reply_stream_begin(request))
        return;
    struct follow *follow = calloc(1, sizeof *follow);
    if (!follow) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    follow->request = request;
    follow->line = line;
    follow->run_id = run_id;
    follow->position = after;
    follow->store = ask_client(request->gateway->ask, ASK_STORE);
    follow->wrote_ms = clock_mono_ms();
    follow->follower = (struct follower){.run_id = run_id, .changed = on_changed, .live = on_live, .self = follow};
    events_follow(request->gateway->events, &follow->follower);
    const struct stream stream = {.read = on_read, .closed = on_closed, .self = follow};
    reply_stream(request, "text/event-stream; charset=utf-8", &stream);
    cycle(follow);
}
