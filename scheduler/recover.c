/* One question is open at a time: the claim, then a page of each scan after the other. The next page is asked for before the
 * last one is loaded, so that the store reads while we load.
 *
 * Invariants: at most one request is open, and `asked` names it (0: none); what was loaded belongs to the newest grant; after
 * finish or fail nothing is asked any more.
 */
#include "scheduler/recover.h"

#include <stdlib.h>

#include "proto/clock.h"
#include "proto/log.h"

#define PAGE 5000
#define DEADLINE_MS 30000
#define PAUSE_MS 200
#define NEXT_IDS 128                /* of an EPOCH_GRANT, at most */
#define EVENTS_BACK UINT64_C(65536) /* newest events the core learns accepted results from */

enum from { FROM_START, FROM_RECENT }; /* where a scan begins */

/* Pools before tasks before their statistics before runs before workers; of the events the oldest (where deleting goes on) and the
 * newest; webhooks before their deliveries. */
static const struct scan {
    enum record_type type;
    const char *field;
    uint64_t number;
    uint64_t limit;
    bool once; /* one page is enough */
    enum from from;
} scans[] = {
    {TYPE_POOL, "", 0, PAGE, false, FROM_START},
    {TYPE_TASK, "", 0, PAGE, false, FROM_START},
    {TYPE_TASK_STAT, "", 0, PAGE, false, FROM_START},
    {TYPE_RUN, "status", RUN_PENDING, PAGE, false, FROM_START},
    {TYPE_RUN, "status", RUN_RUNNING, PAGE, false, FROM_START},
    {TYPE_WORKER, "", 0, PAGE, false, FROM_START},
    {TYPE_KEY, "", 0, PAGE, false, FROM_START},
    {TYPE_EVENT, "", 0, 1, true, FROM_START},
    {TYPE_EVENT, "", 0, PAGE, false, FROM_RECENT},
    {TYPE_WEBHOOK, "", 0, PAGE, false, FROM_START},
    {TYPE_DELIVERY, "", 0, PAGE, false, FROM_START},
};

#define SCANS (sizeof scans / sizeof scans[0])

/* The one at this place, behind those of the table what the farms want. False: there is none. */
static bool scan_at(const struct recover_port *port, size_t at, struct scan *out)
{
    if (at < SCANS) {
        *out = scans[at];
        return true;
    }
    at -= SCANS;
    for (size_t i = 0; port->farms != NULL && port->farms[i] != NULL; i++) {
        for (const struct farm_scan *scan = port->farms[i]; scan->type != 0; scan++) {
            if (at-- == 0) {
                *out = (struct scan){scan->type, "", 0, scan->first ? 1 : PAGE, scan->first, FROM_START};
                return true;
            }
        }
    }
    return false;
}

struct answer;

struct recover {
    struct loop *loop;
    struct bus_client *store;
    struct recover_port port;
    uint64_t asked;
    const struct answer *expected;
    int timer; /* made ahead: it begins again, memory or not */
    bool done;
    size_t scan_index;
    struct scan scan; /* under way */
    uint64_t after;   /* last id of it so far */
    uint64_t epoch;
    uint64_t next_ids[NEXT_IDS];
    uint32_t next_count;
    uint64_t records, began_ms;
};

static void recover_start(void *arg);

static void question_forget(struct recover *recover)
{
    if (recover->asked != 0) {
        bus_forget(recover->store, recover->asked);
        recover->asked = 0;
    }
}

static void recover_fail(struct recover *recover, const struct err *err)
{
    question_forget(recover);
    recover->done = true;
    recover->port.fail(recover->port.self, err);
}

/* Begins again after a moment: nothing that was asked or loaded counts. */
static void recover_restart(struct recover *recover)
{
    question_forget(recover);
    if (!recover->done) {
        loop_set(recover->loop, recover->timer, PAUSE_MS, 0);
    }
}

static void on_grant(struct recover *recover, const struct msg *msg);
static void on_page(struct recover *recover, const struct msg *msg);

/* The answers to its questions. */
static const struct answer {
    uint16_t id;
    void (*handle)(struct recover *recover, const struct msg *msg);
    const char *doc;
} answers[] = {
    {MSG_EPOCH_GRANT, on_grant, "the snapshot may be read"},
    {MSG_SCAN_ROWS, on_page, "a page of it"},
};

/* What is not the answer to the open question begins everything again. */
static void on_answer(void *arg, const struct msg *msg, const struct err *err)
{
    struct recover *recover = arg;
    struct str text = msg == NULL ? str_of(err->text) : STR_LIT("an answer that was not asked for");

    recover->asked = 0;
    if (msg != NULL && msg->shape->id == recover->expected->id) {
        recover->expected->handle(recover, msg);
        return;
    }
    if (msg != NULL && msg->shape->id == MSG_ERROR) {
        text = msg->u.error.text;
    }
    log_warn("GTY-RECOVER-AGAIN", "%.*s", (int)text.len, text.len > 0 ? text.ptr : "");
    recover_restart(recover);
}

static void question_ask(struct recover *recover, const struct shape *shape, const void *value, const struct answer *expected)
{
    recover->expected = expected;
    recover->asked = bus_ask(recover->store, shape, value, (struct str){0}, DEADLINE_MS, on_answer, recover);
}

static void page_ask(struct recover *recover)
{
    const struct scan *scan = &recover->scan;
    struct msg_scan ask = {
        .type = scan->type, .field = str_of(scan->field), .number = scan->number, .after = recover->after, .limit = scan->limit};

    question_ask(recover, &shape_msg_scan, &ask, &answers[1]);
}

static void recover_finish(struct recover *recover)
{
    struct err err = {0};

    recover->done = true;
    log_info("GTY-RECOVER-DONE", "epoch=%lu records=%lu ms=%lu", (unsigned long)recover->epoch, (unsigned long)recover->records,
             (unsigned long)(clock_mono_ms() - recover->began_ms));
    if (recover->port.finish(recover->port.self, recover->epoch, recover->next_ids, recover->next_count, &err) != 0) {
        recover->port.fail(recover->port.self, &err);
    }
}

/* Goes on to the next scan; false when there is none. */
static bool scan_next(struct recover *recover)
{
    uint64_t oldest_event = recover->scan.type == TYPE_EVENT ? recover->after : 0;

    recover->after = 0;
    if (!scan_at(&recover->port, ++recover->scan_index, &recover->scan)) {
        return false;
    }
    if (recover->scan.from == FROM_RECENT) { /* not again what is loaded already */
        uint64_t next = recover->next_count > TYPE_EVENT ? recover->next_ids[TYPE_EVENT] : 0;
        uint64_t recent = next > EVENTS_BACK ? next - EVENTS_BACK - 1 : 0;
        recover->after = recent > oldest_event ? recent : oldest_event;
    }
    return true;
}

/* Loads a page. Ids grow over all pages of a scan; anything else is not the store we know. */
static int page_load(struct recover *recover, enum record_type type, uint64_t after, const struct rec_row_list *rows,
                     struct err *err)
{
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct rec_row *row = &rows->items[i];
        if (row->id <= after) {
            return err_set(err, ERR_PROTOCOL, "the store scans out of order: %lu after %lu", (unsigned long)row->id,
                           (unsigned long)after);
        }
        after = row->id;
        struct err why = {0};
        if (recover->port.load(recover->port.self, type, row->value, &why) != 0) {
            return err_set(err, why.code, "record type %d id %lu: %.200s", (int)type, (unsigned long)row->id, why.text);
        }
        recover->records++;
    }
    return 0;
}

static void on_page(struct recover *recover, const struct msg *msg)
{
    const struct scan asked = recover->scan, *scan = &asked;
    uint64_t after = recover->after;
    struct err why = {0};

    const struct msg_scan_rows *rows = &msg->u.scan_rows;
    bool more = !rows->end && !scan->once && rows->rows.count > 0;
    if (rows->rows.count > 0) {
        recover->after = rows->rows.items[rows->rows.count - 1].id;
    }
    more = more || scan_next(recover);
    if (more) {
        page_ask(recover);
    }
    if (page_load(recover, scan->type, after, &rows->rows, &why) != 0) {
        recover_fail(recover, &why);
    } else if (!more) {
        recover_finish(recover);
    }
}

static void on_grant(struct recover *recover, const struct msg *msg)
{
    struct err why = {0};
    const struct msg_epoch_grant *grant = &msg->u.epoch_grant;
    recover->epoch = grant->epoch;
    recover->next_count = grant->next_ids.count < NEXT_IDS ? grant->next_ids.count : NEXT_IDS;
    if (recover->next_count > 0) {
        memcpy(recover->next_ids, grant->next_ids.items, recover->next_count * sizeof recover->next_ids[0]);
    }
    recover->scan_index = 0;
    scan_at(&recover->port, 0, &recover->scan);
    recover->after = 0;
    recover->records = 0;
    recover->began_ms = clock_mono_ms();
    if (recover->port.begin(recover->port.self, &why) != 0) {
        recover_fail(recover, &why);
        return;
    }
    page_ask(recover);
}

static void recover_start(void *arg)
{
    struct recover *recover = arg;
    struct msg_epoch_claim claim = {0};

    question_ask(recover, &shape_msg_epoch_claim, &claim, &answers[0]);
}

struct recover *recover_new(struct loop *loop, struct bus_client *store, const struct recover_port *port)
{
    struct recover *recover = calloc(1, sizeof *recover);

    if (recover == NULL) {
        return NULL;
    }
    *recover = (struct recover){.loop = loop, .store = store, .port = *port};
    recover->timer = loop_timer(loop, recover_start, recover);
    if (recover->timer < 0) {
        recover_free(recover);
        return NULL;
    }
    recover_start(recover);
    return recover;
}

void recover_free(struct recover *recover)
{
    if (recover != NULL) {
        question_forget(recover);
        loop_cancel(recover->loop, recover->timer);
        free(recover);
    }
}

void recover_again(struct recover *recover)
{
    if (!recover->done) {
        recover_restart(recover);
    }
}
