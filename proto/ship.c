/* Lines wait in one block of memory, each behind its length. What is in front is taken for the next message; when a line does not fit,
 * those in front go, or it does not come in. The message under way is a copy of its own, so that lines may be put at any time.
 *
 * Invariants: the mutex is never held while a port or the loop is called, but for setting a timer by the loop's own thread; from
 * ask until its reply nothing else is sent; every line put is sent, or counted as dropped.
 */
#include "proto/ship.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/clock.h"

#define TICK_MS 1000
#define ROOM_FOR_ALL (SHIP_HOLDS / 4 * 3) /* what is above is for warnings and errors */
#define SIZE (2 * SHIP_HOLDS)             /* lines move to its beginning when they reach its end */
#define ENTRIES 1000                      /* msg_log_lines.entries */

/* A line in memory: this, then its texts. */
struct slot {
    uint64_t at;
    uint32_t bytes; /* with its texts, and rounded up */
    uint16_t text;
    uint8_t level, service, code, rid, source; /* lengths, but for level */
};

struct ship {
    struct loop *loop;
    pthread_t thread;
    int timer, tick; /* timer is made ahead: enough has gathered */
    bool attached, refused, asking, over;
    struct ship_port port;

    pthread_mutex_t mutex; /* guards what follows */
    char *data;
    size_t begin, end;
    uint64_t dropped; /* since the last message */
    bool hurried;

    /* the message that is next, or under way */
    char *taken;
    size_t taken_bytes;
    uint32_t count;
    uint64_t lost; /* dropped before it */
    struct rec_log_entry entries[ENTRIES + 1];
    char words[64]; /* of the line that tells what was lost */
};

/* ---- lines in memory ---- */

static struct slot slot_at(const char *data)
{
    struct slot slot;

    memcpy(&slot, data, sizeof slot);
    return slot;
}

static char *text_put(char *out, struct str text, uint32_t len)
{
    if (len > 0)
        memcpy(out, text.ptr, len);
    return out + len;
}

static struct str text_take(const char **at, uint32_t len)
{
    struct str text = {*at, len};

    *at += len;
    return text;
}

/* Makes room for so many bytes behind the others. */
static void room_make(struct ship *ship, size_t bytes)
{
    while (ship->end - ship->begin + bytes > SHIP_HOLDS) {
        ship->begin += slot_at(ship->data + ship->begin).bytes;
        ship->dropped++;
        log_count_unsent(1);
    }
    if (ship->end + bytes > SIZE) {
        memmove(ship->data, ship->data + ship->begin, ship->end - ship->begin);
        ship->end -= ship->begin;
        ship->begin = 0;
    }
}

void ship_put(struct ship *ship, const struct rec_log_entry *entry)
{
    struct slot slot = {.at = entry->at,
                        .level = (uint8_t)entry->level,
                        .service = (uint8_t)str_cut(entry->service, 32).len,
                        .code = (uint8_t)str_cut(entry->code, 64).len,
                        .rid = (uint8_t)str_cut(entry->request_id, 64).len,
                        .source = (uint8_t)str_cut(entry->source, 64).len,
                        .text = (uint16_t)str_cut(entry->text, SHIP_TEXT).len};
    size_t bytes = sizeof slot + slot.service + slot.code + slot.rid + slot.source + slot.text;

    slot.bytes = (uint32_t)((bytes + 7) & ~(size_t)7);
    pthread_mutex_lock(&ship->mutex);
    bool full = entry->level < LOG_WARN && ship->end - ship->begin + slot.bytes > ROOM_FOR_ALL;
    if (ship->refused || full) {
        ship->dropped++;
        log_count_unsent(1);
    } else {
        room_make(ship, slot.bytes);
        char *at = ship->data + ship->end;
        memcpy(at, &slot, sizeof slot);
        at = text_put(at + sizeof slot, entry->service, slot.service);
        at = text_put(at, entry->code, slot.code);
        at = text_put(at, entry->request_id, slot.rid);
        at = text_put(at, entry->source, slot.source);
        text_put(at, entry->text, slot.text);
        ship->end += slot.bytes;
    }
    bool hurry = ship->end - ship->begin >= SHIP_BYTES && !ship->hurried && pthread_equal(ship->thread, pthread_self());
    if (hurry) {
        ship->hurried = true;
        loop_set(ship->loop, ship->timer, ship->asking ? SHIP_PAUSE_MS : 0, 0);
    }
    pthread_mutex_unlock(&ship->mutex);
}

void ship_keep(void *self, const struct log_said *said)
{
    const struct rec_log_entry entry = {.at = said->at,
                                        .level = said->level,
                                        .service = str_of(said->service),
                                        .code = str_of(said->code),
                                        .request_id = str_of(said->rid),
                                        .text = said->text};
    ship_put(self, &entry);
}

void ship_missed(struct ship *ship, uint64_t lines)
{
    pthread_mutex_lock(&ship->mutex);
    ship->dropped += lines;
    pthread_mutex_unlock(&ship->mutex);
    log_count_unsent(lines);
}

/* ---- messages ---- */

/* The oldest lines become the next message. */
static void lines_take(struct ship *ship)
{
    pthread_mutex_lock(&ship->mutex);
    size_t end = ship->begin;
    for (uint32_t lines = 0; end < ship->end && lines < ENTRIES - 1; lines++) {
        uint32_t bytes = slot_at(ship->data + end).bytes;
        if (end - ship->begin + bytes > SHIP_BYTES)
            break;
        end += bytes;
    }
    ship->taken_bytes = end - ship->begin;
    memcpy(ship->taken, ship->data + ship->begin, ship->taken_bytes);
    ship->begin = end;
    if (ship->begin == ship->end)
        ship->begin = ship->end = 0;
    ship->lost = ship->dropped;
    ship->dropped = 0;
    ship->hurried = false;
    pthread_mutex_unlock(&ship->mutex);
}

static struct rec_log_entry entry_of(const struct slot *slot, const char *at)
{
    struct rec_log_entry entry = {.at = slot->at, .level = slot->level};

    at += sizeof *slot;
    entry.service = text_take(&at, slot->service);
    entry.code = text_take(&at, slot->code);
    entry.request_id = text_take(&at, slot->rid);
    entry.source = text_take(&at, slot->source);
    entry.text = text_take(&at, slot->text);
    return entry;
}

static void entries_make(struct ship *ship)
{
    ship->count = 0;
    for (size_t at = 0; at < ship->taken_bytes;) {
        struct slot slot = slot_at(ship->taken + at);
        struct rec_log_entry *entry = &ship->entries[ship->count++];
        if (ship->lost > 0 && at == 0) { /* readers see where lines are missing */
            *entry = entry_of(&slot, ship->taken);
            snprintf(ship->words, sizeof ship->words, "lines=%llu were dropped", (unsigned long long)ship->lost);
            *entry = (struct rec_log_entry){.at = entry->at,
                                            .level = LOG_WARN,
                                            .service = entry->service,
                                            .source = entry->source,
                                            .code = STR_LIT("GTY-LOG-DROPPED"),
                                            .text = str_of(ship->words)};
            entry = &ship->entries[ship->count++];
        }
        *entry = entry_of(&slot, ship->taken + at);
        at += slot.bytes;
    }
}

static void on_reply(void *arg, const struct msg *msg, const struct err *err)
{
    struct ship *ship = arg;
    bool taken = msg && msg->shape->id == MSG_LOG_TAKEN;
    bool unknown = msg && msg->shape->id == MSG_ERROR && msg->u.error.code == ERR_PROTOCOL;
    (void)err;

    ship->asking = false;
    if (ship->over)
        return;
    pthread_mutex_lock(&ship->mutex);
    if (!taken) {
        uint32_t lines = ship->count - (ship->lost > 0);
        ship->dropped += lines + ship->lost;
        log_count_unsent(lines);
    }
    ship->dropped += taken ? msg->u.log_taken.dropped : 0; /* counted there, told here */
    ship->refused = unknown;
    ship->count = 0;
    bool more = ship->end - ship->begin >= SHIP_BYTES;
    pthread_mutex_unlock(&ship->mutex);
    if (more && !unknown)
        loop_set(ship->loop, ship->timer, SHIP_PAUSE_MS, 0);
}

void ship_flush(struct ship *ship)
{
    if (ship->asking || !ship->attached || ship->refused)
        return;
    if (ship->count == 0) {
        lines_take(ship);
        entries_make(ship);
    }
    if (ship->count == 0) { /* what was dropped is told with the next line */
        pthread_mutex_lock(&ship->mutex);
        ship->dropped += ship->lost;
        pthread_mutex_unlock(&ship->mutex);
        return;
    }
    struct msg_log_lines lines = {.entries = {ship->entries, ship->count}, .dropped = ship->lost};
    ship->asking = true; /* a reply may come at once */
    if (!ship->port.ask(ship->port.self, &lines, on_reply, ship))
        ship->asking = false;
}

void ship_end(struct ship *ship)
{
    if (ship->asking)
        ship->count = 0; /* these are under way */
    do {
        ship->asking = false;
        ship_flush(ship);
        if (ship->asking)
            ship->count = 0;
    } while (ship->asking);
    ship->over = true;
}

static void on_time(void *arg)
{
    struct ship *ship = arg;
    if (!ship->over)
        ship_flush(ship);
}

/* ---- life ---- */

struct ship *ship_new(struct loop *loop)
{
    struct ship *ship = calloc(1, sizeof *ship);

    if (!ship)
        return NULL;
    ship->loop = loop;
    ship->thread = pthread_self();
    pthread_mutex_init(&ship->mutex, NULL);
    ship->data = malloc(SIZE);
    ship->taken = malloc(SHIP_BYTES);
    ship->timer = loop_timer(loop, on_time, ship);
    ship->tick = loop_every(loop, TICK_MS, on_time, ship);
    if (!ship->data || !ship->taken || ship->timer < 0 || ship->tick < 0) {
        ship_free(ship);
        return NULL;
    }
    return ship;
}

void ship_free(struct ship *ship)
{
    if (!ship)
        return;
    loop_cancel(ship->loop, ship->timer);
    loop_cancel(ship->loop, ship->tick);
    pthread_mutex_destroy(&ship->mutex);
    free(ship->data);
    free(ship->taken);
    free(ship);
}

void ship_attach(struct ship *ship, const struct ship_port *port)
{
    ship->attached = port != NULL;
    if (port)
        ship->port = *port;
    pthread_mutex_lock(&ship->mutex);
    ship->refused = false;
    pthread_mutex_unlock(&ship->mutex);
}
