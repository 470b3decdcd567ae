/* The store's doors: frames of any kind to the real store with its committer and a database in memory, also over restarts. What must
 * hold: every message is answered, with messages of the table; what was committed can be opened again. */
#include <ftw.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/log.h"
#include "proto/loop.h"
#include "store/store.h"
#include "tests/fuzz/sockets.h"
#include "tests/fuzz/steps.h"

#define ENDPOINT "tcp://127.0.0.1:1"
#define ARENA_LIMIT ((size_t)64 << 20)
#define PATIENCE_MS 10000

enum step_op {
    STEP_FRAME,
    STEP_BATCH, /* a batch with the epoch and the sequence that are due */
    STEP_READ,
    STEP_CLAIM,
    STEP_RESTART,
    STEP_PARTS,
    STEP_OPS,
};

static const uint16_t frame_ids[] = {MSG_EPOCH_CLAIM, MSG_BATCH_APPLY, MSG_SCAN,  MSG_QUERY, MSG_GET,
                                     MSG_LOG_READ,    MSG_PING,        MSG_HELLO, 0};
static const uint16_t batch_ids[] = {MSG_BATCH_APPLY, 0};
static const uint16_t read_ids[] = {MSG_SCAN, MSG_QUERY, MSG_QUERY, MSG_GET, MSG_LOG_READ, 0};

static const uint16_t *frames(unsigned op)
{
    return op == STEP_FRAME || op == STEP_PARTS ? frame_ids : op == STEP_BATCH ? batch_ids : op == STEP_READ ? read_ids : NULL;
}

const struct steps_plan steps_plan = {STEP_OPS, frames};

static struct loop *loop;
static struct settings *settings;
static struct store *store;
static struct arena *arena;
static struct msg msg;
static uint64_t epoch, seq; /* as granted, and acknowledged */
static unsigned answers;
static char folder[] = "/var/tmp/gantry-fuzz-XXXXXX"; /* or in memory */

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void on_sent(void *socket, unsigned peer, struct str frame)
{
    struct err err = {0};
    (void)socket, (void)peer;
    arena_reset(arena);
    check(msg_decode(arena, frame, &msg, &err) == 0);
    answers++;
    if (msg.shape->id == MSG_EPOCH_GRANT) {
        epoch = msg.u.epoch_grant.epoch;
        seq = msg.u.epoch_grant.applied;
    } else if (msg.shape->id == MSG_BATCH_ACK && msg.u.batch_ack.epoch == epoch) {
        seq = msg.u.batch_ack.seq;
    }
    loop_stop(loop);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    return remove(path);
}

static void folder_remove(void)
{
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void open_all(void)
{
    static char data[64];
    static char *argv[] = {"fuzz",
                           "--bus-store=" ENDPOINT,
                           data,
                           "--store-ballast-mb=0",
                           "--store-map-gb=1",
                           "--store-log-lines=10",
                           "--store-redo-mb=1",
                           NULL};
    struct err err = {0};
    log_init("fuzz", (enum log_level)(LOG_ERROR + 1));
    if (access("/dev/shm", W_OK) == 0)
        memcpy(folder, "/dev/shm", 8);
    check(mkdtemp(folder) != NULL);
    atexit(folder_remove);
    snprintf(data, sizeof data, "--data=%s/data", folder);
    settings = settings_load(7, argv, NULL, &err);
    loop = loop_new();
    arena = arena_new(ARENA_LIMIT);
    check(settings && loop && arena);
    sockets_sent = on_sent;
}

static void store_open(void)
{
    struct err err = {0};
    store = store_new(loop, settings, &err);
    check(store != NULL);
}

static void on_late(void *arg)
{
    (void)arg;
    abort(); /* nothing was answered */
}

static void on_wake(void *arg)
{
    (void)arg;
}

/* One message, and the loop until its answer has left. */
static void put(const struct str *parts, unsigned count)
{
    struct bus_server *server = sockets_owner(ENDPOINT);
    unsigned before = answers;
    sockets_put(sockets_find(ENDPOINT), 1, parts, count);
    bus_server_drain(server);
    if (count != 1)
        return; /* a message of two frames is not answered */
    int late = loop_after(loop, PATIENCE_MS, on_late, NULL);
    loop_after(loop, 0, on_wake, NULL); /* what came is handed on when a wake-up ends */
    while (answers == before)
        loop_run(loop);
    loop_cancel(loop, late);
}

static void put_batch(struct str frame)
{
    static struct msg batch;
    struct arena *space = arena_new(ARENA_LIMIT);
    struct buf out = {0};
    struct err err = {0};
    if (space && msg_decode(space, frame, &batch, &err) == 0 && batch.shape->id == MSG_BATCH_APPLY) {
        batch.u.batch.epoch = epoch ? epoch : 1;
        batch.u.batch.seq = seq + 1;
        check(codec_encode(&out, batch.shape, &batch.u, 0, (struct str){NULL, 0}, &err) == 0);
        struct str bytes = buf_str(&out);
        put(&bytes, 1);
    }
    buf_free(&out);
    arena_free(space);
}

static void claim(void)
{
    struct msg_epoch_claim message = {0};
    struct buf out = {0};
    check(msg_encode_epoch_claim(&out, &message, 1, (struct str){NULL, 0}, NULL) == 0);
    struct str bytes = buf_str(&out);
    put(&bytes, 1);
    check(epoch > 0);
    buf_free(&out);
}

static void step(const struct step *step)
{
    struct str parts[2] = {step->bytes, STR_LIT("more")};
    switch ((enum step_op)step->op) {
    case STEP_FRAME:
    case STEP_READ:
        put(parts, 1);
        break;
    case STEP_BATCH:
        put_batch(step->bytes);
        break;
    case STEP_CLAIM:
        claim();
        break;
    case STEP_RESTART:
        store_free(store);
        store_open();
        break;
    case STEP_PARTS:
    case STEP_OPS:
        put(parts, 2);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct step steps[STEPS_MAX];
    unsigned count = steps_read(data, size, steps);

    if (!loop)
        open_all();
    epoch = seq = 0;
    store_open();
    claim();
    for (unsigned i = 0; i < count; i++)
        step(&steps[i]);
    store_free(store);
    store_open();
    claim();
    store_free(store);
    store = NULL;
    char path[96];
    snprintf(path, sizeof path, "%s/data", folder);
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}
