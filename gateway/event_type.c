#include "gateway/event_type.h"

#define STR(s)                                                                                                                   \
    {                                                                                                                            \
        (s), sizeof(s) - 1                                                                                                       \
    }
#define HEARTBEAT 0 /* its place, and so its bit */

static const struct str names[] = {
    [HEARTBEAT] = STR(EVENT_HEARTBEAT),
    STR("task.created"),
    STR("task.updated"),
    STR("task.deleted"),
    STR("task.triggered"),
    STR("task.completed"),
    STR("task.failed"),
    STR("run.started"),
    STR("run.retry"),
    STR("run.aborted"),
    STR("worker.registered"),
    STR("worker.unregistered"),
    STR("system.health_check"),
};
#define NAMES (sizeof names / sizeof *names)
#define BIT(n) (UINT64_C(1) << (n))
#define OTHERS BIT(62) /* of a scheduler of another version */
#define PING BIT(63)

uint64_t event_type_bit(struct str type)
{
    for (unsigned i = 0; i < NAMES; i++) {
        if (str_eq(type, names[i]))
            return BIT(i);
    }
    return str_is(type, "webhook.ping") ? PING : OTHERS;
}

uint64_t event_types_default(void)
{
    return ~(BIT(HEARTBEAT) | PING);
}

bool event_types_beat(uint64_t types)
{
    return types & BIT(HEARTBEAT);
}

bool event_types_add(uint64_t *types, struct str word)
{
    uint64_t found = 0;
    bool prefix = word.len > 2 && word.ptr[word.len - 1] == '*' && word.ptr[word.len - 2] == '.';

    if (str_is(word, "*"))
        found = event_types_default();
    for (unsigned i = 0; i < NAMES && !found; i++) {
        if (str_eq(word, names[i]))
            found = BIT(i);
    }
    for (unsigned i = 0; i < NAMES && prefix; i++) {
        if (names[i].len >= word.len && memcmp(names[i].ptr, word.ptr, word.len - 1) == 0 && i != HEARTBEAT)
            found |= BIT(i);
    }
    *types |= found;
    return found != 0;
}

uint64_t event_types_of(const struct str_list *words)
{
    uint64_t types = 0;

    for (uint32_t i = 0; i < words->count; i++)
        event_types_add(&types, words->items[i]);
    return words->count > 0 ? types : event_types_default();
}

const char *event_types_known(void)
{
    static char known[512];

    if (known[0] == '\0') {
        for (unsigned i = 1; i < NAMES; i++)
            str_append(known, sizeof known, "|", names[i].ptr);
        str_append(known, sizeof known, "|", names[HEARTBEAT].ptr);
    }
    return known;
}

const char *event_type_name(unsigned number)
{
    return number < NAMES ? names[number].ptr : NULL;
}
