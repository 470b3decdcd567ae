/* Requests over HTTP: as little client as possible, because it runs on the farm's cores. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/swarm.h"

struct requests {
    char text[2048];
    size_t len;
    char status[32]; /* "HTTP/1.1 201" */
};

static size_t take(struct link *link, const char *in, size_t len)
{
    const struct requests *requests = link->swarm->self;
    const char *body = strstr(in, "\r\n\r\n");
    const char *length = strcasestr(in, "content-length:");

    if (!body || !length || length > body)
        return 0;
    size_t size = (size_t)(body + 4 - in) + strtoul(length + 15, NULL, 10);
    if (len < size)
        return 0;
    if (strncmp(in, requests->status, strlen(requests->status)) != 0) {
        swarm_fail(link->swarm, in);
        return size;
    }
    swarm_count(link, 1);
    swarm_send(link, requests->text, requests->len);
    return size;
}

int requests_measure(struct bench *bench)
{
    struct requests requests;
    struct swarm swarm = {.self = &requests, .take = take};
    int len;

    snprintf(requests.status, sizeof requests.status, "HTTP/1.1 %d", bench->status);
    if (bench->body)
        len = snprintf(requests.text, sizeof requests.text,
                       "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       bench->path ? bench->path : "/", strlen(bench->body), bench->body);
    else
        len = snprintf(requests.text, sizeof requests.text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                       bench->path ? bench->path : "/");
    requests.len = (size_t)len;
    int rc = swarm_open(&swarm, bench, bench->at, bench->clients);
    if (rc == 0) {
        window_open(&swarm.window, bench);
        for (int i = 0; i < swarm.count; i++)
            swarm_send(&swarm.links[i], requests.text, requests.len);
        rc = swarm_run(&swarm);
    }
    if (rc == 0)
        rc = window_report(&swarm.window, swarm.counted);
    if (rc == 0)
        rc = samples_report(&swarm.samples, bench, "");
    swarm_close(&swarm);
    return rc;
}
