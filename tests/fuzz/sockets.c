#include "tests/fuzz/sockets.h"

#include <stdlib.h>

#include "proto/bus_socket.h"
#include "proto/loop.h"

#define SOCKETS 8
#define FRAMES 8

struct socket_fake {
    bool used;
    char endpoint[64];
    struct str in[FRAMES]; /* of the message that waits */
    unsigned count, at;
    char id[5];
    void *owner;
};

void *__wrap_socket_listen(int type, const char *endpoint, const struct bus_curve *curve, struct err *err);
void __wrap_socket_close(void *socket);
int __wrap_loop_add_socket(struct loop *loop, void *socket, loop_fn *fn, void *arg);
void __wrap_loop_remove_socket(struct loop *loop, void *socket);
int __wrap_socket_receive(void *socket, zmq_msg_t *msg, bool *more);
void __wrap_socket_skip(void *socket);
int __wrap_socket_send_pair(void *socket, struct str head, struct str body);

void (*sockets_sent)(void *socket, unsigned peer, struct str frame);

static struct socket_fake sockets[SOCKETS];

void *__wrap_socket_listen(int type, const char *endpoint, const struct bus_curve *curve, struct err *err)
{
    (void)type, (void)curve;
    for (int i = 0; i < SOCKETS; i++) {
        if (!sockets[i].used) {
            sockets[i] = (struct socket_fake){.used = true};
            str_copy(sockets[i].endpoint, sizeof sockets[i].endpoint, str_of(endpoint));
            return &sockets[i];
        }
    }
    err_set(err, ERR_NO_MEMORY, "no socket");
    return NULL;
}

void __wrap_socket_close(void *socket)
{
    if (socket)
        ((struct socket_fake *)socket)->used = false;
}

int __wrap_loop_add_socket(struct loop *loop, void *socket, loop_fn *fn, void *arg)
{
    (void)loop, (void)fn;
    ((struct socket_fake *)socket)->owner = arg;
    return 0;
}

void __wrap_loop_remove_socket(struct loop *loop, void *socket)
{
    (void)loop, (void)socket;
}

int __wrap_socket_receive(void *socket, zmq_msg_t *msg, bool *more)
{
    struct socket_fake *fake = socket;

    if (fake->at == fake->count)
        return -1;
    struct str frame = fake->in[fake->at++];
    if (zmq_msg_init_size(msg, frame.len) != 0)
        return -1;
    if (frame.len)
        memcpy(zmq_msg_data(msg), frame.ptr, frame.len);
    *more = fake->at < fake->count;
    return 0;
}

void __wrap_socket_skip(void *socket)
{
    struct socket_fake *fake = socket;
    fake->at = fake->count;
}

int __wrap_socket_send_pair(void *socket, struct str head, struct str body)
{
    const struct socket_fake *fake = socket;
    unsigned to = 0;

    if (head.len == sizeof fake->id)
        memcpy(&to, head.ptr + 1, sizeof to);
    if (sockets_sent)
        sockets_sent(socket, to, body);
    return 0;
}

void *sockets_find(const char *endpoint)
{
    for (int i = 0; i < SOCKETS; i++) {
        if (sockets[i].used && strcmp(sockets[i].endpoint, endpoint) == 0)
            return &sockets[i];
    }
    return NULL;
}

void *sockets_owner(const char *endpoint)
{
    struct socket_fake *fake = sockets_find(endpoint);
    return fake ? fake->owner : NULL;
}

void sockets_put(void *socket, unsigned peer, const struct str *frames, unsigned count)
{
    struct socket_fake *fake = socket;

    memcpy(fake->id + 1, &peer, sizeof peer);
    fake->in[0] = (struct str){fake->id, sizeof fake->id};
    fake->at = 0;
    fake->count = 1;
    for (unsigned i = 0; i < count && fake->count < FRAMES; i++)
        fake->in[fake->count++] = frames[i];
}
