#include "tests/bench/swarm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/clock.h"

#define IN_SIZE (1u << 20)
#define SILENCE_MS 60000

int swarm_open(struct swarm *swarm, struct bench *bench, const char *at, int count)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64];
    int port;
    int one = 1;

    swarm->bench = bench;
    swarm->count = count;
    swarm->epoll = epoll_create1(EPOLL_CLOEXEC);
    swarm->links = calloc((size_t)count, sizeof *swarm->links);
    swarm->held = calloc((size_t)count, sizeof(struct link *));
    if (!swarm->links || !swarm->held)
        return bench_fail("memory", "there is none");
    if (!at || sscanf(at, "%63[^:]:%d", host, &port) != 2 || inet_pton(AF_INET, host, &address.sin_addr) != 1)
        return bench_fail("--at", "it is ADDRESS:PORT");
    address.sin_port = htons((uint16_t)port);
    for (int i = 0; i < count; i++) {
        struct link *link = &swarm->links[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = link};
        *link = (struct link){.swarm = swarm, .number = i, .in_size = IN_SIZE, .in = malloc(IN_SIZE + 1)};
        link->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (!link->in || link->fd < 0 || connect(link->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
            epoll_ctl(swarm->epoll, EPOLL_CTL_ADD, link->fd, &event) != 0)
            return bench_fail(at, strerror(errno));
        setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    return 0;
}

void swarm_close(struct swarm *swarm)
{
    for (int i = 0; swarm->links && i < swarm->count; i++) {
        if (swarm->links[i].fd > 0)
            close(swarm->links[i].fd);
        free(swarm->links[i].in);
    }
    free(swarm->links);
    free(swarm->held);
    close(swarm->epoll);
    samples_free(&swarm->samples);
}

void swarm_fail(struct swarm *swarm, const char *why)
{
    if (!swarm->failed)
        bench_fail(swarm->bench->at ? swarm->bench->at : "the farm", why);
    swarm->failed = true;
}

void swarm_send(struct link *link, const char *bytes, size_t len)
{
    link->asked_us = clock_mono_us();
    while (len > 0) {
        ssize_t sent = send(link->fd, bytes, len, MSG_NOSIGNAL);
        if (sent < 0) {
            swarm_fail(link->swarm, strerror(errno));
            return;
        }
        bytes += sent;
        len -= (size_t)sent;
    }
}

void swarm_count(struct link *link, uint64_t n)
{
    struct swarm *swarm = link->swarm;

    if (swarm->window.phase != PHASE_COUNT)
        return;
    swarm->counted += n;
    samples_add(&swarm->samples, clock_mono_us() - link->asked_us);
}

void swarm_put(struct link *link)
{
    struct swarm *swarm = link->swarm;

    if (swarm->open < OPEN_MOST)
        swarm->put(link);
    else
        swarm->held[swarm->held_count++] = link;
}

void swarm_opened(struct swarm *swarm, uint64_t n)
{
    swarm->open += n;
    window_queue(&swarm->window, swarm->open);
}

void swarm_done(struct link *link, uint64_t n)
{
    struct swarm *swarm = link->swarm;

    swarm_count(link, n);
    swarm->open -= n;
    window_queue(&swarm->window, swarm->open);
    while (swarm->held_count > 0 && swarm->open < OPEN_MOST)
        swarm->put(swarm->held[--swarm->held_count]);
}

static void link_read(struct link *link)
{
    struct swarm *swarm = link->swarm;
    ssize_t got = recv(link->fd, link->in + link->in_len, link->in_size - link->in_len, MSG_DONTWAIT);

    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            swarm_fail(swarm, got == 0 ? "a connection was closed" : strerror(errno));
        return;
    }
    link->in_len += (size_t)got;
    link->in[link->in_len] = '\0';
    size_t taken = swarm->take(link, link->in, link->in_len);
    link->in_len -= taken;
    memmove(link->in, link->in + taken, link->in_len + 1);
    if (link->in_len == link->in_size)
        swarm_fail(swarm, "an answer is too long");
}

int swarm_turn_us(struct swarm *swarm, uint64_t wait_us)
{
    struct epoll_event events[256];
    struct timespec wait = {.tv_sec = (time_t)(wait_us / 1000000), .tv_nsec = (long)(wait_us % 1000000 * 1000)};
    int ready = epoll_pwait2(swarm->epoll, events, 256, &wait, NULL);

    for (int i = 0; i < ready && !swarm->failed; i++)
        link_read(events[i].data.ptr);
    return ready;
}

int swarm_turn(struct swarm *swarm, int wait_ms)
{
    return swarm_turn_us(swarm, (uint64_t)wait_ms * 1000);
}

int swarm_run(struct swarm *swarm)
{
    while (!swarm->failed && window_tick(&swarm->window) != PHASE_OVER)
        if (swarm_turn(swarm, SILENCE_MS) == 0)
            swarm_fail(swarm, "no answer in time");
    return swarm->failed ? -1 : 0;
}
