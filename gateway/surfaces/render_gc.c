/* POST and GET /files/gc: uploaded files that nothing needs go. Who asks waits a while for the end. */
#include <stdlib.h>

#include "gateway/blob_gc.h"
#include "gateway/connection.h"
#include "gateway/surfaces/render_files.h"
#include "gateway/surfaces/transcode.h"
#include "proto/clock.h"

#define WAIT_MAX 30           /* seconds */
#define LOOK_MS 1000          /* whether its client is still there */
#define GRACE_MAX 3153600000u /* seconds: 100 years */
#define DAY_SECONDS UINT64_C(86400)

struct gc_wait {                /* request->sink.self */
    struct blob_gc_watch watch; /* the first */
    struct request *request;
    uint64_t until_ms;
    int timer;
};

/* ---- answers ---- */

static void state_write(struct writer *w, const struct blob_gc_state *state)
{
    writer_open(w, "data", '{');
    writer_bool(w, "running", state->running);
    writer_bool(w, "dry_run", state->dry);
    writer_uint(w, "grace_seconds", state->grace_ms / 1000);
    writer_uint(w, "assets", state->assets);
    writer_uint(w, "paths", state->paths);
    writer_uint(w, "files", state->files);
    writer_uint(w, "bytes", state->bytes);
    writer_bool(w, "failed", !state->running && state->failed != PROBLEM_COUNT);
    writer_time(w, "started_at", state->began_ms);
    writer_time(w, "ended_at", state->ended_ms);
    writer_close(w, '}');
}

static void answer(struct request *request, unsigned status, enum text_id text)
{
    struct writer w;

    render_open(request, &w, status, text);
    state_write(&w, blob_gc_state(request->gateway->blob_gc));
    render_close(request, &w, status);
}

static void answer_ended(struct request *request)
{
    const struct blob_gc_state *state = blob_gc_state(request->gateway->blob_gc);

    if (state->failed == PROBLEM_CONFLICT)
        render_refuse(request, PROBLEM_CONFLICT, NULL, "blob_owner", str_of(state->why));
    else if (state->failed == PROBLEM_INTERNAL && state->why[0])
        render_refuse(request, PROBLEM_INTERNAL, NULL, "blob_s3", str_of(state->why));
    else if (state->failed == PROBLEM_INTERNAL && state->cause)
        render_refuse_disk(request, state->cause);
    else if (state->failed != PROBLEM_COUNT)
        reply_problem_kind(request, state->failed);
    else
        answer(request, 200, state->dry ? TEXT_RENDER_COLLECT_DRY : TEXT_RENDER_COLLECTED);
}

void render_gc_tell(struct request *request)
{
    if (!request->gateway->blob_gc)
        reply_problem_kind(request, PROBLEM_OVERLOADED);
    else
        answer(request, 200, TEXT_API_OK);
}

/* ---- waiting ---- */

static void on_ended(struct blob_gc_watch *watch)
{
    struct gc_wait *wait = (struct gc_wait *)(void *)watch;

    answer_ended(wait->request);
}

static void on_closed(void *self)
{
    struct gc_wait *wait = self;
    struct gateway *gateway = wait->request->gateway;

    loop_cancel(gateway->loop, wait->timer);
    blob_gc_unwatch(gateway->blob_gc, &wait->watch);
    free(wait);
}

static void on_time(void *arg)
{
    struct gc_wait *wait = arg;
    struct request *request = wait->request;

    wait->timer = -1;
    if (clock_mono_ms() < wait->until_ms && !request->gateway->stopping && !connection_gone(request->connection))
        wait->timer = loop_after(request->gateway->loop, LOOK_MS, on_time, wait);
    if (wait->timer >= 0)
        return;
    blob_gc_unwatch(request->gateway->blob_gc, &wait->watch);
    answer(request, 202, TEXT_RENDER_COLLECTING);
}

static void wait_begin(struct request *request, uint64_t seconds)
{
    struct gateway *gateway = request->gateway;
    struct gc_wait *wait = NULL;

    if (!blob_gc_state(gateway->blob_gc)->running) {
        answer_ended(request);
        return;
    }
    if (seconds)
        wait = calloc(1, sizeof *wait);
    if (!wait) { /* without memory nobody waits */
        answer(request, 202, TEXT_RENDER_COLLECTING);
        return;
    }
    wait->request = request;
    wait->until_ms = clock_mono_ms() + seconds * 1000;
    wait->watch.done = on_ended;
    wait->timer = loop_after(gateway->loop, LOOK_MS, on_time, wait);
    request->sink = (struct sink){.closed = on_closed, .self = wait};
    blob_gc_watch(gateway->blob_gc, &wait->watch);
}

/* ---- asked for ---- */

void render_gc_begin(struct request *request)
{
    uint64_t grace = BLOB_GC_DAYS * DAY_SECONDS, seconds = WAIT_MAX;
    struct rec_idem idem = {0};
    struct problem problem;
    bool dry = false;

    if (!request->gateway->blob_gc) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    if (request_read_json(request, &problem) != 0 || api_bool(request, "dry_run", &dry, &problem) < 0 ||
        api_uint(request, "grace_seconds", API_OPTIONAL, 0, GRACE_MAX, &grace, &problem) < 0 ||
        api_uint(request, "wait_seconds", API_OPTIONAL, 0, WAIT_MAX, &seconds, &problem) < 0 ||
        request_idem(request, &idem, &problem) != 0)
        goto error;
    switch (blob_gc_begin(request->gateway->blob_gc, grace * 1000, dry, &idem)) {
    case BLOB_GC_BUSY:
        problem_set(&problem, PROBLEM_CONFLICT, NULL, "blob_gc");
        goto error;
    case BLOB_GC_REUSED:
        problem_set(&problem, PROBLEM_KEY_REUSED, NULL, NULL);
        goto error;
    default:
        wait_begin(request, seconds);
        return;
    }
error:
    reply_problem(request, &problem);
}
