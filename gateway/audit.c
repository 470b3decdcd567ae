#include "gateway/audit.h"

#include <stdlib.h>

#include "gateway/ask.h"
#include "gateway/connection.h"
#include "gateway/gateway.h"
#include "proto/clock.h"
#include "proto/ident.h"
#include "proto/log.h"

#define TICK_MS 500
#define KNOWN_MS 1000      /* from a kind's first line to the next */
#define STRANGERS_MS 10000 /* and of those who are nobody: anybody may send as many as they like */
#define MOST_MS 60000
#define PATH_MOST 512 /* as rec_audit_by has it */

struct audit_note {            /* refusals of one kind */
    bool used;                 /* else it is free */
    uint8_t kind[IDENT_HASH];  /* who asks, and why not */
    uint64_t untold;           /* since the last line of it */
    uint64_t next_ms, wait_ms; /* when there may be one, and how long after that the one behind it */
    uint64_t by, code;         /* of the newest: enum audit_kind, enum error_code */
    char who[JWT_SUBJECT + 1]; /* … and its texts */
    char address[PEER_TEXT], method[16], path[PATH_MOST + 1], rid[65];
};

struct audit_notes {
    int timer;
    struct audit_note kinds[AUDIT_KINDS + 1]; /* the last is of those that find no room */
};

/* ---- who asks ---- */

static void by_fill(const struct request *request, struct rec_audit_by *by)
{
    static const uint8_t kinds[] = {[ACTOR_NOBODY] = AUDIT_NOBODY,
                                    [ACTOR_OPEN] = AUDIT_LOCAL,
                                    [ACTOR_NETWORK] = AUDIT_NETWORK,
                                    [ACTOR_KEY] = AUDIT_KEY,
                                    [ACTOR_TOKEN] = AUDIT_TOKEN};
    const struct actor *actor = &request->actor;

    *by = (struct rec_audit_by){.kind = kinds[actor->kind],
                                .who = str_of(actor->name),
                                .address = str_of(request->connection->address),
                                .method = str_of(method_name(request->method)),
                                .path = str_cut(request->uri.path, PATH_MOST)};
    if (actor->kind == ACTOR_OPEN)
        by->who = STR_LIT("local");
    else if (actor->kind == ACTOR_NETWORK)
        by->who = STR_LIT("network");
}

void audit_sign(const struct request *request, struct rec_idem *idem)
{
    if (!request->gateway->audit.enabled || !request->connection)
        return;
    by_fill(request, &idem->by);
    SET_HAS(idem, rec_idem, by);
}

void audit_unsign(struct request *request, struct rec_idem *idem)
{
    CLEAR_HAS(idem, rec_idem, by);
    request->has_line = true;
}

/* ---- notes ---- */

static void note_tell(struct gateway *gateway, struct audit_note *note, uint64_t now_ms)
{
    struct msg_audit_note message = {.by = {.kind = note->by,
                                            .who = str_of(note->who),
                                            .address = str_of(note->address),
                                            .method = str_of(note->method),
                                            .path = str_of(note->path)},
                                     .request_id = str_of(note->rid),
                                     .more = note->untold - 1,
                                     .code = note->code};
    struct err err = {0};

    SET_HAS(&message, msg_audit_note, code);
    if (bus_tell(ask_client(gateway->ask, ASK_SCHEDULER), &shape_msg_audit_note, &message, &err) != 0) {
        log_debug("GTY-AUDIT-UNTOLD", "%s", err.text); /* the next tick tries again */
        return;
    }
    note->untold = 0;
    note->next_ms = now_ms + note->wait_ms;
    note->wait_ms = note->wait_ms * 2 < MOST_MS ? note->wait_ms * 2 : MOST_MS;
}

static void on_tick(void *arg)
{
    struct gateway *gateway = arg;
    uint64_t now_ms = clock_mono_ms();

    for (size_t i = 0; i <= AUDIT_KINDS; i++) {
        struct audit_note *note = &gateway->audit.notes->kinds[i];
        if (!note->used || now_ms < note->next_ms)
            continue;
        if (note->untold > 0)
            note_tell(gateway, note, now_ms);
        else
            note->used = false; /* it was quiet for its whole time */
    }
}

static struct audit_note *note_of(struct audit_notes *notes, const uint8_t kind[IDENT_HASH])
{
    struct audit_note *room = &notes->kinds[AUDIT_KINDS];

    for (size_t i = AUDIT_KINDS; i-- > 0;) {
        if (notes->kinds[i].used && memcmp(notes->kinds[i].kind, kind, IDENT_HASH) == 0)
            return &notes->kinds[i];
        if (!notes->kinds[i].used)
            room = &notes->kinds[i];
    }
    return room;
}

static void text_keep(char *out, size_t size, struct str text)
{
    str_copy(out, size, str_cut(text, size - 1));
}

static void note_refusal(struct gateway *gateway, const struct rec_audit_by *by, const char *rid, uint64_t code)
{
    const struct str parts[] = {{(const char *)&by->kind, sizeof by->kind}, by->who, {(const char *)&code, sizeof code}};
    bool stranger = by->kind == AUDIT_NOBODY || by->kind == AUDIT_UNKNOWN;
    uint64_t now_ms = clock_mono_ms();
    uint8_t kind[IDENT_HASH];

    ident_hash(kind, parts, sizeof parts / sizeof *parts);
    struct audit_note *note = note_of(gateway->audit.notes, kind);
    if (!note->used) {
        *note = (struct audit_note){.used = true, .next_ms = now_ms, .wait_ms = stranger ? STRANGERS_MS : KNOWN_MS};
        memcpy(note->kind, kind, sizeof kind);
    }
    note->untold++;
    note->by = by->kind;
    note->code = code;
    text_keep(note->who, sizeof note->who, by->who);
    text_keep(note->address, sizeof note->address, by->address);
    text_keep(note->method, sizeof note->method, by->method);
    text_keep(note->path, sizeof note->path, by->path);
    text_keep(note->rid, sizeof note->rid, str_of(rid));
    if (now_ms >= note->next_ms)
        note_tell(gateway, note, now_ms);
}

/* ---- refusals ---- */

/* What a refusal is in the log; 0: it has no line. What one can only ask again for, as a process is away or memory is short, has none. */
static uint64_t code_of(enum problem_kind kind)
{
    switch (kind) {
    case PROBLEM_BAD_REQUEST:
    case PROBLEM_METHOD:
    case PROBLEM_TIMEOUT:
    case PROBLEM_TOO_LARGE:
    case PROBLEM_URI_TOO_LONG:
    case PROBLEM_MEDIA_TYPE:
        return ERR_BAD_REQUEST;
    case PROBLEM_INVALID:
        return ERR_INVALID;
    case PROBLEM_UNAUTHENTICATED: /* forbidden to nobody */
    case PROBLEM_FORBIDDEN:
        return ERR_FORBIDDEN;
    case PROBLEM_NOT_FOUND:
        return ERR_NOT_FOUND;
    case PROBLEM_CONFLICT:
        return ERR_CONFLICT;
    case PROBLEM_KEY_REUSED:
        return ERR_KEY_REUSED;
    case PROBLEM_LIMIT:
        return ERR_LIMIT;
    default:
        return 0;
    }
}

void audit_told(struct request *request, uint64_t code)
{
    /* These it answers before there is a command, or asks for the command again (core_answer.c). */
    bool passes = code == ERR_KEY_REUSED || code == ERR_LIMIT || code == ERR_UNAVAILABLE || code == ERR_NO_MEMORY;

    request->has_line |= request->keyed && !passes;
}

void audit_refused(const struct request *request, enum problem_kind kind)
{
    const struct audit *audit = &request->gateway->audit;
    const unsigned writes = METHOD_POST | METHOD_PUT | METHOD_PATCH | METHOD_DELETE;
    uint64_t code = code_of(kind);
    struct rec_audit_by by;

    if (!audit->enabled || !audit->notes || !request->connection || request->has_line || !(request->method & writes) || code == 0)
        return;
    by_fill(request, &by);
    if (by.kind == AUDIT_NOBODY && kind != PROBLEM_UNAUTHENTICATED)
        by.kind = AUDIT_UNKNOWN;
    note_refusal(request->gateway, &by, request->rid, code);
}

/* ---- life ---- */

int audit_open(struct gateway *gateway, struct err *err)
{
    struct audit_notes *notes = calloc(1, sizeof *notes);

    if (!notes || (notes->timer = loop_every(gateway->loop, TICK_MS, on_tick, gateway)) < 0) {
        free(notes);
        return err_set(err, ERR_NO_MEMORY, "no memory for the audit log");
    }
    gateway->audit.notes = notes;
    return 0;
}

void audit_close(struct gateway *gateway)
{
    struct audit_notes *notes = gateway->audit.notes;

    if (!notes)
        return;
    for (size_t i = 0; i <= AUDIT_KINDS; i++) {
        if (notes->kinds[i].untold > 0)
            note_tell(gateway, &notes->kinds[i], clock_mono_ms());
    }
    loop_cancel(gateway->loop, notes->timer);
    free(notes);
    gateway->audit.notes = NULL;
}
