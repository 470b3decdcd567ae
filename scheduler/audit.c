/* The audit log: a line for each write over HTTP, in the batch of its effect. */
#include "scheduler/audit.h"

#define LINE_BYTES 192 /* of a record without its texts, encoded */

static size_t line_bytes(const struct rec_audit_by *by)
{
    return LINE_BYTES + by->who.len + by->address.len + by->method.len + by->path.len;
}

const struct rec_audit_by *audit_asker(const struct core_call *call, const struct rec_idem *idem)
{
    return idem && call->from.door == DOOR_COMMANDS && HAS(idem, rec_idem, by) ? &idem->by : NULL;
}

static void line_put(struct core *core, const struct rec_audit_by *by, struct rec_audit *line)
{
    line->id = core_new_id(core, TYPE_AUDIT);
    line->at = core->wall_ms;
    line->kind = by->kind;
    line->who = by->who;
    line->address = by->address;
    line->method = by->method;
    line->path = by->path;
    journal_put(core->journal, TYPE_AUDIT, line->id, line);
}

/* What an answer is about: the id of its first field, or the number that is its first field. */
static uint64_t target_of(const struct shape *shape, const void *value)
{
    const struct field *field = shape->count ? &shape->fields[0] : NULL;
    const char *at = (const char *)value + (field ? field->offset : 0);
    uint64_t id = 0;
    if (field && field->kind == CODEC_NEST) {
        field = shape_field(field->record, STR_LIT("id"));
        at += field ? field->offset : 0;
    }
    if (field && field->kind == CODEC_UINT)
        memcpy(&id, at, sizeof id);
    else if (field && field->kind == CODEC_UINTS && ((const struct uint_list *)(const void *)at)->count)
        id = ((const struct uint_list *)(const void *)at)->items[0];
    return id;
}

size_t audit_bytes(const struct core *core)
{
    return core->by ? line_bytes(core->by) : 0;
}

void audit_answer(struct core *core, const struct core_call *call, const struct shape *shape, const void *value)
{
    struct rec_audit line = {.request_id = str_of(call->from.rid)};
    if (!core->by)
        return;
    if (shape == &shape_msg_error)
        line.code = ((const struct msg_error *)value)->code;
    else
        line.target = target_of(shape, value);
    line_put(core, core->by, &line);
}

void audit_on_note(struct core *core, const struct core_call *call)
{
    const struct msg_audit_note *note = &call->msg->u.audit_note;
    struct rec_audit line = {
        .code = HAS(note, msg_audit_note, code) ? note->code : ERR_FORBIDDEN, .request_id = note->request_id, .more = note->more};
    struct msg_done done = {0};
    struct fault fault;
    bool asked = call->from.corr != 0;
    if (call->from.door != DOOR_COMMANDS)
        return;
    if (core_reserve(core, line_bytes(&note->by), 0, AUDIT_OPS, &fault)) {
        if (asked) /* else it is soft: what finds no room is not worth a second try */
            core_refuse(core, call, &fault);
        return;
    }
    line_put(core, &note->by, &line);
    if (asked)
        core_answer(core, call, &shape_msg_done, &done);
}
