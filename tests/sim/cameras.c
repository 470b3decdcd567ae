/* Cameras, and the part of a worker that records them. A camera sends or does not, by its number and the time alone, so that what a recording
 * can have is known beforehand. What an attempt saw is on the disk, as pieces are (worker/record/pieces.h): the attempt behind it puts all together,
 * and what its worker had not flushed when it died is missing. */
#include <stdlib.h>

#include "tests/sim/worker.h"

#define BLOCK_MS 3000    /* in which a camera sends, or does not */
#define OUTAGE_MS 300000 /* in which one is away as a whole, now and then */
#define CONNECT_MS 3000  /* that an attempt waits for it */
#define FLUSH_MS 500     /* what was not flushed */
#define SLOT_MOST 90
#define PIECES 64
#define ATTEMPTS 16 /* whose results are kept */

struct piece {
    uint64_t from, to;
};

struct told { /* the result of an attempt */
    uint64_t recorded, gaps;
    char text[1536];
};

struct tape {                     /* of a run */
    uint64_t slot, first, breaks; /* ms: of its slot; its first frame, when there was one; when the stream ends for good */
    uint32_t camera, count;
    struct piece pieces[PIECES];
    struct told *told[ATTEMPTS + 1];
    char error[48];
};

static struct tape **tapes; /* by run */
static uint64_t tape_size;
static bool configured, running;

void cameras_reset(void)
{
    configured = running = false;
}

void cameras_free(void)
{
    for (uint64_t i = 0; i < tape_size; i++) {
        for (uint32_t k = 0; tapes[i] && k <= ATTEMPTS; k++)
            free(tapes[i]->told[k]);
        free(tapes[i]);
    }
    free(tapes);
    tapes = NULL;
    tape_size = 0;
}

static struct tape *tape_of(uint64_t run)
{
    if (run >= tape_size) {
        uint64_t more = run * 2 + 64;
        tapes = realloc(tapes, more * sizeof *tapes);
        memset(tapes + tape_size, 0, (more - tape_size) * sizeof *tapes);
        tape_size = more;
    }
    if (!tapes[run])
        tapes[run] = calloc(1, sizeof **tapes);
    return tapes[run];
}

/* ---- cameras ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = (a * UINT64_C(0x9e3779b97f4a7c15)) ^ (b + sim.seed) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 29)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 32);
}

static bool sends(uint32_t camera, uint64_t at)
{
    return mix(camera, at / BLOCK_MS) % 12 != 0 && mix(camera + 1000, at / OUTAGE_MS) % 15 != 0;
}

/* The end of the time from `at` on in which it does what it does at `at`, at most `until`. */
static uint64_t same_until(uint64_t at, uint64_t until)
{
    uint64_t edge = (at / BLOCK_MS + 1) * BLOCK_MS; /* an outage begins and ends with a block */
    return edge < until ? edge : until;
}

static uint64_t sends_next(uint32_t camera, uint64_t at)
{
    while (!sends(camera, at))
        at = (at / BLOCK_MS + 1) * BLOCK_MS;
    return at;
}

/* ---- an attempt ---- */

void camera_take(struct hand *hand, const struct rec_assignment *given)
{
    struct token token;
    hand->records = str_is(given->spec.task_type, "record");
    hand->from = NEVER;
    if (!hand->records)
        return;
    struct tape *tape = tape_of(hand->run);
    if (!map_find(given->parameters, "stream", &token))
        broken(hand->run, "a recording does not say of which stream");
    tape->camera = (uint32_t)token.u.natural;
    if (!map_find(given->parameters, "duration_s", &token) || token.u.natural < 1 || token.u.natural > SLOT_MOST)
        broken(hand->run, "a recording does not say for how long");
    tape->slot = token.u.natural * 1000;
}

/* It begins; how long it takes. */
uint64_t camera_begin(struct hand *hand)
{
    struct tape *tape = tape_of(hand->run);
    uint64_t first = sends_next(tape->camera, sim.now);
    hand->from = first;
    tape->error[0] = '\0';
    if (!tape->first && first >= sim.now + CONNECT_MS) {
        hand->outcome = OUTCOME_FAILED;
        hand->from = NEVER;
        snprintf(tape->error, sizeof tape->error, one_in(2) ? "connect: refused" : "notfound: 404");
        return CONNECT_MS;
    }
    if (!tape->first && one_in(12))
        tape->breaks = first + below(tape->slot);
    uint64_t end = (tape->first ? tape->first : first) + tape->slot;
    return end > sim.now ? end - sim.now : 1;
}

static void piece_add(struct tape *tape, uint64_t from, uint64_t to)
{
    uint64_t end = (tape->first ? tape->first : from) + tape->slot;
    end = tape->breaks && tape->breaks < end ? tape->breaks : end;
    to = to < end ? to : end;
    if (from >= to || tape->count == PIECES)
        return;
    if (!tape->first)
        tape->first = from;
    uint32_t at = tape->count++;
    for (; at > 0 && tape->pieces[at - 1].from > from; at--)
        tape->pieces[at] = tape->pieces[at - 1];
    tape->pieces[at] = (struct piece){from, to};
}

/* Its worker dies, or is told to let it go: what there is stays, but for what was not flushed. */
void camera_cut(const struct hand *hand)
{
    uint64_t lost = below(FLUSH_MS);
    if (hand->records && hand->state == HAND_RUNNING && hand->from < sim.now)
        piece_add(tape_of(hand->run), hand->from, sim.now > lost ? sim.now - lost : 0);
}

static void gap_write(struct buf *out, const struct tape *tape, uint64_t from, uint64_t to, bool worker, bool more)
{
    buf_printf(out, "%s{\"at\":%.3f,\"seconds\":%.3f,\"cause\":\"%s\"}", more ? "," : "", (double)(from - tape->first) / 1000,
               (double)(to - from) / 1000, worker ? "worker" : "read");
}

/* All pieces become one file: each where its clock says. */
static void put_together(const struct tape *tape, struct told *told)
{
    struct buf gaps = {0};
    uint64_t reached = tape->first;
    for (uint32_t i = 0; i < tape->count; i++) {
        uint64_t begin = tape->pieces[i].from > reached ? tape->pieces[i].from : reached;
        for (uint64_t at = begin, next; at < tape->pieces[i].to; at = next) {
            next = same_until(at, tape->pieces[i].to);
            if (!sends(tape->camera, at))
                continue;
            if (at > reached) {
                gap_write(&gaps, tape, reached, at, at == begin, gaps.len > 0);
                told->gaps += at - reached;
            }
            told->recorded += next - at;
            reached = next;
        }
    }
    int len =
        snprintf(told->text, sizeof told->text, "{\"seconds\":%.3f,\"bytes\":%lu,\"frames\":%lu,\"gaps\":[%.*s],\"status\":%d%s}",
                 (double)told->recorded / 1000, (unsigned long)told->recorded, (unsigned long)told->recorded / 40, (int)gaps.len,
                 gaps.len ? gaps.data : "", tape->breaks ? 6 : 4, tape->breaks ? ",\"error\":\"read: it broke off\"" : "");
    if (len < 0 || (size_t)len >= sizeof told->text)
        broken(0, "a recording has more gaps than a result holds: %u pieces", tape->count);
    buf_free(&gaps);
}

/* Its slot is over. earlier: whose output stands, and is its result; 0: nobody's. */
void camera_end(struct hand *hand, uint32_t earlier)
{
    struct tape *tape = tape_of(hand->run);
    if (hand->attempt > ATTEMPTS || (hand->outcome != OUTCOME_COMPLETED && hand->outcome != OUTCOME_FAILED))
        return;
    if (!earlier && hand->from < sim.now)
        piece_add(tape, hand->from, sim.now);
    struct told *told = calloc(1, sizeof *told);
    if (earlier && earlier <= ATTEMPTS && tape->told[earlier])
        *told = *tape->told[earlier];
    else if (hand->outcome == OUTCOME_COMPLETED)
        put_together(tape, told);
    if (hand->outcome == OUTCOME_COMPLETED && !told->recorded) {
        hand->outcome = OUTCOME_FAILED;
        snprintf(tape->error, sizeof tape->error, "timeout: nothing came");
    }
    free(tape->told[hand->attempt]);
    tape->told[hand->attempt] = told;
}

struct str camera_result(const struct hand *hand)
{
    const struct told *told = tape_of(hand->run)->told[hand->attempt <= ATTEMPTS ? hand->attempt : 0];
    return told ? str_of(told->text) : STR_LIT("{}");
}

struct str camera_error(const struct hand *hand)
{
    const char *error = tape_of(hand->run)->error;
    return error[0] ? str_of(error) : STR_LIT("it did not go well");
}

void camera_check(uint64_t run, uint64_t attempt, uint64_t recorded, uint64_t gaps)
{
    const struct told *told = attempt <= ATTEMPTS ? tape_of(run)->told[attempt] : NULL;
    if (told && (told->recorded != recorded || told->gaps != gaps))
        broken(run, "attempt %lu recorded %lu ms and has gaps of %lu, and on disk these are %lu and %lu", (unsigned long)attempt,
               (unsigned long)told->recorded, (unsigned long)told->gaps, (unsigned long)recorded, (unsigned long)gaps);
}

/* ---- who has them recorded ---- */

static struct rec_recorder_global global_draw(void)
{
    struct rec_recorder_global global = {.total_poll_duration_seconds = 60 + (int64_t)below(120),
                                         .max_concurrent_streams = 1 + (int64_t)below(sim.world->cameras),
                                         .output_directory = STR_LIT("./output"),
                                         .report_filename = STR_LIT("report.json"),
                                         .connection_timeout_seconds = 3,
                                         .read_timeout_seconds = 5,
                                         .poll_cycles = -1,
                                         .cycle_interval_seconds = (int64_t)below(40)};
#define GIVE(field) SET_HAS(&global, rec_recorder_global, field)
    GIVE(total_poll_duration_seconds);
    GIVE(max_concurrent_streams);
    GIVE(output_directory);
    GIVE(report_filename);
    GIVE(connection_timeout_seconds);
    GIVE(read_timeout_seconds);
    GIVE(poll_cycles);
    GIVE(cycle_interval_seconds);
#undef GIVE
    return global;
}

static struct rec_recorder_stream stream_draw(uint32_t number, unsigned slot)
{
    static char urls[CAMERAS_MOST][32], names[CAMERAS_MOST][32];
    snprintf(urls[slot], sizeof urls[slot], "rtsp://me:word@cam/%u", number);
    snprintf(names[slot], sizeof names[slot], "cam%u.mp4", one_in(5) ? 1 : number);
    struct rec_recorder_stream stream = {.rtsp_url = str_of(urls[slot]),
                                         .duration_seconds = 5 + (int64_t)below(SLOT_MOST - 4),
                                         .weight = 1 + (double)below(5),
                                         .output_filename = str_of(names[slot])};
    SET_HAS(&stream, rec_recorder_stream, duration_seconds);
    SET_HAS(&stream, rec_recorder_stream, weight);
    SET_HAS(&stream, rec_recorder_stream, output_filename);
    return stream;
}

static void configure_draw(struct msg_recorder_configure *asked)
{
    static struct rec_recorder_stream streams[CAMERAS_MOST];
    *asked = (struct msg_recorder_configure){.idem = asked->idem, .verb = RECORDER_REPLACE, .folder = STR_LIT("/out")};
    if (configured && one_in(2)) {
        asked->verb = RECORDER_SET_STREAM;
        asked->index = below(sim.world->cameras);
        streams[0] = stream_draw((uint32_t)asked->index, 0);
        streams[0].rtsp_url = (struct str){0};
        asked->streams = (struct rec_recorder_stream_list){streams, 1};
        return;
    }
    for (uint32_t i = 0; i < sim.world->cameras; i++)
        streams[i] = stream_draw(i, i);
    asked->streams = (struct rec_recorder_stream_list){streams, sim.world->cameras};
    asked->global = global_draw();
    SET_HAS(asked, msg_recorder_configure, global);
}

const struct shape *camera_wish(const struct rec_idem *idem, union camera_message *out)
{
    if (sim.calm ? !running : configured && running && !one_in(60))
        return NULL;
    if (!sim.calm && (!configured || (running && !one_in(3)))) {
        out->configure.idem = *idem;
        configure_draw(&out->configure);
        return &shape_msg_recorder_configure;
    }
    out->run = (struct msg_recorder_run){.idem = *idem, .stop = running};
    return &shape_msg_recorder_run;
}

void camera_answer(const struct msg *msg)
{
    configured = configured || msg->shape->id == MSG_RECORDER_CONFIGURED;
    if (msg->shape->id == MSG_RECORDER_VIEW)
        running = msg->u.recorder_view.state.running;
}

bool cameras_done(void)
{
    return !running;
}
