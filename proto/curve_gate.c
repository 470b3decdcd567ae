/* A thread that answers ZeroMQ's questions and does nothing else. CURVE has proven by then that the peer has the secret half of its key. */
#include "proto/curve_gate.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <zmq.h>

#include "proto/curve_keys.h"
#include "proto/messages.h"

#define ENDPOINT "inproc://zeromq.zap.01"
#define KEY_BYTES 32

enum part { PART_VERSION, PART_SEQUENCE, PART_DOMAIN, PART_ADDRESS, PART_IDENTITY, PART_MECHANISM, PART_KEY, PARTS };

#define LISTS 4

struct list {
    char folder[PATH_MAX];
    struct curve_keys *keys;
};

static struct {
    bool open;
    void *socket;
    struct list lists[LISTS];
    atomic_int count; /* of lists; the thread sees those that were whole before it grew */
    pthread_t thread;
} gate;

/* Reads one whole question; answers how many parts it had, -1 when the context is gone. Parts beyond the last are read away. */
static int question_read(zmq_msg_t parts[PARTS])
{
    bool more = true;
    int count = 0;

    for (; more; count++) {
        zmq_msg_t beyond, *part = count < PARTS ? &parts[count] : &beyond;
        zmq_msg_init(part);
        while (zmq_msg_recv(part, gate.socket, 0) < 0) {
            if (errno != EINTR) {
                return -1;
            }
        }
        more = zmq_msg_more(part);
        if (count >= PARTS) {
            zmq_msg_close(part);
        }
    }
    return count;
}

static struct str part_str(zmq_msg_t *part)
{
    return (struct str){zmq_msg_data(part), (uint32_t)zmq_msg_size(part)};
}

static struct curve_keys *keys_of_domain(struct str domain)
{
    int number = domain.len == 1 ? domain.ptr[0] - '0' : -1;
    return number >= 0 && number < atomic_load(&gate.count) ? gate.lists[number].keys : NULL;
}

/* key: as text, when it is let in. */
static bool lets_in(zmq_msg_t parts[PARTS], int count, char key[CURVE_KEY + 1])
{
    if (count != PARTS || !str_is(part_str(&parts[PART_MECHANISM]), "CURVE") || zmq_msg_size(&parts[PART_KEY]) != KEY_BYTES ||
        zmq_z85_encode(key, zmq_msg_data(&parts[PART_KEY]), KEY_BYTES) == NULL) {
        return false;
    }
    struct curve_keys *keys = keys_of_domain(part_str(&parts[PART_DOMAIN]));
    if (keys == NULL) {
        return false;
    }
    curve_keys_look(keys); /* a key that was added this moment is not refused */
    return curve_keys_has(keys, str_of(key));
}

enum { SAYS_VERSION, SAYS_SEQUENCE, SAYS_STATUS, SAYS_TEXT, SAYS_USER, SAYS_METADATA, SAYS };

/* All parts are made before the first is sent: an answer that ends in the middle would be the last one. */
static int parts_make(zmq_msg_t made[SAYS], const struct str texts[SAYS])
{
    for (int i = 0; i < SAYS; i++) {
        if (zmq_msg_init_size(&made[i], texts[i].len) != 0) {
            while (i-- > 0) {
                zmq_msg_close(&made[i]);
            }
            return -1;
        }
        if (texts[i].len > 0) {
            memcpy(zmq_msg_data(&made[i]), texts[i].ptr, texts[i].len);
        }
    }
    return 0;
}

/* Without memory for the key the peer is told to come again; those parts are short enough to need none. */
static void answer(struct str sequence, bool in, const char *key)
{
    const struct str yes[SAYS] = {STR_LIT("1.0"), sequence, STR_LIT("200"), STR_LIT("OK"), str_of(key), STR_LIT("")};
    const struct str no[SAYS] = {STR_LIT("1.0"), sequence, STR_LIT("400"), STR_LIT("No access"), STR_LIT(""), STR_LIT("")};
    const struct str later[SAYS] = {STR_LIT("1.0"), sequence, STR_LIT("300"), STR_LIT("No memory"), STR_LIT(""), STR_LIT("")};
    zmq_msg_t parts[SAYS];

    if (parts_make(parts, in ? yes : no) != 0 && parts_make(parts, later) != 0) {
        return;
    }
    for (int i = 0; i < SAYS; i++) {
        while (zmq_msg_send(&parts[i], gate.socket, i + 1 < SAYS ? ZMQ_SNDMORE : 0) < 0 && errno == EINTR) {}
        zmq_msg_close(&parts[i]);
    }
}

static void *gate_run(void *arg)
{
    zmq_msg_t parts[PARTS];
    int count;

    while ((count = question_read(parts)) >= 0) {
        char key[CURVE_KEY + 1] = "";
        bool in = lets_in(parts, count, key);
        answer(count > PART_SEQUENCE ? part_str(&parts[PART_SEQUENCE]) : STR_LIT(""), in, key);
        for (int i = 0; i < count && i < PARTS; i++) {
            zmq_msg_close(&parts[i]);
        }
    }
    zmq_close(gate.socket);
    return arg;
}

static int thread_start(void)
{
    sigset_t all, before;

    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&gate.thread, NULL, gate_run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static int gate_start(void *context, struct err *err)
{
    int linger = 0;

    gate.socket = zmq_socket(context, ZMQ_REP);
    if (gate.socket == NULL || zmq_setsockopt(gate.socket, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
        zmq_bind(gate.socket, ENDPOINT) != 0 || thread_start() != 0) {
        err_set(err, ERR_NO_MEMORY, "who is let in cannot be asked: %s", zmq_strerror(errno));
        if (gate.socket != NULL) {
            zmq_close(gate.socket);
        }
        return -1;
    }
    gate.open = true;
    return 0;
}

static int list_add(const char *folder, struct err *err)
{
    int count = atomic_load(&gate.count);

    for (int i = 0; i < count; i++) {
        if (strcmp(gate.lists[i].folder, folder) == 0) {
            return i;
        }
    }
    if (count == LISTS || !str_copy(gate.lists[count].folder, PATH_MAX, str_of(folder))) {
        return err_set(err, ERR_LIMIT, "%s: one list of keys too many, or its path is too long", folder);
    }
    gate.lists[count].keys = curve_keys_new(folder);
    if (gate.lists[count].keys == NULL) {
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    atomic_store(&gate.count, count + 1);
    return count;
}

int curve_gate_open(void *context, const char *folder, char domain[CURVE_DOMAIN], struct err *err)
{
    int number = list_add(folder, err);

    if (number < 0 || (!gate.open && gate_start(context, err) != 0)) {
        return -1;
    }
    snprintf(domain, CURVE_DOMAIN, "%d", number);
    return 0;
}

void curve_gate_close(void)
{
    if (gate.open) {
        pthread_join(gate.thread, NULL);
        gate.open = false;
    }
    for (int i = 0; i < atomic_load(&gate.count); i++) {
        curve_keys_free(gate.lists[i].keys);
        gate.lists[i].keys = NULL;
    }
    atomic_store(&gate.count, 0);
}
