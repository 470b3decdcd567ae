/* `gantry key create`, `key list` and `key revoke`: the API keys of who calls over HTTP. They work on the keys file, which a gateway notices
 * by itself, and need no farm; one that runs has a line of what they did in its audit log (deed.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/auth_file.h"
#include "gateway/cli/args.h"
#include "gateway/cli/deed.h"
#include "gateway/cli/show.h"
#include "gateway/cli/term.h"
#include "proto/clock.h"
#include "proto/messages.h"

#define EXPIRES_MOST_MS (UINT64_C(36500) * 86400000) /* a hundred years */

static int usage(const struct err *err)
{
    term_line(stderr, false, "gantry key: %s", err->text);
    return EXIT_USAGE;
}

/* 30d, 12h, 45m, 90s, 2w, or a time (ISO 8601). */
static int expires_read(const char *text, uint64_t now_ms, uint64_t *out, struct err *err)
{
    uint64_t span;

    *out = 0;
    if (args_span(text, EXPIRES_MOST_MS, &span) && span > 0) {
        *out = now_ms + span;
        return 0;
    }
    if (clock_parse_iso(text, strlen(text), out) == 0 && *out > now_ms && *out - now_ms <= EXPIRES_MOST_MS) {
        return 0;
    }
    return err_set(err, ERR_BAD_REQUEST, "--expires is a time from now (30d; also s, m, h, w) or a date to come, not \"%s\"",
                   text);
}

static int add(struct auth_keys *keys, void *arg, struct err *err)
{
    return auth_keys_add(keys, arg, err);
}

static int revoke(struct auth_keys *keys, void *arg, struct err *err)
{
    return auth_keys_remove(keys, str_of(arg), err);
}

static json_t *time_json(uint64_t ms)
{
    char text[CLOCK_ISO_SIZE];

    return ms != 0 ? json_string(clock_iso(ms, 0, text)) : json_null();
}

/* text: the key itself, when it has just been made; else NULL. */
static json_t *key_json(const struct auth_key *key, const char *text)
{
    json_t *all =
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:b, s:o, s:o}", "id", key->id, "name", key->name, "role", role_name(key->role),
                  "created_at", time_json(key->created_ms), "expires_at", time_json(key->expires_ms), "expired",
                  (int)(key->expires_ms != 0 && key->expires_ms <= clock_wall_ms()), "last_used_at", time_json(key->used_ms),
                  "rate_per_minute", key->rate != 0 ? json_integer((json_int_t)key->rate) : json_null());

    if (text != NULL) {
        json_object_set_new(all, "key", json_string(text));
    }
    return all;
}

static int key_init(const struct cli *cli, struct auth_key *key, struct err *err)
{
    const char *role = args_text(cli->args, "role");
    const char *name = args_text(cli->args, "name");
    const char *expires = args_text(cli->args, "expires");
    long long rate;

    if (role == NULL || name == NULL) {
        return err_set(err, ERR_BAD_REQUEST, "a key needs --role " ROLE_WORDS " and --name NAME");
    }
    if (args_number(cli->args, "rate", 1, AUTH_RATE_MAX, 0, &rate, err) != 0) {
        return -1;
    }
    key->rate = (uint32_t)rate;
    key->created_ms = clock_wall_ms();
    if (!role_parse(str_of(role), &key->role) || !str_copy(key->name, sizeof key->name, str_of(name))) {
        return err_set(err, ERR_BAD_REQUEST, "a key's name has 1 to %d characters", AUTH_KEY_NAME);
    }
    return expires != NULL ? expires_read(expires, key->created_ms, &key->expires_ms, err) : 0;
}

int apikey_create(struct cli *cli)
{
    struct auth_key key = {0};
    struct auth_paths paths;
    struct err err = {0};
    char text[AUTH_KEY_TEXT + 1];

    if (key_init(cli, &key, &err) != 0) {
        return usage(&err);
    }
    auth_key_make(&key, text);
    if (auth_paths_of(cli->settings, &paths, &err) != 0 || auth_file_change(cli->settings, &paths, add, &key, &err) != 0) {
        return show_error(&err);
    }
    if (cli->json) {
        json_t *all = key_json(&key, text);
        show_json(all);
        json_decref(all);
    } else {
        printf("%s\n", text);
    }
    fflush(stdout); /* the key, before anything that may take a moment */
    deed_tell(cli, "gantry key create --role %s --name %s (id %s)", role_name(key.role), key.name, key.id);
    if (cli->json) {
        return EXIT_FINE;
    }
    fprintf(stderr, "this key of the role %s is shown now and never again: keep it, for example in GANTRY_KEY\n",
            role_name(key.role));
    return EXIT_FINE;
}

static const char *time_cell(uint64_t ms, char *out, size_t size)
{
    char iso[CLOCK_ISO_SIZE];

    return ms != 0 ? term_time(clock_iso(ms, 0, iso), out, size) : "-";
}

static int keys_table(const struct auth_keys *keys)
{
    static const char *const headings[] = {"ID", "NAME", "ROLE", ">RATE", "CREATED", "EXPIRES", "LAST USED"};
    struct table *table = table_new(headings, sizeof headings / sizeof headings[0]);
    char text[64];

    for (size_t i = 0; table != NULL && i < keys->count; i++) {
        const struct auth_key *key = &keys->rows[i];
        table_add(table, key->id);
        table_add(table, key->name);
        table_add(table, role_name(key->role));
        if (key->rate != 0) {
            table_addf(table, "%" PRIu32, key->rate);
        } else {
            table_add(table, NULL);
        }
        table_add(table, time_cell(key->created_ms, text, sizeof text));
        table_add(table, key->expires_ms != 0 && key->expires_ms <= clock_wall_ms()
                             ? "expired"
                             : time_cell(key->expires_ms, text, sizeof text));
        table_add(table, time_cell(key->used_ms, text, sizeof text));
    }
    int rc = table != NULL ? table_print(table, term_columns(stdout), stdout) : -1;
    table_free(table);
    return rc == 0 ? EXIT_FINE : show_error(&(struct err){.text = "out of memory"});
}

int apikey_list(struct cli *cli)
{
    struct auth_keys keys = {0};
    struct auth_paths paths;
    struct err err = {0};
    int code;

    if (auth_paths_of(cli->settings, &paths, &err) != 0 || auth_file_keys(&paths, &keys, &err) != 0) {
        return show_error(&err);
    }
    auth_file_used(&paths, &keys);
    if (cli->json) {
        json_t *all = json_array();
        for (size_t i = 0; i < keys.count; i++) {
            json_array_append_new(all, key_json(&keys.rows[i], NULL));
        }
        code = show_json(all);
        json_decref(all);
    } else {
        code = keys_table(&keys);
    }
    auth_keys_free(&keys);
    return code;
}

int apikey_revoke(struct cli *cli)
{
    struct auth_paths paths;
    struct err err = {0};
    char name[AUTH_KEY_NAME + 1];

    if (!str_copy(name, sizeof name, str_of(args_at(cli->args, 0)))) {
        err_set(&err, ERR_NOT_FOUND, "there is no key of that name");
        return show_error(&err);
    }
    if (auth_paths_of(cli->settings, &paths, &err) != 0 || auth_file_change(cli->settings, &paths, revoke, name, &err) != 0) {
        return show_error(&err);
    }
    deed_tell(cli, "gantry key revoke %s", name);
    return EXIT_FINE;
}
