/* A farm in one process: the real scheduler (host, doors, link, recovery, journal, core) on a simulated machine, with simulated
 * store, network, clients and workers around it, and faults. The same seed gives the same history, byte for byte.
 *
 * What is simulated stands behind proto/loop.h, bus.h, clock.h and log.h (ground.c) and libsodium's randomness; everything in
 * scheduler/ but main.c is the code that ships. One event at a time, in the order of (ms, when it was planned).
 */
#ifndef GANTRY_TESTS_SIM_H
#define GANTRY_TESTS_SIM_H

#include <stdio.h>

#include "proto/bus.h"
#include "scheduler/core.h"

#define NEVER UINT64_MAX
#define TYPES 24 /* task types; a worker serves one or two */
#define POOLS 3
#define WALL_START UINT64_C(1790000000000)

/* ---- events (wheel.c) ---- */

enum event_kind {
    EVENT_TURN,   /* a scheduler's wake-up; who: its place */
    EVENT_LOOP,   /* a scheduler's timer */
    EVENT_UP,     /* packet to a scheduler's door */
    EVENT_DOWN,   /* packet to a peer of a door */
    EVENT_STORE,  /* packet to the store */
    EVENT_REPLY,  /* packet from the store */
    EVENT_LINK,   /* a scheduler's connection to the store is tried; arg: its number */
    EVENT_COMMIT, /* the store's transaction is on disk; arg: its start's number */
    EVENT_BACK,   /* the store is started; who unused */
    EVENT_START,  /* a scheduler is started */
    EVENT_WORKER, /* who: which */
    EVENT_CLIENT,
    EVENT_API,   /* who: which worker of the transcode API */
    EVENT_FILM,  /* a file of the library changes */
    EVENT_FAULT, /* something is to go wrong */
    EVENT_CHECK, /* memory against records */
};

struct packet { /* a frame under way */
    struct packet *next;
    uint32_t from; /* connection */
    uint32_t len;
    char bytes[];
};

struct event {
    struct event *next;
    uint64_t at, order;
    enum event_kind kind;
    uint32_t who;
    union {
        struct packet *packet;
        uint64_t number;
    } arg;
};

void wheel_reset(void);
void wheel_add(uint64_t at, enum event_kind kind, uint32_t who, struct packet *packet, uint64_t number);
struct event *wheel_take(uint64_t until); /* the next one up to that ms, or NULL; sim.now is its time then */
void wheel_done(struct event *event);

/* ---- the world (main.c) ---- */

struct shape_of_world {
    const char *name;
    uint32_t workers, clients, tasks, slots_max;
    uint64_t runs, length_ms, duration_ms; /* duration: of the longest usual run */
    uint64_t heartbeat_ms, lease_ms;
    uint64_t fault_ms;                 /* mean time between faults */
    uint64_t restart_ms;               /* between those that hit scheduler or store */
    uint64_t spread_ms;                /* over which reconnecting workers spread */
    uint64_t tick_ms;                  /* arrivals over the network are at multiples of this */
    uint32_t transcoders, apis, films; /* workers of the transcode farm, with a session and of its API; files of its library */
    uint64_t film_ms, api_ms;          /* mean time between changes of files; between a worker's questions for work */
    uint32_t recorders, cameras;       /* workers that record, and what there is to be recorded */
};

struct weather {          /* of the network */
    uint32_t loss, twice; /* in 100,000 */
    uint64_t delay_ms;
};

/* At which a process dies. */
#define STEPS(STEP)                                                                                                              \
    STEP(BATCH_FORMED, "scheduler before a batch leaves")                                                                        \
    STEP(BATCH_SENT, "scheduler behind a batch that left")                                                                       \
    STEP(BATCH_APPLIED, "scheduler before it hears that a batch is on disk")                                                     \
    STEP(BATCH_HEARD, "scheduler having heard it, before a letter leaves")                                                       \
    STEP(BATCH_LETTER, "scheduler between letters of a batch")                                                                   \
    STEP(STORE_ARRIVED, "store before its transaction is on disk")                                                               \
    STEP(STORE_APPLIED, "store behind it, before an acknowledgement leaves")                                                     \
    STEP(STORE_ACKED, "store behind an acknowledgement that was heard")                                                          \
    STEP(WORKER_ASSIGNED, "worker before it accepts")                                                                            \
    STEP(WORKER_ACCEPTED, "worker having accepted")                                                                              \
    STEP(WORKER_GRANTED, "worker before it names its output")                                                                    \
    STEP(WORKER_RENAMED, "worker having named it, before its result")                                                            \
    STEP(WORKER_REPORTED, "worker having sent its result")
#define STEP_ID(id, text) STEP_##id,
enum step { STEP_NONE, STEPS(STEP_ID) STEP_COUNT };
#undef STEP_ID

struct sim {
    const struct shape_of_world *world;
    uint64_t seed, dice, now, until;
    int64_t wall, wall_high; /* what the wall clock is off by, and was at most */
    uint64_t history;        /* hash over everything that crossed a process's border */
    uint64_t events;
    bool calm; /* no more faults: everything is to come to its end */
    struct weather weather;
    uint64_t weather_until;
    bool disk_full;
    uint64_t disk_full_until;
    enum step step, worker_step; /* which of scheduler's and store's, which of workers', is to be the next one's last */
    uint32_t step_letters;       /* so many letters leave before BATCH_LETTER */
    uint64_t newest_given;       /* the run that was assigned last */
    uint64_t newest_grant;       /* the run whose output was granted last */
    uint64_t trace;              /* a run, to be told everything of */
    struct arena *arena;
    struct core_config config;
    /* counted */
    uint64_t kills, store_kills, worker_kills, breaks, freezes, jumps, zombies, lost, doubled, resumes, refused;
    uint64_t steps[STEP_COUNT], events_unseen;                     /* unseen: written and deleted in one batch */
    uint64_t rated, pool_full;                                     /* starts of tasks with a rate; times a pool became full */
    uint64_t film_attempts, report_ms, offline_ms, offline_old_ms; /* settings of the transcode farm */
    uint64_t newest_film;                                          /* the task of it that was given last */
    uint64_t films_completed, films_failed, api_kills, scans;
    uint64_t cycles, recordings, recorded_ms, missing_ms; /* of the recorder; missing: gaps, and what was lost of slots */
    uint64_t executed, twice, losses, batches, frames, rebuilds, compared, keys_repeated, gaps;
};
extern struct sim sim;

static inline uint64_t roll(void)
{
    uint64_t x = sim.dice += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}
static inline uint64_t below(uint64_t sides)
{
    return (uint64_t)(((unsigned __int128)roll() * sides) >> 64);
}
uint64_t about(uint64_t mean); /* exponential */
static inline bool one_in(uint64_t n)
{
    return below(n) == 0;
}
void history_add(uint64_t tag, struct str bytes);
uint64_t wall_now(void);

/* A broken promise: prints and ends the program. run: whose history is of interest, or 0. */
_Noreturn void broken(uint64_t run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Tells of a run that is traced. */
void tell(uint64_t run, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool tells(uint64_t run);
void tell_message(const char *from, uint32_t who, const struct msg *msg); /* of each run it names */

struct packet *packet_new(uint32_t from, struct str bytes);

/* ---- the network (net.c) ---- */

enum peer_kind { PEER_WORKER, PEER_CLIENT, PEER_API };

struct connection { /* of a worker or client to a scheduler's door */
    uint8_t kind, sched;
    bool up, door_workers, greeted; /* greeted: a WELCOME has left for it */
    uint32_t who, epoch;            /* epoch: the scheduler's start it leads to */
    uint64_t last_up, last_down;
};

void net_reset(void);
/* To the scheduler that has its doors open; 0: there is none. */
uint32_t net_connect(enum peer_kind kind, uint32_t who, enum door door);
void net_break(uint32_t connection); /* takes 0 */
void net_break_sched(uint32_t place);
struct connection *net_of(uint32_t connection);
void net_up(uint32_t connection, struct str bytes);  /* a peer's frame */
int net_down(uint32_t connection, struct str bytes); /* a scheduler's; -1: nobody is there */
/* To and from the store; repeats: it may come twice. */
void net_link(uint64_t *last, enum event_kind kind, uint32_t who, uint32_t link, struct str bytes, bool repeats);

/* ---- the scheduler's processes (sched.c), and what is around them (ground.c) ---- */

#define SCHEDS 2

struct host;
struct settings;

struct sched {
    struct loop *loop;
    struct host *host;
    struct core *core; /* of its host, newest; NULL before */
    struct journal *journal;
    struct settings *settings;
    bool alive, open, dying; /* open: it takes messages; dying: nothing it does leaves it any more */
    bool releases;           /* it has heard that a batch is on disk: the letters of that leave, so many by now */
    uint32_t letters;
    uint64_t frozen_until, turned, began;
    uint64_t granted;                    /* the newest epoch that the store has given it */
    uint64_t moved_at, looked_at, moved; /* when its journal last got on, or had a reason not to; batches by then */
    uint32_t claims;     /* how often it was given one: a claim may be heard twice, on its old connection and its new one */
    uint64_t calm_since; /* its start or its last gap: leases have a full term from here */
    uint64_t away_until; /* when its journal could last not write */
    uint32_t start;      /* grows */
};
extern struct sched scheds[SCHEDS];

void sched_start(uint32_t place);
void sched_kill(uint32_t place);
void sched_freeze(uint32_t place, uint64_t ms);
void sched_end(uint32_t place); /* SIGTERM */
void sched_turn(uint32_t place);
int sched_serving(void); /* the place of the one whose doors are open, newest; -1: none */
void sched_reset(void);
void sched_free(void);
struct core *core_made(const struct core_config *config, struct journal *journal); /* one more, beside those that run */
void core_unmade(struct core *core);

struct loop *ground_loop(uint32_t place);
void ground_free(struct loop *loop);
uint32_t ground_running(void); /* the place of the one whose code runs */
void ground_message(struct loop *loop, struct packet *packet);
void ground_reply(struct loop *loop, struct packet *packet);
void ground_timer(struct loop *loop);
void ground_link_try(struct loop *loop, uint64_t number);
void ground_link_down(struct loop *loop);
bool ground_link_quiet(const struct loop *loop); /* it stands, and nothing is under way to the store */
void ground_wake(struct loop *loop);             /* plans a turn */
bool ground_turn(struct loop *loop);             /* false: the process ends */

/* ---- the store (store.c, disk.c) ---- */

void store_reset(void);
void store_free(void);
bool store_up(void);
void store_packet(struct packet *packet);
void store_commit(uint64_t number);
void store_kill(uint64_t down_ms);
void store_back(void);
void store_freeze(uint64_t ms);
void store_link_break(uint32_t place, bool lost); /* lost: with what is under way to the store */
uint32_t store_accepts(uint32_t place);           /* a new connection's number; 0: nobody listens */
uint64_t store_epoch(void);
bool store_idle(void);
bool store_linked(uint32_t place); /* and nothing is under way to that scheduler */

#define RUN_KEPT 8192 /* newest final runs whose records are kept, for restarts */

struct kept { /* a record on the disk */
    char *bytes;
    uint32_t len;
};

struct srun {          /* what is known of a run, beside its record */
    uint64_t outcomes; /* of attempts 1..16, four bits each */
    uint64_t ended;    /* attempts that ran to a completed end, a bit each (0..63) */
    uint64_t begun;    /* attempts that a worker started */
    uint64_t heard;    /* mono ms: the newest message of its holder that the scheduler handled */
    uint32_t task, heard_attempt;
    uint32_t key;                /* what a client made it by; 0: not by one */
    uint32_t attempt, assigned;  /* newest on disk; newest that left in an ASSIGN */
    uint32_t told_lost, told_by; /* the attempt that the log told to be lost, and the start of the scheduler that told it */
    uint32_t holder;             /* the worker that its newest ASSIGN went to */
    uint32_t granted, renamed;   /* attempt: on disk; by whom the output got its name */
    uint32_t log_attempt, log_seq;
    uint8_t end_events;      /* that told of its end */
    uint8_t status, newest;  /* newest: outcome of the newest attempt, on disk */
    bool there, acked, gone; /* gone: deleted with its task */
};

struct srun *run_of(uint64_t id); /* grows the table */
uint64_t runs_top(void);          /* ids below it */
uint64_t runs_open(void);         /* on disk and not final */
uint64_t outcome_of(const struct srun *run, uint64_t attempt);
uint32_t run_of_key(uint32_t key);

void disk_reset(void);
void disk_apply(const struct rec_op *op);
const struct kept *disk_get(enum record_type type, uint64_t id); /* NULL: not there */
uint64_t disk_first(enum record_type type);
uint64_t disk_top(enum record_type type);
bool disk_run_is(uint64_t id, uint64_t status);
uint64_t disk_live_first(void);
void *disk_read(enum record_type type, uint64_t id, void *out); /* decoded into sim.arena; NULL: not there */

/* ---- pools and rates (limits.c) ---- */

void limits_reset(void);
void limits_clock_set(void); /* from now on, the wall clock is off by what sim.wall says */
void limits_pool(struct str value);
void limits_task(uint64_t id, struct str value);
void limits_run(const struct srun *before, const struct rec_run *now);
void limits_gone(const struct srun *run); /* with its task */
void limits_batch(void);                  /* a batch has been applied */

/* ---- workers and clients ---- */

uint32_t workers_all(void); /* transcoders are behind the others, and those that record last */
void workers_reset(void);
void workers_free(void);
void worker_event(uint32_t who);
void worker_message(uint32_t who, struct packet *packet, uint32_t connection);
void worker_lost(uint32_t who, uint32_t connection); /* its connection broke */
void worker_kill(uint32_t who, uint64_t away_ms);
void worker_freeze(uint32_t who, uint64_t ms);
void worker_lie(uint32_t who); /* about a run that is another's */
void worker_leave(uint32_t who);
void worker_hint(uint32_t who); /* a transcoder, that the library has changed */
uint32_t worker_connection(uint32_t who);
bool worker_thawed(uint32_t who, uint64_t *at); /* false: frozen until *at */
void worker_heard_ack(uint32_t who);
uint64_t workers_busy(void); /* runs in workers' hands */

void clients_reset(void);
void clients_free(void);
void client_event(uint32_t who);
void client_message(uint32_t who, struct packet *packet, uint32_t connection);
void client_lost(uint32_t who, uint32_t connection);
bool clients_done(void);  /* all they wanted was answered */
void clients_check(void); /* that all was answered */
uint64_t clients_asked(void);
void clients_burst(void);

/* ---- the transcode farm: the library's files, and scans of them (films.c) ---- */

#define FILM_ROOT "/library"
#define FILM_RULES 7

struct film { /* a file */
    bool there, vr, wide, wanted, broken;
    uint32_t name, bitrate;
    uint64_t size, content, mtime;
};

void films_reset(void);
void films_free(void);
void film_event(void);
struct film *film_named(uint32_t name);     /* NULL: there is none */
const struct film *film_at(uint32_t place); /* NULL: behind the last; it may not be there */
void film_replace(struct film *film);
bool film_was_made(uint64_t content);
uint32_t film_name_of(struct str path);
uint64_t film_content_of(struct str hash);
struct rec_video_found film_found(const struct film *film, uint64_t id, bool made, unsigned slot);

struct library_walk;
union walk_message {
    struct msg_library_known known;
    struct msg_library_found found;
};
struct library_walk *walk_new(void);
void walk_free(struct library_walk *scan); /* takes NULL */
bool walk_done(const struct library_walk *scan);
const struct shape *walk_question(struct library_walk *scan, uint64_t run, uint64_t attempt, union walk_message *out);
bool walk_answer(struct library_walk *scan, const struct msg *msg); /* false: of an earlier question */

/* ---- its records (shelf.c) ---- */

void shelf_reset(void);
void shelf_video(uint64_t id, struct str value);
void shelf_task(uint64_t id, struct str value);
void shelf_gone(uint64_t type, uint64_t id);
void shelf_run(const struct rec_run *run);
void shelf_batch(void);                      /* a batch has been applied */
void shelf_heard(uint64_t id, uint32_t who); /* a worker of the API says something of a task, and is about to be handled */
void shelf_given(uint64_t id, uint32_t who); /* it is about to hear that it is its own */
bool shelf_is_of(uint64_t id, uint32_t who); /* it was told so */
bool shelf_open(uint64_t id);                /* a task, on disk */
uint64_t shelf_status(uint64_t id);
uint64_t shelf_any(void); /* the id of a video that is or was there; 0: there was none */
bool shelf_settled(void); /* the list is what the folder has, and nothing waits */
void shelf_check(void);

/* ---- workers of its API (api.c) ---- */

void apis_reset(void);
void apis_free(void);
void api_event(uint32_t who);
void api_message(uint32_t who, struct packet *packet, uint32_t connection);
void api_lost(uint32_t who, uint32_t connection);
bool api_thawed(uint32_t who, uint64_t *at);
void api_kill(uint32_t who, uint64_t away_ms);
void api_freeze(uint32_t who, uint64_t ms);
void api_lie(uint32_t who);
uint64_t api_number(uint32_t who);
uint32_t api_connection(uint32_t who);
void api_handled(uint32_t who, const struct msg *msg); /* what it says is about to be */
bool api_silent(uint32_t who);                         /* for as long as it may */
bool apis_done(void);

/* ---- the recorder: who configures, starts and stops it (cameras.c) ---- */

#define CAMERAS_MOST 32

union camera_message {
    struct msg_recorder_configure configure;
    struct msg_recorder_run run;
};
void cameras_reset(void);
void cameras_free(void);
const struct shape *camera_wish(const struct rec_idem *idem, union camera_message *out); /* NULL: nothing now */
void camera_answer(const struct msg *msg);
bool cameras_done(void); /* it is stopped */
/* This attempt's result is on disk, with so many ms. */
void camera_check(uint64_t run, uint64_t attempt, uint64_t recorded, uint64_t gaps);

/* ---- its records (ledger.c) ---- */

void ledger_reset(void);
void ledger_recording(uint64_t id, struct str value);
void ledger_day(uint64_t id, struct str value);
void ledger_cycle(uint64_t id, struct str value);
void ledger_state(struct str value);
void ledger_gone(uint64_t type, uint64_t id);
void ledger_batch(void);
bool ledger_settled(void); /* the recorder is stopped, and nothing is being recorded */
void ledger_check(void);
void check_recorder(const struct core *core, const char *whose);

/* ---- faults and checks ---- */

void faults_begin(void);
void fault_event(void);
bool step_comes(enum step step); /* true: here dies who comes to it, which is its caller's to see to */
void faults_end(void);
void check_letter(uint32_t place, struct connection *to, const struct msg *msg);
void check_frame(uint64_t epoch, uint64_t seq, struct str frame);                         /* a batch that leaves the scheduler */
void check_handled(uint32_t place, const struct connection *from, const struct msg *msg); /* a message is about to be handled */
bool check_wants(const char *id);                                                         /* log lines with this id */
void check_log(uint32_t place, const char *id, const char *text);
void check_reset(void);
void check_now(void); /* if nothing is under way: memory against records */
void check_end(void);
void check_films(const struct core *core, const char *whose); /* memory of the transcode farm against records (check_films.c) */
void check_films_rebuilt(const struct core *core, const struct core *living);
void check_same(enum record_type type, uint64_t id, const struct shape *shape, const void *value, const char *whose);

#endif
