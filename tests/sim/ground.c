/* What the scheduler's process stands on, simulated: proto/loop.h, bus.h, clock.h, log.h and randomness. Only what the scheduler calls.
 *
 * A wake-up handles what has arrived (BUS_FAIR messages of a socket at most), then timers, then what was set with loop_on_settle, as
 * proto/loop.c does. Everything it sends goes through sched_letter and the link; a dying process sends nothing any more. */
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>

#include "proto/clock.h"
#include "proto/log.h"
#include "tests/sim/sim.h"

#define BUS_FAIR 1000
#define TIMERS 32
#define ASK_TICK_MS 250

struct inbox {
    struct packet *first, *last;
};

struct bus_server {
    struct loop *loop;
    const struct bus_route *routes;
    void *self;
    struct inbox inbox;
};

struct request {
    uint64_t corr, deadline;
    bus_reply *reply;
    void *arg;
    struct request *next;
    uint32_t len;
    char frame[];
};

struct bus_client {
    struct loop *loop;
    struct bus_client_events events;
    void *self;
    bool up, gone;        /* gone: the connection is lost, which it has not noticed yet */
    uint32_t link;        /* the connection's number at the store; 0: none */
    uint64_t last, tries; /* last: arrival of the newest frame; tries: number of the connection tried */
    uint64_t next_corr;
    struct request *oldest; /* open ones, in the order of asking */
    int timer;
    struct inbox inbox;
    struct buf out;
};

struct loop {
    uint32_t place;
    loop_fn *settle;
    void *settle_arg;
    struct {
        int id;
        uint64_t due; /* NEVER: it waits to be set */
        loop_fn *fn;
        void *arg;
        bool kept; /* made by loop_timer */
    } timers[TIMERS];
    int timer_count, next_timer;
    uint64_t armed, turn; /* when the next event of a kind comes; NEVER: none is planned */
    bool stopped;
    struct bus_server *servers[2];
    struct bus_client *client;
};

/* ---- clock, log, randomness ---- */

uint64_t __wrap_clock_mono_ms(void);
uint64_t __wrap_clock_mono_ms(void)
{
    return sim.now;
}

uint64_t __wrap_clock_mono_us(void);
uint64_t __wrap_clock_mono_us(void)
{
    return sim.now * 1000;
}

uint64_t __wrap_clock_wall_ms(void);
uint64_t __wrap_clock_wall_ms(void)
{
    return wall_now();
}

void randombytes_buf(void *const out, const size_t size)
{
    for (size_t at = 0; at < size; at += 8) {
        uint64_t bits = roll();
        memcpy((char *)out + at, &bits, size - at < 8 ? size - at : 8);
    }
}

static uint32_t running; /* whose code runs: its place */

uint32_t ground_running(void)
{
    return running;
}

void log_line(enum log_level level, const char *id, const char *format, ...)
{
    char text[1024];
    va_list args;
    if (level < LOG_INFO || !check_wants(id))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    check_log(running, id, text);
}

void log_init(const char *service, enum log_level level)
{
    (void)service, (void)level;
}

void log_set_level(enum log_level level)
{
    (void)level;
}

int log_level_parse(struct str word)
{
    (void)word;
    return 0;
}

const char *log_level_name(unsigned level)
{
    (void)level;
    return "";
}

struct log_counts log_counts(void)
{
    return (struct log_counts){0};
}

void log_request(struct str rid)
{
    (void)rid;
}

/* ---- the loop ---- */

struct loop *ground_loop(uint32_t place)
{
    struct loop *loop = calloc(1, sizeof *loop);
    *loop = (struct loop){.place = place, .armed = NEVER, .turn = NEVER};
    return loop;
}

void ground_free(struct loop *loop)
{
    free(loop);
}

void ground_wake(struct loop *loop)
{
    uint64_t at = scheds[loop->place].frozen_until > sim.now ? scheds[loop->place].frozen_until : sim.now;
    if (loop->turn <= at && loop->turn >= sim.now)
        return;
    loop->turn = at;
    wheel_add(at, EVENT_TURN, loop->place, NULL, scheds[loop->place].start);
}

static void loop_arm(struct loop *loop)
{
    uint64_t due = NEVER;
    for (int i = 0; i < loop->timer_count; i++)
        due = loop->timers[i].due < due ? loop->timers[i].due : due;
    if (due < loop->armed) {
        loop->armed = due;
        wheel_add(due, EVENT_LOOP, loop->place, NULL, scheds[loop->place].start);
    }
}

void ground_timer(struct loop *loop)
{
    if (loop->armed <= sim.now) {
        loop->armed = NEVER;
        ground_wake(loop);
    }
}

static int timer_add(struct loop *loop, uint64_t due, loop_fn *fn, void *arg, bool kept)
{
    if (loop->timer_count == TIMERS)
        broken(0, "the scheduler has more timers than it ever should");
    int at = loop->timer_count++;
    loop->timers[at].id = loop->next_timer++;
    loop->timers[at].due = due;
    loop->timers[at].fn = fn;
    loop->timers[at].arg = arg;
    loop->timers[at].kept = kept;
    loop_arm(loop);
    return loop->timers[at].id;
}

int loop_after(struct loop *loop, uint64_t delay_ms, loop_fn *fn, void *arg)
{
    return timer_add(loop, sim.now + delay_ms, fn, arg, false);
}

int loop_timer(struct loop *loop, loop_fn *fn, void *arg)
{
    return timer_add(loop, NEVER, fn, arg, true);
}

void loop_set(struct loop *loop, int timer, uint64_t delay_ms, uint64_t interval_ms)
{
    if (interval_ms)
        broken(0, "the scheduler sets a timer that repeats, which nobody simulates");
    for (int i = 0; i < loop->timer_count; i++)
        if (loop->timers[i].id == timer)
            loop->timers[i].due = sim.now + delay_ms;
    loop_arm(loop);
}

void loop_cancel(struct loop *loop, int timer)
{
    for (int i = 0; i < loop->timer_count; i++)
        if (loop->timers[i].id == timer) {
            loop->timers[i] = loop->timers[--loop->timer_count];
            return;
        }
}

void loop_on_settle(struct loop *loop, loop_fn *fn, void *arg)
{
    loop->settle = fn;
    loop->settle_arg = arg;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

/* The one due first, of the same ms the one set first. */
static int timer_due(const struct loop *loop)
{
    int best = -1;
    for (int i = 0; i < loop->timer_count; i++)
        if (loop->timers[i].due <= sim.now &&
            (best < 0 || loop->timers[i].due < loop->timers[best].due ||
             (loop->timers[i].due == loop->timers[best].due && loop->timers[i].id < loop->timers[best].id)))
            best = i;
    return best;
}

static void client_read(struct bus_client *client);
static void client_down(struct bus_client *client);

bool ground_turn(struct loop *loop)
{
    int due;
    running = loop->place;
    loop->turn = NEVER;
    if (loop->client)
        client_read(loop->client);
    if (loop->client && loop->client->gone)
        client_down(loop->client);
    for (int i = 0; i < 2; i++)
        if (loop->servers[i])
            bus_server_drain(loop->servers[i]);
    for (int i = 0; i < TIMERS && (due = timer_due(loop)) >= 0; i++) {
        loop_fn *fn = loop->timers[due].fn;
        void *arg = loop->timers[due].arg;
        if (loop->timers[due].kept)
            loop->timers[due].due = NEVER;
        else
            loop->timers[due] = loop->timers[--loop->timer_count];
        fn(arg);
    }
    if (loop->settle && !loop->stopped)
        loop->settle(loop->settle_arg);
    loop_arm(loop);
    if ((loop->client && loop->client->inbox.first) || (loop->servers[0] && loop->servers[0]->inbox.first) ||
        (loop->servers[1] && loop->servers[1]->inbox.first))
        ground_wake(loop);
    return !loop->stopped;
}

/* ---- mail ---- */

static void inbox_add(struct inbox *inbox, struct packet *packet)
{
    packet->next = NULL;
    if (inbox->last)
        inbox->last->next = packet;
    else
        inbox->first = packet;
    inbox->last = packet;
}

static struct packet *inbox_take(struct inbox *inbox)
{
    struct packet *packet = inbox->first;
    if (packet) {
        inbox->first = packet->next;
        if (!inbox->first)
            inbox->last = NULL;
    }
    return packet;
}

static void inbox_clear(struct inbox *inbox)
{
    struct packet *packet;
    while ((packet = inbox_take(inbox)))
        free(packet);
}

/* ---- servers ---- */

struct bus_server *bus_server_new(struct loop *loop, const char *endpoint, const struct bus_curve *curve,
                                  const struct bus_route *routes, void *self, struct err *err)
{
    struct bus_server *server = calloc(1, sizeof *server);
    (void)curve, (void)err;
    *server = (struct bus_server){.loop = loop, .routes = routes, .self = self};
    loop->servers[strstr(endpoint, "workers") ? DOOR_WORKERS : DOOR_COMMANDS] = server;
    return server;
}

void bus_server_limit(struct bus_server *server, uint16_t id, uint32_t bytes_s)
{
    (void)server, (void)id, (void)bytes_s; /* who floods a door is no matter of a simulation */
}

void bus_server_on_ping(struct bus_server *server, void (*fill)(void *self, struct msg_pong *pong))
{
    (void)server, (void)fill;
}

void bus_server_free(struct bus_server *server)
{
    if (!server)
        return;
    for (int i = 0; i < 2; i++)
        if (server->loop->servers[i] == server)
            server->loop->servers[i] = NULL;
    inbox_clear(&server->inbox);
    free(server);
}

bool bus_server_keys_changed(struct bus_server *server)
{
    (void)server;
    return false;
}

bool bus_server_lets_in(const struct bus_server *server, struct str key)
{
    (void)server, (void)key;
    return true;
}

void ground_message(struct loop *loop, struct packet *packet)
{
    struct bus_server *server = loop->servers[net_of(packet->from)->door_workers ? DOOR_WORKERS : DOOR_COMMANDS];
    if (!server) {
        free(packet);
        return;
    }
    inbox_add(&server->inbox, packet);
    ground_wake(loop);
}

static void server_handle(struct bus_server *server, const struct packet *packet)
{
    static struct msg msg;
    struct bus_call call = {.server = server, .peer = {.len = 5}, .msg = &msg, .frame = {packet->bytes, packet->len}};
    struct err err = {0};
    memcpy(call.peer.id + 1, &packet->from, sizeof packet->from);
    arena_reset(sim.arena);
    if (msg_decode(sim.arena, call.frame, &msg, &err))
        broken(0, "a peer's frame cannot be decoded: %s", err.text);
    check_handled(server->loop->place, net_of(packet->from), &msg);
    if (sim.trace)
        tell_message(net_of(packet->from)->kind == PEER_WORKER ? "worker" : "client", net_of(packet->from)->who, &msg);
    for (const struct bus_route *route = server->routes; route->handle; route++)
        if (route->id == msg.shape->id) {
            route->handle(server->self, &call);
            return;
        }
    broken(0, "nobody handles %s", msg.shape->name);
}

int bus_server_drain(struct bus_server *server)
{
    int handled = 0;
    struct packet *packet;
    while (handled < BUS_FAIR && (packet = inbox_take(&server->inbox))) {
        server_handle(server, packet);
        free(packet);
        handled++;
    }
    return handled;
}

int bus_send_bytes(struct bus_server *server, const struct bus_peer *peer, struct str bytes, struct err *err)
{
    static struct msg msg;
    static struct arena *arena;
    uint32_t connection;
    struct sched *sched = &scheds[server->loop->place];
    memcpy(&connection, peer->id + 1, sizeof connection);
    if (sched->releases && !sched->dying && sched->letters == sim.step_letters && step_comes(STEP_BATCH_LETTER))
        sched->dying = true;
    if (sched->dying)
        return 0;
    sched->letters++;
    struct connection *to = net_of(connection);
    history_add(connection, bytes);
    if (bytes.len > 6 && memcmp(bytes.ptr, "\x92\xcd\x04\x04\x81\x02", 6) == 0 && to->kind == PEER_WORKER) {
        /* a HEARTBEAT_ACK without drops: nothing in it can go wrong */
        if (to->up)
            worker_heard_ack(to->who);
        return 0;
    }
    if (!arena)
        arena = arena_new((size_t)256 << 20);
    arena_reset(arena);
    if (msg_decode(arena, bytes, &msg, err))
        broken(0, "the scheduler sends what cannot be decoded: %s", err->text);
    check_letter(server->loop->place, to, &msg);
    if (sim.trace)
        tell_message(to->kind == PEER_WORKER ? "scheduler to worker" : "scheduler to client", to->who, &msg);
    return net_down(connection, bytes) ? err_set(err, ERR_NOT_FOUND, "it is gone") : 0;
}

/* ---- the doorbell ---- */

struct bus_bell {
    char nothing;
};

void bus_answer(const struct bus_call *call, const struct shape *shape, const void *value)
{
    struct buf out = {0};

    if (codec_encode(&out, shape, value, call->msg->corr, call->msg->rid, NULL) == 0)
        bus_send_bytes(call->server, &call->peer, buf_str(&out), NULL);
    buf_free(&out);
}

struct bus_bell *bus_bell_new(const char *endpoint, const struct bus_curve *curve, struct err *err)
{
    (void)endpoint, (void)curve, (void)err;
    return calloc(1, sizeof(struct bus_bell));
}

void bus_bell_free(struct bus_bell *bell)
{
    free(bell);
}

void bus_bell_ring(struct bus_bell *bell, const struct msg_doorbell *doorbell)
{
    (void)bell;
    if (doorbell->event >= disk_top(TYPE_EVENT))
        broken(0, "the doorbell names event %lu, which is not on disk", (unsigned long)doorbell->event);
    for (uint32_t i = 0; i < doorbell->runs.count; i++)
        if (!run_of(doorbell->runs.items[i])->there && !run_of(doorbell->runs.items[i])->gone)
            broken(doorbell->runs.items[i], "the doorbell names a run that is not on disk");
}

/* ---- the client: to the store ---- */

struct bus_client *bus_client_new(struct loop *loop, const char *endpoint, const struct bus_curve *curve,
                                  const struct bus_client_events *events, void *self, struct err *err)
{
    struct bus_client *client = calloc(1, sizeof *client);
    (void)endpoint, (void)curve, (void)err;
    *client = (struct bus_client){.loop = loop, .events = *events, .self = self, .timer = -1};
    loop->client = client;
    wheel_add(sim.now + 1, EVENT_LINK, loop->place, NULL, (uint64_t)scheds[loop->place].start << 32 | ++client->tries);
    return client;
}

void bus_client_free(struct bus_client *client)
{
    if (!client)
        return;
    client->loop->client = NULL;
    inbox_clear(&client->inbox);
    for (struct request *at = client->oldest, *next; at; at = next) {
        next = at->next;
        free(at);
    }
    buf_free(&client->out);
    free(client);
}

bool bus_client_is_up(const struct bus_client *client)
{
    return client->up;
}

static void client_send(struct bus_client *client, struct str frame, bool repeats)
{
    if (scheds[client->loop->place].dying || client->gone)
        return;
    history_add(client->link, frame);
    sim.frames++;
    net_link(&client->last, EVENT_STORE, client->loop->place, client->link, frame, repeats);
}

bool ground_link_quiet(const struct loop *loop)
{
    return loop->client && loop->client->up && !loop->client->gone && loop->client->last <= sim.now;
}

/* The connection is tried until it stands. */
void ground_link_try(struct loop *loop, uint64_t number)
{
    struct bus_client *client = loop->client;
    if (!client || client->up || number != client->tries)
        return;
    if (scheds[loop->place].frozen_until > sim.now) {
        wheel_add(scheds[loop->place].frozen_until, EVENT_LINK, loop->place, NULL,
                  (uint64_t)scheds[loop->place].start << 32 | number);
        return;
    }
    client->link = store_accepts(loop->place);
    if (!client->link) {
        wheel_add(sim.now + 100, EVENT_LINK, loop->place, NULL, (uint64_t)scheds[loop->place].start << 32 | client->tries);
        return;
    }
    running = loop->place;
    client->up = true;
    client->last = sim.now;
    for (struct request *at = client->oldest; at; at = at->next)
        client_send(client, (struct str){at->frame, at->len}, false);
    client->events.up(client->self);
    ground_wake(loop);
}

void ground_link_down(struct loop *loop)
{
    if (loop->client && loop->client->up) {
        loop->client->gone = true;
        ground_wake(loop);
    }
}

/* What the store said last has been read. */
static void client_down(struct bus_client *client)
{
    client->up = client->gone = false;
    client->link = 0;
    inbox_clear(&client->inbox);
    client->events.down(client->self);
    wheel_add(sim.now + 1 + below(200), EVENT_LINK, client->loop->place, NULL,
              (uint64_t)scheds[client->loop->place].start << 32 | ++client->tries);
}

static struct request *request_take(struct bus_client *client, uint64_t corr)
{
    for (struct request **at = &client->oldest; *at; at = &(*at)->next)
        if ((*at)->corr == corr) {
            struct request *found = *at;
            *at = found->next;
            return found;
        }
    return NULL;
}

static void client_tick(void *arg)
{
    struct bus_client *client = arg;
    struct err err = {0};
    client->timer = -1;
    for (struct request *at = client->oldest; at;) {
        if (at->deadline > sim.now) {
            at = at->next;
            continue;
        }
        struct request *late = request_take(client, at->corr);
        err_set(&err, ERR_UNKNOWN_OUTCOME, "the store did not answer in time");
        late->reply(late->arg, NULL, &err);
        free(late);
        at = client->oldest;
    }
    if (client->oldest && client->timer < 0)
        client->timer = loop_after(client->loop, ASK_TICK_MS, client_tick, client);
}

static bool packet_is(const struct packet *packet, uint64_t id)
{
    struct codec_envelope envelope;
    struct err err = {0};
    return codec_open((struct str){packet->bytes, packet->len}, &envelope, &err) == 0 && envelope.id == id;
}

void ground_reply(struct loop *loop, struct packet *packet)
{
    if (!loop->client || !loop->client->up || loop->client->link != packet->from) {
        free(packet);
        return;
    }
    inbox_add(&loop->client->inbox, packet);
    ground_wake(loop);
    if (packet_is(packet, MSG_BATCH_ACK) && step_comes(STEP_STORE_ACKED))
        store_kill(1 + about(1500));
}

/* The store says something that the scheduler did not ask for. Of a batch that it hears to be on disk, the letters leave. */
static void client_hear(struct bus_client *client, const struct msg *msg, struct str frame)
{
    struct sched *sched = &scheds[client->loop->place];
    if (msg->shape->id == MSG_BATCH_ACK && !sched->dying && step_comes(STEP_BATCH_HEARD))
        sched->dying = true;
    sched->letters = 0;
    sched->releases = msg->shape->id == MSG_BATCH_ACK;
    client->events.message(client->self, msg, frame);
    sched->releases = false;
}

static void client_read(struct bus_client *client)
{
    static struct arena *arena;
    static struct msg msg;
    struct packet *packet;
    if (!arena)
        arena = arena_new((size_t)512 << 20);
    for (int i = 0; i < BUS_FAIR && (packet = inbox_take(&client->inbox)); i++) {
        struct err err = {0};
        arena_reset(arena);
        if (msg_decode(arena, (struct str){packet->bytes, packet->len}, &msg, &err))
            broken(0, "the store's answer cannot be decoded: %s", err.text);
        struct request *request = msg.corr ? request_take(client, msg.corr) : NULL;
        if (request)
            request->reply(request->arg, &msg, NULL);
        else if (!msg.corr)
            client_hear(client, &msg, (struct str){packet->bytes, packet->len});
        free(request);
        free(packet);
    }
}

uint64_t bus_ask(struct bus_client *client, const struct shape *shape, const void *value, struct str rid, uint64_t deadline_ms,
                 bus_reply *reply, void *arg)
{
    struct err err = {0};
    buf_reset(&client->out);
    if (codec_encode(&client->out, shape, value, ++client->next_corr, rid, &err))
        broken(0, "the scheduler asks what cannot be encoded: %s", err.text);
    struct request *request = malloc(sizeof *request + client->out.len);
    *request = (struct request){.corr = client->next_corr,
                                .deadline = sim.now + deadline_ms,
                                .reply = reply,
                                .arg = arg,
                                .len = (uint32_t)client->out.len};
    memcpy(request->frame, client->out.data, client->out.len);
    struct request **at = &client->oldest;
    while (*at)
        at = &(*at)->next;
    *at = request;
    if (client->up)
        client_send(client, buf_str(&client->out), false);
    if (client->timer < 0)
        client->timer = loop_after(client->loop, ASK_TICK_MS, client_tick, client);
    return request->corr;
}

void bus_forget(struct bus_client *client, uint64_t corr)
{
    free(request_take(client, corr));
}

int bus_tell_bytes(struct bus_client *client, struct str bytes, struct err *err)
{
    struct sched *sched = &scheds[client->loop->place];
    if (!client->up)
        return err_set(err, ERR_UNAVAILABLE, "the store is not there");
    if (!sched->dying && step_comes(STEP_BATCH_FORMED))
        sched->dying = true;
    client_send(client, bytes, true);
    if (!sched->dying && step_comes(STEP_BATCH_SENT))
        sched->dying = true;
    return 0;
}
