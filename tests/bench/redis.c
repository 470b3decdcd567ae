/* Redis as a reliable queue: LPUSH by submitters; by workers BLMOVE from the queue to a list of their own, then SET of a result and
 * LREM from that list. The first --clients connections submit.
 *
 * A worker sends the SETs and LREMs of what it holds together with the moves that fetch the next, so no round trip is spent on
 * finishing alone. With --batch above 1 a submit is one LPUSH of so many values, and a worker asks for as many moves at once: the
 * first blocks, the others do not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "tests/bench/swarm.h"

struct jobs {
    struct buf out;
    uint64_t pushed; /* in all */
    struct worker {
        unsigned moves, sets, removes; /* answers that are to come: finishing first, then moves */
        struct buf held;               /* payloads of what it has fetched */
    } * workers;
};

static void word(struct buf *out, const char *bytes, size_t len)
{
    buf_printf(out, "$%zu\r\n", len);
    buf_add(out, bytes, len);
    buf_text(out, "\r\n");
}

static void push_send(struct link *link)
{
    struct jobs *jobs = link->swarm->self;
    char payload[PAYLOAD_BYTES];

    buf_reset(&jobs->out);
    buf_printf(&jobs->out, "*%u\r\n$5\r\nLPUSH\r\n$1\r\nq\r\n", link->swarm->bench->batch + 2);
    for (unsigned i = 0; i < link->swarm->bench->batch; i++) {
        payload_write(payload, ++jobs->pushed);
        word(&jobs->out, payload, sizeof payload);
    }
    swarm_opened(link->swarm, link->swarm->bench->batch);
    swarm_send(link, jobs->out.data, jobs->out.len);
}

static size_t submitter_take(struct link *link, const char *in, size_t len)
{
    const char *end = strstr(in, "\r\n");
    (void)len;

    if (!end)
        return 0;
    if (*in != ':')
        swarm_fail(link->swarm, in);
    swarm_put(link);
    return (size_t)(end + 2 - in);
}

/* Finishes what is held and asks for more, in one send. */
static void work_send(struct link *link)
{
    struct jobs *jobs = link->swarm->self;
    struct worker *worker = &jobs->workers[link->number];
    char list[32];
    size_t list_len = (size_t)snprintf(list, sizeof list, "p%d", link->number);

    buf_reset(&jobs->out);
    for (size_t at = 0; at < worker->held.len; at += PAYLOAD_BYTES) {
        const char *payload = worker->held.data + at;
        buf_text(&jobs->out, "*3\r\n$3\r\nSET\r\n");
        word(&jobs->out, payload, 20); /* its number is its name */
        buf_text(&jobs->out, "$1\r\n0\r\n*4\r\n$4\r\nLREM\r\n");
        word(&jobs->out, list, list_len);
        buf_text(&jobs->out, "$2\r\n-1\r\n"); /* the oldest is at the tail */
        word(&jobs->out, payload, PAYLOAD_BYTES);
        worker->sets++;
    }
    worker->removes = worker->sets;
    buf_reset(&worker->held);
    for (unsigned i = 0; i < link->swarm->bench->batch; i++) {
        buf_text(&jobs->out, i == 0 ? "*6\r\n$6\r\nBLMOVE\r\n$1\r\nq\r\n" : "*5\r\n$5\r\nLMOVE\r\n$1\r\nq\r\n");
        word(&jobs->out, list, list_len);
        buf_text(&jobs->out, i == 0 ? "$5\r\nRIGHT\r\n$4\r\nLEFT\r\n$1\r\n0\r\n" : "$5\r\nRIGHT\r\n$4\r\nLEFT\r\n");
    }
    worker->moves = link->swarm->bench->batch;
    swarm_send(link, jobs->out.data, jobs->out.len);
}

/* One answer to a worker; 0 when it is not whole. */
static size_t answer_take(struct link *link, struct worker *worker, const char *in, size_t len)
{
    const char *end = strstr(in, "\r\n");

    if (!end)
        return 0;
    size_t size = (size_t)(end + 2 - in);
    if (worker->sets + worker->removes > 0) { /* SET and LREM by turns */
        bool set = worker->sets == worker->removes;
        if (set ? *in != '+' : strncmp(in, ":1\r", 3) != 0)
            swarm_fail(link->swarm, in);
        if (set)
            worker->sets--;
        else
            worker->removes--;
        if (!set)
            swarm_done(link, 1);
        return size;
    }
    if (strncmp(in, "$-1", 3) == 0) { /* nothing there */
        worker->moves--;
        return size;
    }
    if (*in != '$') {
        swarm_fail(link->swarm, in);
        return size;
    }
    if (len < size + PAYLOAD_BYTES + 2)
        return 0;
    buf_add(&worker->held, in + size, PAYLOAD_BYTES);
    worker->moves--;
    return size + PAYLOAD_BYTES + 2;
}

static size_t worker_take(struct link *link, const char *in, size_t len)
{
    struct jobs *jobs = link->swarm->self;
    struct worker *worker = &jobs->workers[link->number];
    size_t taken = 0;
    size_t size;

    while (taken < len && (size = answer_take(link, worker, in + taken, len - taken)) > 0) {
        taken += size;
        if (worker->moves == 0)
            work_send(link);
    }
    return taken;
}

static size_t take(struct link *link, const char *in, size_t len)
{
    return link->number < link->swarm->bench->clients ? submitter_take(link, in, len) : worker_take(link, in, len);
}

int redis_measure(struct bench *bench)
{
    struct jobs jobs = {.workers = calloc((size_t)(bench->clients + bench->workers), sizeof(struct worker))};
    struct swarm swarm = {.self = &jobs, .take = take, .put = push_send};
    int rc = jobs.workers ? swarm_open(&swarm, bench, bench->at, bench->clients + bench->workers) : -1;

    if (rc == 0) {
        window_open(&swarm.window, bench);
        for (int i = 0; i < swarm.count; i++) {
            if (i < bench->clients)
                push_send(&swarm.links[i]);
            else
                work_send(&swarm.links[i]);
        }
        rc = swarm_run(&swarm);
    }
    if (rc == 0)
        rc = window_report(&swarm.window, swarm.counted);
    swarm_close(&swarm);
    for (int i = 0; jobs.workers && i < bench->clients + bench->workers; i++)
        buf_free(&jobs.workers[i].held);
    free(jobs.workers);
    buf_free(&jobs.out);
    return rc;
}
