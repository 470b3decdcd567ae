/* Clients as the gateway is one: each write has a key and is sent again until it is answered, with the same key. They make tasks,
 * trigger, submit batches, submit single runs, abort, restart, pause, change and delete. A wish for a run carries a number in its
 * parameters ("k"), so that two runs made of one wish are seen on the disk. */
#include <stdlib.h>

#include "tests/sim/sim.h"

#define BATCH_MAX 60
#define RING 512
#define TEMPS 64

enum wish {
    WISH_NONE,
    WISH_POOL,
    WISH_CREATE,
    WISH_TRIGGER,
    WISH_BATCH,
    WISH_SUBMIT,
    WISH_ABORT,
    WISH_RESTART,
    WISH_PAUSE,
    WISH_UPDATE,
    WISH_TEMP,
    WISH_DELETE,
    WISH_RESUME,
    WISH_LOOSEN,
    WISH_VIDEO,
    WISH_DIRECT,
    WISH_RECORD
};

struct client_sim {
    uint32_t connection;
    enum wish wish;
    struct buf frame; /* what it asks, until it is answered */
    uint64_t corr, next_at, again_at, armed;
    uint64_t target;     /* id of the run or task it is about */
    uint32_t task;       /* place among the tasks */
    uint32_t key, count; /* first number of its wishes for runs, and how many */
    uint64_t first_run;  /* what it was answered */
    bool checks;         /* it asks once more what was answered */
    char refusal[96];    /* the newest */
};

static struct client_sim *clients;
static uint64_t *tasks; /* ids of the standing ones; 0: not yet made */
static uint64_t temps[TEMPS], ring[RING];
static uint32_t task_count, temp_count, temp_names, ring_at, keys, next_pool, next_task, next_loose, next_resume;
static uint64_t ticket, made, asked, idem, burst_until;
static struct buf body;

void clients_free(void)
{
    for (uint32_t i = 0; clients && i < sim.world->clients; i++)
        buf_free(&clients[i].frame);
    free(clients);
    free(tasks);
    buf_free(&body);
    clients = NULL;
    tasks = NULL;
}

void clients_reset(void)
{
    clients = calloc(sim.world->clients, sizeof *clients);
    tasks = calloc(sim.world->tasks, sizeof *tasks);
    task_count = temp_count = temp_names = ring_at = keys = next_pool = next_task = next_loose = next_resume = 0;
    made = asked = idem = burst_until = 0;
    memset(ring, 0, sizeof ring);
    ticket = 10000;
    for (uint32_t i = 0; i < sim.world->clients; i++) {
        clients[i].armed = clients[i].next_at = i ? 5000 + i : 3000;
        wheel_add(clients[i].armed, EVENT_CLIENT, i, NULL, 0);
    }
}

uint64_t clients_asked(void)
{
    return asked;
}

bool clients_done(void)
{
    for (uint32_t i = 0; i < sim.world->clients; i++)
        if (clients[i].wish != WISH_NONE)
            return false;
    return sim.calm && cameras_done() && next_pool >= 2 * POOLS && next_loose >= sim.world->tasks &&
           next_resume >= sim.world->tasks;
}

void clients_check(void)
{
    for (uint32_t i = 0; i < sim.world->clients; i++)
        if (clients[i].wish != WISH_NONE)
            broken(0, "client %u was never answered its wish %d; the newest refusal: %s", i, clients[i].wish, clients[i].refusal);
    if (!clients_done())
        broken(0, "tasks are not freed: %u, %u of %u, %u made", next_loose, next_resume, sim.world->tasks, task_count);
}

static void arm(uint32_t who, uint64_t at)
{
    struct client_sim *client = &clients[who];
    if (at < client->armed || client->armed < sim.now) {
        client->armed = at < sim.now ? sim.now : at;
        wheel_add(client->armed, EVENT_CLIENT, who, NULL, 0);
    }
}

/* ---- what is asked ---- */

static struct rec_idem idem_of(uint64_t number)
{
    static struct {
        uint64_t a, b;
    } bytes[BATCH_MAX + 4][2];
    static unsigned at;
    at = (at + 1) % (BATCH_MAX + 4);
    bytes[at][0].a = number * UINT64_C(0x9e3779b97f4a7c15);
    bytes[at][0].b = sim.seed;
    bytes[at][1].a = number;
    bytes[at][1].b = 1;
    return (struct rec_idem){.scope = {(char *)&bytes[at][0], 16}, .body = {(char *)&bytes[at][1], 16}};
}

static struct str parameters(uint32_t key)
{
    static char bytes[BATCH_MAX + 4][8];
    static unsigned at;
    at = (at + 1) % (BATCH_MAX + 4);
    char *out = bytes[at];
    out[0] = (char)0x81;
    out[1] = (char)0xa1;
    out[2] = 'k';
    out[3] = (char)0xce;
    for (int i = 0; i < 4; i++)
        out[4 + i] = (char)(key >> (24 - 8 * i));
    return (struct str){out, 8};
}

static void ask(uint32_t who, enum wish wish, const struct shape *shape, const void *value)
{
    struct client_sim *client = &clients[who];
    struct err err = {0};
    buf_reset(&client->frame);
    client->wish = wish;
    client->corr = ++asked;
    client->first_run = 0;
    client->checks = false;
    client->again_at = sim.now;
    if (codec_encode(&client->frame, shape, value, client->corr, (struct str){0}, &err))
        broken(0, "a client cannot ask %s: %s", shape->name, err.text);
}

#define GIVE(spec, field, what) ((spec)->field = (what), SET_HAS(spec, rec_task_spec, field))

static struct rec_task_spec spec_of(const char *name, uint32_t type)
{
    static char types[TYPES][16];
    struct rec_task_spec spec = {0};
    snprintf(types[type], sizeof types[type], "type-%u", type);
    if (name)
        GIVE(&spec, name, str_of(name));
    GIVE(&spec, task_type, str_of(types[type]));
    GIVE(&spec, executor, STR_LIT("shell"));
    GIVE(&spec, command, STR_LIT("true"));
    return spec;
}

static uint32_t any_type(void)
{
    return (uint32_t)below(sim.world->workers < TYPES ? sim.world->workers : TYPES);
}

static struct str words(const char *const *pairs)
{
    static char bytes[256];
    size_t count = 0, len = 1;
    for (; pairs[count * 2]; count++)
        for (size_t k = 0; k < 2; k++) {
            const char *text = pairs[count * 2 + k];
            bytes[len++] = (char)(0xa0 | strlen(text)); /* up to 31 bytes each */
            memcpy(bytes + len, text, strlen(text));
            len += strlen(text);
        }
    bytes[0] = (char)(0x80 | count);
    return (struct str){bytes, (uint32_t)len};
}

static struct str pool_name(uint32_t place)
{
    static const char *const names[POOLS] = {"pool-0", "pool-1", "pool-2"};
    return str_of(names[place]);
}

/* A limit that is reached now and then; none to speak of when everything is to come to its end. */
static void wish_pool(uint32_t who, uint32_t place)
{
    uint64_t slots = (uint64_t)sim.world->workers * sim.world->slots_max / 2;
    struct msg_pool_put put = {
        .idem = idem_of(++idem), .name = pool_name(place), .limit = sim.calm ? 1000000 : 1 + slots / 12 + below(slots / 4 + 1)};
    SET_HAS(&put, msg_pool_put, limit);
    ask(who, WISH_POOL, &shape_msg_pool_put, &put);
}

/* So many starts a minute that it is seldom too few for long. */
static uint64_t some_rate(void)
{
    uint64_t mean = sim.world->runs * 60000 / sim.world->length_ms / sim.world->tasks + 1;
    return 2 * mean + below(6 * mean);
}

/* Some publish an output, some wait for others, some have a schedule. */
static void wish_create(uint32_t who, uint32_t place)
{
    static const char *const failure[] = {"fail", "wait", "ignore"}, *const catchup[] = {"one", "all", "none"},
                             *const overlap[] = {"allow", "forbid", "replace"};
    static const char *const schedules[] = {"@every 10m", "@every 90s", "*/7 * * * *", "@hourly"};
    char name[32], number[24];
    struct str on[1];
    snprintf(name, sizeof name, "task-%u", place);
    struct msg_task_create create = {.idem = idem_of(++idem), .spec = spec_of(name, any_type())};
    uint64_t length = sim.world->duration_ms / 1000;
    GIVE(&create.spec, priority, below(4));
    GIVE(&create.spec, retry_count, below(4));
    GIVE(&create.spec, timeout_seconds, 1 + length / 2 + below(length * 2));
    GIVE(&create.spec, metadata,
         words((const char *[]){"on_dependency_failure", failure[below(3)], "catchup", catchup[below(3)], "concurrency_policy",
                                overlap[below(3)], NULL}));
    if (place % 10 == 3 || place % 10 == 4)
        GIVE(&create.spec, output, STR_LIT("/out/{{k}}"));
    if (place % 10 == 6)
        GIVE(&create.spec, schedule, str_of(schedules[place / 10 % 4]));
    if (place % 10 == 5 || place % 10 == 7 || place % 10 == 8) {
        snprintf(number, sizeof number, "%lu", (unsigned long)tasks[place - 1]);
        on[0] = str_of(number);
        GIVE(&create.spec, dependencies, ((struct str_list){on, 1}));
    }
    if (place % 10 == 1 || place % 10 == 3 || place % 10 == 9)
        GIVE(&create.spec, pool, pool_name((uint32_t)below(POOLS)));
    if (place % 10 == 2 || place % 10 == 9)
        GIVE(&create.spec, rate, some_rate());
    clients[who].task = place;
    ask(who, WISH_CREATE, &shape_msg_task_create, &create);
}

static uint64_t any_task(void)
{
    if (temp_count && one_in(40))
        return temps[below(temp_count)];
    uint32_t place = (uint32_t)below(sim.world->tasks);
    /* Those that wait for others are seldom asked for: their runs come by themselves. */
    if (place % 10 >= 5 && place % 10 <= 8 && !one_in(20))
        place -= place % 10;
    return tasks[place];
}

static struct rec_trigger trigger_of(uint32_t key)
{
    struct rec_trigger trigger = {.parameters = parameters(key)};
    SET_HAS(&trigger, rec_trigger, parameters);
    if (one_in(4)) {
        trigger.priority = below(4);
        SET_HAS(&trigger, rec_trigger, priority);
    }
    if (one_in(10)) {
        trigger.delay_ms = below(120000);
        SET_HAS(&trigger, rec_trigger, delay_ms);
    }
    return trigger;
}

static void wish_runs(uint32_t who, enum wish wish)
{
    struct client_sim *client = &clients[who];
    struct rec_trigger items[BATCH_MAX];
    client->key = keys + 1;
    client->count = wish == WISH_BATCH ? 1 + (uint32_t)below(BATCH_MAX) : 1;
    keys += client->count;
    made += client->count;
    if (wish == WISH_BATCH) {
        struct msg_run_trigger_batch batch = {.idem = idem_of(++idem), .task_id = any_task(), .items = {items, client->count}};
        bool keyed = one_in(8);
        for (uint32_t i = 0; i < client->count; i++) {
            items[i] = trigger_of(client->key + i);
            if (keyed) {
                items[i].idem = idem_of(++idem);
                SET_HAS(&items[i], rec_trigger, idem);
            }
        }
        ask(who, wish, &shape_msg_run_trigger_batch, &batch);
    } else if (wish == WISH_TRIGGER) {
        struct msg_run_trigger trigger = {.idem = idem_of(++idem), .task_id = any_task(), .trigger = trigger_of(client->key)};
        ask(who, wish, &shape_msg_run_trigger, &trigger);
    } else {
        struct msg_run_submit submit = {
            .idem = idem_of(++idem), .spec = spec_of(NULL, any_type()), .trigger = trigger_of(client->key)};
        if (one_in(3))
            GIVE(&submit.spec, output, STR_LIT("/out/{{k}}"));
        if (one_in(4))
            GIVE(&submit.spec, pool, pool_name((uint32_t)below(POOLS)));
        if (one_in(4))
            GIVE(&submit.spec, rate, some_rate());
        ask(who, wish, &shape_msg_run_submit, &submit);
    }
}

/* known: with the records that the scheduler no longer keeps, as the gateway reads them from the store. */
static bool wish_restart(uint32_t who, uint64_t run, uint64_t key, bool known)
{
    struct msg_run_restart restart = {.idem = idem_of(key), .id = run};
    if (known) {
        arena_reset(sim.arena);
        if (!disk_read(TYPE_RUN, run, &restart.known))
            return false;
        SET_HAS(&restart, msg_run_restart, known);
        if (disk_read(TYPE_TASK, restart.known.task_id, &restart.known_task))
            SET_HAS(&restart, msg_run_restart, known_task);
        if (disk_read(TYPE_TASK_STAT, restart.known.task_id, &restart.known_stat))
            SET_HAS(&restart, msg_run_restart, known_stat);
    }
    clients[who].target = run;
    ask(who, WISH_RESTART, &shape_msg_run_restart, &restart);
    clients[who].key = (uint32_t)key;
    return true;
}

static void wish_other(uint32_t who, enum wish wish)
{
    struct client_sim *client = &clients[who];
    uint64_t run = ring[below(RING)], task = tasks[below(sim.world->tasks)];
    if (wish == WISH_ABORT && one_in(3) && sim.newest_grant)
        run = sim.newest_grant;
    if (wish == WISH_ABORT && one_in(5) && sim.newest_film)
        run = sim.newest_film;
    if (wish == WISH_ABORT && run) {
        struct msg_run_abort abort = {.idem = idem_of(++idem), .id = run};
        client->target = run;
        ask(who, wish, &shape_msg_run_abort, &abort);
    } else if (wish == WISH_RESTART && run) {
        wish_restart(who, run, ++idem, false);
    } else if (wish == WISH_PAUSE) {
        struct msg_task_pause pause = {.idem = idem_of(++idem), .id = task, .paused = who != 0};
        ask(who, wish, &shape_msg_task_pause, &pause);
    } else if (wish == WISH_UPDATE) {
        struct msg_task_update update = {.idem = idem_of(++idem), .id = task};
        GIVE(&update.spec, priority, below(4));
        GIVE(&update.spec, retry_count, below(4));
        ask(who, wish, &shape_msg_task_update, &update);
    } else if (wish == WISH_TEMP && temp_count < TEMPS) {
        char name[32];
        snprintf(name, sizeof name, "temp-%u", ++temp_names);
        struct msg_task_create create = {.idem = idem_of(++idem), .spec = spec_of(name, any_type())};
        ask(who, wish, &shape_msg_task_create, &create);
    } else if (wish == WISH_DELETE && temp_count) {
        uint32_t at = (uint32_t)below(temp_count);
        struct msg_task_delete delete = {.idem = idem_of(++idem), .id = temps[at], .force = true};
        temps[at] = temps[--temp_count];
        ask(who, wish, &shape_msg_task_delete, &delete);
    }
}

/* A video is queued, excluded or put first; a worker of the API is told to go, or not to. */
static void wish_film(uint32_t who)
{
    uint64_t worker = api_number((uint32_t)below(sim.world->apis)), video = shelf_any();
    struct msg_video_set set = {.idem = idem_of(++idem), .id = video, .transcode_status = below(3) != 0, .bumped = one_in(2)};
    struct msg_transcode_direct direct = {.idem = idem_of(++idem), .id = worker, .directive = below(3)};
    if (worker && one_in(4)) {
        ask(who, WISH_DIRECT, &shape_msg_transcode_direct, &direct);
    } else if (video) {
        if (!one_in(3))
            SET_HAS(&set, msg_video_set, transcode_status);
        if (one_in(3))
            SET_HAS(&set, msg_video_set, bumped);
        ask(who, WISH_VIDEO, &shape_msg_video_set, &set);
    }
}

/* The recorder is given its streams and started, and now and then changed or stopped. */
static bool wish_record(uint32_t who)
{
    union camera_message message;
    const struct rec_idem key = idem_of(++idem);
    const struct shape *shape = camera_wish(&key, &message);
    if (shape)
        ask(who, WISH_RECORD, shape, &message);
    return shape != NULL;
}

/* Somebody's pause is still on its way: what it frees now could be paused behind it. */
static bool pausing(void)
{
    for (uint32_t i = 1; i < sim.world->clients; i++)
        if (clients[i].wish == WISH_PAUSE)
            return true;
    return false;
}

/* The first client makes the standing tasks, and at the end frees what waits. */
static bool wish_first(uint32_t who)
{
    if (next_pool < (sim.calm ? 2 * POOLS : POOLS)) {
        wish_pool(who, next_pool++ % POOLS);
        return true;
    }
    if (!sim.calm && next_task < sim.world->tasks) {
        wish_create(who, next_task++);
        return true;
    }
    if (sim.world->cameras && wish_record(who))
        return true;
    if (!sim.calm)
        return false;
    if (next_loose < sim.world->tasks) {
        struct msg_task_update update = {.idem = idem_of(++idem), .id = tasks[next_loose++]};
        SET_HAS(&update.spec, rec_task_spec, schedule);
        SET_HAS(&update.spec, rec_task_spec, dependencies);
        SET_HAS(&update.spec, rec_task_spec, rate);
        ask(who, WISH_LOOSEN, &shape_msg_task_update, &update);
        return true;
    }
    if (next_resume < sim.world->tasks && !pausing()) {
        struct msg_task_pause resume = {.idem = idem_of(++idem), .id = tasks[next_resume++]};
        ask(who, WISH_RESUME, &shape_msg_task_pause, &resume);
        return true;
    }
    return false;
}

void clients_burst(void)
{
    burst_until = sim.now + 2000;
}

/* When the next wish is due, so that they come to the runs that are wanted. */
static void ticket_next(void)
{
    uint64_t end = sim.until > 60000 ? sim.until - 60000 : 1, left = sim.world->runs > made ? sim.world->runs - made : 0;
    uint64_t time = end > sim.now ? end - sim.now : 1;
    if (left)
        ticket += about(time * 9 / left + 1);
    else
        ticket = NEVER;
    if (burst_until > sim.now && ticket > sim.now + 5 && left)
        ticket = sim.now + 5;
}

static void wish_make(uint32_t who)
{
    uint64_t what = below(1000);
    if (who == 0 && wish_first(who))
        return;
    if (sim.calm || task_count < sim.world->tasks)
        return;
    if (who == 0 && one_in(10))
        wish_pool(who, (uint32_t)below(POOLS));
    else if (who == 0) /* frees what others have paused: they would fill the queue */
        wish_other(who, WISH_PAUSE);
    else if (what < 40 && who % 4 != 3) /* what only the gateway may ask */
        wish_film(who);
    else if (what < 550)
        wish_runs(who, WISH_TRIGGER);
    else if (what < 850)
        wish_runs(who, WISH_BATCH);
    else if (what < 890)
        wish_runs(who, WISH_SUBMIT);
    else if (what < 940)
        wish_other(who, WISH_ABORT);
    else if (what < 970)
        wish_other(who, WISH_RESTART);
    else if (what < 972)
        wish_other(who, WISH_PAUSE);
    else if (what < 990)
        wish_other(who, WISH_UPDATE);
    else if (what < 995)
        wish_other(who, WISH_TEMP);
    else
        wish_other(who, WISH_DELETE);
}

/* ---- what is answered ---- */

static void ring_put(uint64_t run)
{
    ring[ring_at++ % RING] = run;
}

static void settle(uint32_t who)
{
    struct client_sim *client = &clients[who];
    client->wish = WISH_NONE;
    if (who == 0 && (sim.calm || task_count < sim.world->tasks))
        client->next_at = sim.now + 1;
    else if (sim.calm || ticket == NEVER) {
        client->next_at = sim.now + 10000;
    } else if (who == 0) {
        client->next_at = sim.now + about(sim.world->length_ms / 3000);
    } else {
        if (ticket < sim.now)
            ticket = sim.now;
        client->next_at = ticket;
        ticket_next();
    }
    arm(who, client->next_at);
}

/* A write that was answered is the same when it is asked again. */
static void settle_run(uint32_t who, uint64_t run)
{
    struct client_sim *client = &clients[who];
    if (client->checks) {
        sim.keys_repeated++;
        if (client->first_run != run)
            broken(run, "the same key was answered with run %lu and then with this", (unsigned long)client->first_run);
    } else if (!sim.calm && one_in(25)) {
        client->first_run = run;
        client->checks = true;
        client->again_at = sim.now + below(2000);
        arm(who, client->again_at);
        return;
    }
    ring_put(run);
    settle(who);
}

static void on_runs(uint32_t who, const uint64_t *ids, uint32_t count)
{
    struct client_sim *client = &clients[who];
    if (client->wish != WISH_ABORT && client->wish != WISH_RESTART)
        for (uint32_t i = 0; i < count && count == client->count; i++)
            if (run_of_key(client->key + i) != ids[i])
                broken(ids[i], "wish %u is answered with this run, and is run %u on disk", client->key + i,
                       run_of_key(client->key + i));
    settle_run(who, ids[0]);
}

static void on_task(uint32_t who, uint64_t id)
{
    struct client_sim *client = &clients[who];
    if (client->wish == WISH_CREATE) {
        tasks[client->task] = id;
        task_count++;
    } else if (client->wish == WISH_TEMP && temp_count < TEMPS) {
        temps[temp_count++] = id;
    }
    settle(who);
}

static void on_refusal(uint32_t who, const struct msg_error *error)
{
    struct client_sim *client = &clients[who];
    snprintf(client->refusal, sizeof client->refusal, "%.*s", (int)error->text.len, error->text.len ? error->text.ptr : "");
    if (sim.calm && error->code == ERR_LIMIT && client->wish >= WISH_TRIGGER && client->wish <= WISH_SUBMIT) {
        settle(who); /* what fills the queue is freed behind this: it gives up */
    } else if (error->code == ERR_UNAVAILABLE || error->code == ERR_LIMIT || error->code == ERR_NO_MEMORY) {
        if (client->wish == WISH_RESTART && !client->checks)
            wish_restart(who, client->target, client->key, false); /* the gateway reads the records anew */
        client->again_at = sim.now + 200 + below(3000);
        arm(who, client->again_at);
    } else if (client->wish == WISH_RESTART && str_is(error->rule, "fetch")) {
        if (wish_restart(who, client->target, client->key, true))
            arm(who, sim.now);
        else
            settle(who);
    } else if (client->checks) {
        broken(client->first_run, "the same key was answered with this run, and then refused: %.*s", (int)error->text.len,
               error->text.ptr);
    } else if (client->wish == WISH_POOL || client->wish == WISH_CREATE || client->wish == WISH_LOOSEN ||
               client->wish == WISH_RESUME || error->code == ERR_KEY_REUSED || error->code == ERR_INTERNAL ||
               error->code == ERR_PROTOCOL) {
        broken(0, "a client is refused: %.*s", (int)error->text.len, error->text.ptr);
    } else {
        settle(who);
    }
}

void client_message(uint32_t who, struct packet *packet, uint32_t connection)
{
    static struct msg msg;
    struct client_sim *client = &clients[who];
    struct err err = {0};
    if (client->connection != connection || client->wish == WISH_NONE)
        return;
    arena_reset(sim.arena);
    if (msg_decode(sim.arena, (struct str){packet->bytes, packet->len}, &msg, &err))
        broken(0, "a client cannot decode its answer: %s", err.text);
    if (msg.corr != client->corr)
        return; /* of an earlier question */
    switch (msg.shape->id) {
    case MSG_RUN_ANSWER:
        on_runs(who, &msg.u.run_answer.run.id, 1);
        break;
    case MSG_RUN_BATCH_ANSWER:
        on_runs(who, msg.u.run_batch_answer.run_ids.items, msg.u.run_batch_answer.run_ids.count);
        break;
    case MSG_TASK_ANSWER:
        on_task(who, msg.u.task_answer.task.id);
        break;
    case MSG_RECORDER_CONFIGURED:
    case MSG_RECORDER_VIEW:
        camera_answer(&msg);
        settle(who);
        break;
    case MSG_POOL_ANSWER:
    case MSG_VIDEO_ANSWER:
    case MSG_DONE:
        settle(who);
        break;
    default:
        on_refusal(who, &msg.u.error);
        break;
    }
}

void client_lost(uint32_t who, uint32_t connection)
{
    struct client_sim *client = &clients[who];
    if (client->connection != connection)
        return;
    client->connection = 0;
    if (client->wish != WISH_NONE) {
        client->again_at = sim.now + 1 + below(1000);
        arm(who, client->again_at);
    }
}

void client_event(uint32_t who)
{
    struct client_sim *client = &clients[who];
    if (client->armed != sim.now)
        return;
    client->armed = NEVER;
    if (client->wish == WISH_NONE && sim.now >= client->next_at) {
        wish_make(who);
        if (client->wish == WISH_NONE) {
            settle(who);
            return;
        }
    }
    if (client->wish == WISH_NONE) {
        arm(who, client->next_at);
        return;
    }
    if (sim.now < client->again_at) {
        arm(who, client->again_at);
        return;
    }
    if (!client->connection)
        client->connection =
            net_connect(PEER_CLIENT, who, who % 4 == 3 && client->wish != WISH_RESTART ? DOOR_WORKERS : DOOR_COMMANDS);
    if (client->connection)
        net_up(client->connection, buf_str(&client->frame));
    client->again_at = sim.now + (client->connection ? 4000 + below(4000) : 500);
    arm(who, client->again_at);
}
