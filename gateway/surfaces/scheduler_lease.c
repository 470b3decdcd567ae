/* POST /api/workers/{id}/lease: a worker over REST waits for runs.
 *
 * The scheduler is asked for a short while at a time, so that nobody is given runs long after he has left (libmicrohttpd does not see that of
 * a connection that waits), a scheduler that was restarted meanwhile waits no longer than is left, and a gateway that stops need not wait.
 */
#include "gateway/admit.h"
#include "gateway/audit.h"
#include "gateway/connection.h"
#include "gateway/fields.h"
#include "gateway/gateway.h"
#include "gateway/json.h"
#include "gateway/surfaces/scheduler.h"
#include "proto/clock.h"

#define SLICE_MS 2000
#define WAIT_MAX 60 /* seconds */
#define RUNS_MAX 1000

struct waiting { /* request->own */
    struct msg_worker_lease lease;
    uint64_t until_ms; /* mono */
};

/* ---- the answer ---- */

static void run_write(struct writer *w, const struct rec_assignment *run)
{
    const struct rec_task_spec *spec = &run->spec;

    writer_open(w, NULL, '{');
    writer_uint(w, "run_id", run->run_id);
    writer_uint(w, "attempt", run->attempt);
    writer_uint(w, "task_id", run->task_id);
    writer_text(w, "task_name", run->task_name);
    writer_text(w, "task_type", spec->task_type);
    writer_text(w, "executor", spec->executor);
    writer_text(w, "command", spec->command);
    writer_texts(w, "arguments", &spec->arguments);
    writer_map(w, "parameters", run->parameters);
    writer_uint(w, "timeout_seconds", run->timeout_seconds);
    writer_map(w, "env", spec->env);
    writer_text_or_null(w, "cwd", spec->cwd);
    writer_text_or_null(w, "run_as", spec->run_as);
    limits_write(w, &spec->limits);
    writer_text_or_null(w, "output", spec->output);
    if (HAS(run, rec_assignment, published)) {
        writer_open(w, "published", '{');
        grant_write(w, &run->published);
        writer_close(w, '}');
    } else {
        writer_null(w, "published");
    }
    writer_map(w, "metadata", spec->metadata);
    writer_close(w, '}');
}

static void answer(struct request *request, const struct msg_worker_leased *leased)
{
    struct writer w;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_open(&w, "runs", '[');
    for (uint32_t i = 0; i < leased->runs.count; i++)
        run_write(&w, &leased->runs.items[i]);
    writer_close(&w, ']');
    rest_write_cancel(&w, &leased->cancel);
    writer_close(&w, '}');
    envelope_close(request, &w, 200);
}

/* ---- waiting ---- */

static void slice_ask(struct request *request);

static void on_leased(struct request *request, const struct msg *msg)
{
    const struct waiting *waiting = request->own;
    const struct msg_worker_leased *leased = &msg->u.worker_leased;

    if (!admit_holds(request)) { /* it was let in a minute ago; what it is not told of goes back */
        admit_refuse(request);
        return;
    }
    if (leased->runs.count == 0 && !leased->over && clock_mono_ms() < waiting->until_ms && !request->gateway->stopping &&
        !connection_gone(request->connection)) {
        request->retry_until_ms = 0; /* that one was answered: this is another, with time of its own */
        slice_ask(request);
    } else {
        answer(request, leased);
    }
}

static void slice_ask(struct request *request)
{
    struct waiting *waiting = request->own;
    uint64_t now = clock_mono_ms();
    uint64_t left = waiting->until_ms > now ? waiting->until_ms - now : 0;

    waiting->lease.wait_ms = left < SLICE_MS ? left : SLICE_MS;
    request->wait_ms = waiting->lease.wait_ms;
    ask_send(request, ASK_SCHEDULER, &shape_msg_worker_lease, &waiting->lease, on_leased);
}

/* ---- the question ---- */

static int wait_read(const json_t *object, uint64_t *wait_ms, struct problem *problem)
{
    const json_t *wait = json_object_get(object, "wait_seconds");

    if (!wait || json_is_null(wait))
        return 0;
    double seconds = json_number_value(wait);
    if (!json_is_number(wait))
        return problem_json(problem, "wait_seconds", "type", wait, "number");
    if (!(seconds >= 0 && seconds <= WAIT_MAX))
        return problem_json(problem, "wait_seconds", "range", wait, "0..%d", WAIT_MAX);
    *wait_ms = (uint64_t)(seconds * 1000.0);
    return 0;
}

static int max_read(const json_t *object, uint64_t *max, struct problem *problem)
{
    const json_t *given = json_object_get(object, "max");
    int64_t number = 1;

    if (given && !json_is_null(given) && !json_integral(given, &number))
        return problem_json(problem, "max", "type", given, "integer");
    if (number < 1 || number > RUNS_MAX)
        return problem_json(problem, "max", "range", given, "1..%d", RUNS_MAX);
    *max = (uint64_t)number;
    return 0;
}

/* It counts among those that wait, of which there may only be so many. */
static int wait_begin(struct request *request, struct problem *problem)
{
    struct gateway *gateway = request->gateway;

    if (request->polling)
        return 0;
    if (gateway->polls >= gateway->polls_max)
        return problem_value(problem, PROBLEM_LIMIT, NULL, "polls", (struct str){NULL, 0}, "%u", gateway->polls_max);
    gateway->polls++;
    request->polling = true;
    return 0;
}

static int lease_read(struct request *request, struct waiting *waiting, struct problem *problem)
{
    struct msg_worker_lease *lease = &waiting->lease;
    uint64_t wait_ms = 0;

    if (request_read_json(request, problem) != 0 || max_read(request->json, &lease->max, problem) != 0 ||
        wait_read(request->json, &wait_ms, problem) != 0 || rest_id(request, &lease->id, problem) != 0 ||
        request_owner(request, &lease->whose, problem) != 0 || request_idem(request, &lease->idem, problem) != 0)
        return -1;
    audit_unsign(request, &lease->idem); /* a question is nobody's act */
    if (wait_ms > 0 && wait_begin(request, problem) != 0)
        return -1;
    waiting->until_ms = clock_mono_ms() + wait_ms;
    return 0;
}

/* Called again when the store was away for a moment. */
void workers_lease(struct request *request)
{
    struct problem problem;

    if (!request->own) {
        struct waiting *waiting = request_alloc(request, sizeof *waiting);
        if (!waiting) {
            reply_problem_kind(request, PROBLEM_OVERLOADED);
            return;
        }
        if (lease_read(request, waiting, &problem) != 0) {
            reply_problem(request, &problem);
            return;
        }
        request->own = waiting;
    }
    slice_ask(request);
}
