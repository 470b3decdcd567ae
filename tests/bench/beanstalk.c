/* beanstalkd: put, reserve, delete. The first --clients connections put, the others reserve and delete.
 *
 * A worker sends the deletes of all that one read brought together with as many reserves, so --batch reservations are under way all
 * the time and no round trip is spent on a delete alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "tests/bench/swarm.h"

struct jobs {
    struct buf out;
    uint64_t put; /* in all */
};

static void puts_send(struct link *link)
{
    struct jobs *jobs = link->swarm->self;
    char payload[PAYLOAD_BYTES];

    buf_reset(&jobs->out);
    for (unsigned i = 0; i < link->swarm->bench->batch; i++) {
        payload_write(payload, ++jobs->put);
        buf_printf(&jobs->out, "put 0 0 600 %d\r\n", PAYLOAD_BYTES);
        buf_add(&jobs->out, payload, sizeof payload);
        buf_text(&jobs->out, "\r\n");
    }
    link->state = link->swarm->bench->batch;
    swarm_opened(link->swarm, link->state);
    swarm_send(link, jobs->out.data, jobs->out.len);
}

static size_t submitter_take(struct link *link, const char *in, size_t len)
{
    const char *at = in;
    const char *end;
    (void)len;

    while ((end = strstr(at, "\r\n")) != NULL) {
        if (strncmp(at, "INSERTED ", 9) != 0)
            swarm_fail(link->swarm, at);
        at = end + 2;
        if (--link->state == 0)
            swarm_put(link);
    }
    return (size_t)(at - in);
}

static size_t worker_take(struct link *link, const char *in, size_t len)
{
    struct jobs *jobs = link->swarm->self;
    const char *at = in;
    const char *end;
    uint64_t deleted = 0;

    buf_reset(&jobs->out);
    while ((end = strstr(at, "\r\n")) != NULL) {
        char *rest;
        if (strncmp(at, "RESERVED ", 9) == 0) {
            unsigned long id = strtoul(at + 9, &rest, 10);
            unsigned long bytes = strtoul(rest, NULL, 10);
            if ((size_t)(end + 2 - in) + bytes + 2 > len)
                break;
            buf_printf(&jobs->out, "delete %lu\r\nreserve\r\n", id);
            at = end + 2 + bytes + 2;
            continue;
        }
        if (strncmp(at, "DELETED", 7) == 0)
            deleted++;
        else
            swarm_fail(link->swarm, at);
        at = end + 2;
    }
    if (jobs->out.len > 0)
        swarm_send(link, jobs->out.data, jobs->out.len);
    if (deleted > 0)
        swarm_done(link, deleted);
    return (size_t)(at - in);
}

static size_t take(struct link *link, const char *in, size_t len)
{
    return link->number < link->swarm->bench->clients ? submitter_take(link, in, len) : worker_take(link, in, len);
}

int beanstalk_measure(struct bench *bench)
{
    struct jobs jobs = {0};
    struct swarm swarm = {.self = &jobs, .take = take, .put = puts_send};
    int rc = swarm_open(&swarm, bench, bench->at, bench->clients + bench->workers);

    if (rc == 0) {
        window_open(&swarm.window, bench);
        for (int i = 0; i < swarm.count; i++) {
            if (i < bench->clients) {
                puts_send(&swarm.links[i]);
                continue;
            }
            buf_reset(&jobs.out);
            for (unsigned reserve = 0; reserve < bench->batch; reserve++)
                buf_text(&jobs.out, "reserve\r\n");
            swarm_send(&swarm.links[i], jobs.out.data, jobs.out.len);
        }
        rc = swarm_run(&swarm);
    }
    if (rc == 0)
        rc = window_report(&swarm.window, swarm.counted);
    swarm_close(&swarm);
    buf_free(&jobs.out);
    return rc;
}
