#include "gateway/auth_list.h"

#include <stdlib.h>

#include "proto/clock.h"
#include "proto/file.h"
#include "proto/log.h"
#include "proto/messages.h"
#include "proto/watch.h"

#define TOLD_MOST 20 /* keys that came or went, a time */

struct auth_list {
    struct auth_paths paths;
    struct watch watch;
    struct auth_keys keys;
    bool news;   /* somebody used one since the last flush */
    bool failed; /* the last flush did: told once */
    bool stale;  /* the file could not be read since it changed: told once, and tried again */
};

struct auth_list *auth_list_new(const struct settings *settings, struct err *err)
{
    struct auth_list *list = calloc(1, sizeof *list);

    if (!list) {
        err_set(err, ERR_NO_MEMORY, "no memory for the list of keys");
        return NULL;
    }
    if (auth_paths_of(settings, &list->paths, err) != 0)
        goto error;
    list->watch.path = list->paths.keys;
    watch_changed(&list->watch, clock_mono_ms());
    if (auth_file_keys(&list->paths, &list->keys, err) != 0)
        goto error;
    auth_file_used(&list->paths, &list->keys);
    return list;
error:
    auth_list_free(list);
    return NULL;
}

void auth_list_free(struct auth_list *list)
{
    if (!list)
        return;
    auth_list_flush(list);
    auth_keys_free(&list->keys);
    free(list);
}

/* Who may come in now, and who not any more: as far as TOLD_MOST lines go. */
static void tell_changes(const struct auth_keys *had, const struct auth_keys *have)
{
    unsigned told = 0;

    for (size_t i = 0; i < had->count && told < TOLD_MOST; i++) {
        const struct auth_key *key = &had->rows[i];
        if (!auth_keys_of_id(have, str_of(key->id)) && ++told)
            log_info("GTY-AUTH-KEY-GONE", "id=%s name=%s role=%s", key->id, key->name, role_name(key->role));
    }
    for (size_t i = 0; i < have->count && told < TOLD_MOST; i++) {
        const struct auth_key *key = &have->rows[i];
        if (!auth_keys_of_id(had, str_of(key->id)) && ++told)
            log_info("GTY-AUTH-KEY-NEW", "id=%s name=%s role=%s", key->id, key->name, role_name(key->role));
    }
    if (told > 0)
        log_info("GTY-AUTH-KEYS", "keys=%zu the list has changed", have->count);
}

static void list_follow(struct auth_list *list)
{
    struct auth_keys fresh = {0};
    struct err err = {0};

    if (!watch_changed(&list->watch, clock_mono_ms()))
        return;
    if (auth_file_keys(&list->paths, &fresh, &err) != 0) {
        if (!list->stale)
            log_error("GTY-AUTH-KEYS", "%s; the keys that were read before stay", err.text);
        list->stale = true;
        watch_again(&list->watch);
        return;
    }
    list->stale = false;
    for (size_t i = 0; i < fresh.count; i++) {
        const struct auth_key *had = auth_keys_of_id(&list->keys, str_of(fresh.rows[i].id));
        fresh.rows[i].used_ms = had ? had->used_ms : 0;
    }
    tell_changes(&list->keys, &fresh);
    auth_keys_free(&list->keys);
    list->keys = fresh;
}

void auth_list_look(struct auth_list *list)
{
    list_follow(list);
}

struct auth_key *auth_list_match(struct auth_list *list, struct str text)
{
    list_follow(list);
    return auth_keys_match(&list->keys, text);
}

bool auth_list_holds(struct auth_list *list, const char *id)
{
    list_follow(list);
    const struct auth_key *key = auth_keys_of_id(&list->keys, str_of(id));
    return key && (key->expires_ms == 0 || key->expires_ms > clock_wall_ms());
}

void auth_list_used(struct auth_list *list, struct auth_key *key)
{
    key->used_ms = clock_wall_ms();
    list->news = true;
}

unsigned auth_list_count(const struct auth_list *list)
{
    return (unsigned)list->keys.count;
}

/* Not synced: it is worth no wait, and a loss of it costs a date in a list. */
void auth_list_flush(struct auth_list *list)
{
    struct buf text = {0};
    struct err err = {0};

    if (!list->news)
        return;
    auth_file_used(&list->paths, &list->keys); /* another gateway may write there too */
    if (auth_used_write(&list->keys, &text) != 0 || file_replace(list->paths.used, buf_str(&text), false, &err) != 0) {
        if (!list->failed)
            log_warn("GTY-AUTH-USED", "%s: when keys were used last is not written down", err.text);
        list->failed = true;
    } else {
        list->news = list->failed = false;
    }
    buf_free(&text);
}
