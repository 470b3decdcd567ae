/* A thread that answers ZeroMQ's questions and does nothing else. CURVE has proven by then that the peer has the secret half of its key. */
#include "proto/curve_gate.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <zmq.h>

#include "proto/curve_keys.h"
#include "proto/messages.h"

#define ENDPOINT "inproc://zeromq.zap.01"
#define KEY_BYTES 32

enum part { PART_VERSION, PART_SEQUENCE, PART_DOMAIN, PART_ADDRESS, PART_IDENTITY, PART_MECHANISM, PART_KEY, PARTS };

static struct {
    bool open;
    void *socket;
    struct curve_keys *keys;
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

/* key: as text, when it is let in. */
static bool lets_in(zmq_msg_t parts[PARTS], int count, char key[CURVE_KEY + 1])
{
    if (count != PARTS || !str_is(part_str(&parts[PART_MECHANISM]), "CURVE") || zmq_msg_size(&parts[PART_KEY]) != KEY_BYTES ||
        zmq_z85_encode(key, zmq_msg_data(&parts[PART_KEY]), KEY_BYTES) == NULL) {
        return false;
    }
    curve_keys_look(gate.keys); /* a key that was added this moment is not refused */
    return curve_keys_has(gate.keys, str_of(key));
}

static int say(struct str text, int flags)
{
    return zmq_send(gate.socket, text.ptr, text.len, flags);
}

static void answer(struct str sequence, bool in, const char *key)
{
    const struct str parts[] = {STR_LIT("1.0"),
                                sequence,
                                in ? STR_LIT("200") : STR_LIT("400"),
                                in ? STR_LIT("OK") : STR_LIT("No access"),
                                in ? str_of(key) : STR_LIT(""),
                                STR_LIT("")};
    const int last = sizeof parts / sizeof *parts - 1;

    for (int i = 0; i <= last; i++) {
        if (say(parts[i], i < last ? ZMQ_SNDMORE : 0) < 0) {
            return; /* the context is gone */
        }
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

int curve_gate_open(void *context, const char *folder, struct err *err)
{
    int linger = 0;

    if (gate.open) {
        return 0;
    }
    gate.keys = curve_keys_new(folder);
    gate.socket = zmq_socket(context, ZMQ_REP);
    if (gate.keys == NULL || gate.socket == NULL || zmq_setsockopt(gate.socket, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
        zmq_bind(gate.socket, ENDPOINT) != 0 || thread_start() != 0) {
        err_set(err, ERR_NO_MEMORY, "who is let in cannot be asked: %s", zmq_strerror(errno));
        goto error;
    }
    gate.open = true;
    return 0;
error:
    if (gate.socket != NULL) {
        zmq_close(gate.socket);
    }
    curve_keys_free(gate.keys);
    gate.keys = NULL;
    return -1;
}

void curve_gate_close(void)
{
    if (gate.open) {
        pthread_join(gate.thread, NULL);
        curve_keys_free(gate.keys);
        gate.keys = NULL;
        gate.open = false;
    }
}
