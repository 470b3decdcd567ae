/* Answers to commands, and the keys that remember them (rule 4). */
#include <stdarg.h>
#include <stdio.h>

#include "scheduler/audit.h"

#define REFUSAL_BYTES 4096 /* of an ERROR with everything in it, encoded */
#define KEY_BYTES 128      /* of a key's record, without the answer */

int fault_set(struct fault *fault, int code, const char *field, const char *rule, struct str value, const char *expected,
              const char *format, ...)
{
    va_list args;
    fault->code = code;
    fault->soon = false;
    fault->rule = rule ? rule : "";
    snprintf(fault->field, sizeof fault->field, "%s", field ? field : "");
    snprintf(fault->expected, sizeof fault->expected, "%s", expected ? expected : "");
    str_copy(fault->value, sizeof fault->value, str_cut(value, sizeof fault->value - 1));
    va_start(args, format);
    vsnprintf(fault->text, sizeof fault->text, format, args);
    va_end(args);
    return -1;
}

int fault_memory(struct fault *fault)
{
    return fault_set(fault, ERR_NO_MEMORY, NULL, NULL, (struct str){0}, NULL, "out of memory");
}

int core_reserve(struct core *core, size_t bytes, size_t answer, uint32_t ops, struct fault *fault)
{
    struct err err = {0};
    size_t total = bytes + answer + audit_bytes(core) + 64;
    if (core->idem) {
        total += answer + KEY_BYTES;
        ops += 2 + AUDIT_OPS;
        if (keys_reserve(core->keys))
            return fault_memory(fault);
    }
    if (journal_reserve(core->journal, total, ops + 1, &err)) {
        fault_set(fault, err.code, NULL, NULL, (struct str){0}, NULL, "%.300s", err.text);
        fault->soon = !journal_connected(core->journal);
        return -1;
    }
    return 0;
}

void core_answer(struct core *core, const struct core_call *call, const struct shape *shape, const void *value)
{
    struct str body = journal_send(core->journal, &call->from, shape, value);
    if (core->idem && body.len)
        keys_store(core->keys, core->journal, core->idem, body, core_steady(core));
    audit_answer(core, call, shape, value);
}

/* Refusals that say "come back" are not remembered: the same key is to be tried again. */
static bool fault_passes(const struct fault *fault)
{
    return fault->code == ERR_UNAVAILABLE || fault->code == ERR_LIMIT || fault->code == ERR_NO_MEMORY ||
           strcmp(fault->rule, FAULT_FETCH) == 0;
}

/* vsnprintf may have cut a character in two. */
static struct str whole(const char *text)
{
    return str_cut(str_of(text), sizeof(struct fault));
}

void core_refuse(struct core *core, const struct core_call *call, const struct fault *fault)
{
    struct fault trouble;
    if (!fault_passes(fault) && core_reserve(core, REFUSAL_BYTES, REFUSAL_BYTES, 2, &trouble))
        fault = &trouble;
    struct msg_error error = {.code = (uint64_t)fault->code,
                              .text = whole(fault->text),
                              .field = whole(fault->field),
                              .rule = str_of(fault->rule),
                              .value = whole(fault->value),
                              .expected = whole(fault->expected),
                              .soon = fault->soon};
    if (fault_passes(fault))
        journal_send_now(core->journal, &call->from, &shape_msg_error, &error);
    else
        core_answer(core, call, &shape_msg_error, &error);
}

uint64_t core_event(struct core *core, struct rec_event *event)
{
    event->at = core->wall_ms;
    return event_append(core->events, core->journal, event);
}
