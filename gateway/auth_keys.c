#include "gateway/auth_keys.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/clock.h"
#include "proto/ident.h"
#include "proto/messages.h"

#define PREFIX "gantry_"
#define HEAD "gantry-keys 1"
#define COLUMNS 7

void auth_keys_free(struct auth_keys *keys)
{
    if (!keys)
        return;
    free(keys->rows);
    *keys = (struct auth_keys){0};
}

static void key_hash(uint8_t out[AUTH_KEY_HASH], struct str text)
{
    crypto_generichash(out, AUTH_KEY_HASH, (const unsigned char *)text.ptr, text.len, NULL, 0);
}

void auth_key_make(struct auth_key *key, char text[AUTH_KEY_TEXT + 1])
{
    char secret[2 * 32 + 1];

    ident_random(key->id, AUTH_KEY_ID / 2);
    ident_random(secret, 32);
    snprintf(text, AUTH_KEY_TEXT + 1, PREFIX "%s_%s", key->id, secret);
    key_hash(key->hash, str_of(text));
    sodium_memzero(secret, sizeof secret);
}

/* ---- the list ---- */

static struct auth_key *key_of_name(const struct auth_keys *keys, struct str name)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (str_is(name, keys->rows[i].name))
            return &keys->rows[i];
    }
    return NULL;
}

struct auth_key *auth_keys_of_id(const struct auth_keys *keys, struct str id)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (str_is(id, keys->rows[i].id))
            return &keys->rows[i];
    }
    return NULL;
}

int auth_keys_add(struct auth_keys *keys, const struct auth_key *key, struct err *err)
{
    if (!ident_valid(str_of(key->name)))
        return err_set(err, ERR_INVALID, "a key's name has 1 to 64 characters out of A-Z a-z 0-9 . _ : -");
    if (key_of_name(keys, str_of(key->name)))
        return err_set(err, ERR_CONFLICT, "there is a key of the name %s already: revoke it first", key->name);
    if (auth_keys_of_id(keys, str_of(key->id)))
        return err_set(err, ERR_CONFLICT, "there is a key of the id %s already", key->id);
    if (keys->count == AUTH_KEYS_MAX)
        return err_set(err, ERR_LIMIT, "there are %d keys, and may be no more", AUTH_KEYS_MAX);
    if (keys->count == keys->size) {
        size_t size = keys->size ? keys->size * 2 : 16;
        void *grown = realloc(keys->rows, size * sizeof *keys->rows);
        if (!grown)
            return err_set(err, ERR_NO_MEMORY, "no memory for the list of keys");
        keys->rows = grown;
        keys->size = size;
    }
    keys->rows[keys->count++] = *key;
    return 0;
}

int auth_keys_remove(struct auth_keys *keys, struct str name, struct err *err)
{
    struct auth_key *key = key_of_name(keys, name);

    if (!key)
        return err_set(err, ERR_NOT_FOUND, "there is no key of the name %.*s", (int)name.len, name.ptr);
    size_t behind = (size_t)(keys->rows + keys->count - key) - 1;
    memmove(key, key + 1, behind * sizeof *key);
    keys->count--;
    return 0;
}

bool auth_key_shaped(struct str text)
{
    return text.len >= sizeof PREFIX - 1 && memcmp(text.ptr, PREFIX, sizeof PREFIX - 1) == 0;
}

struct auth_key *auth_keys_match(const struct auth_keys *keys, struct str text)
{
    uint8_t hash[AUTH_KEY_HASH];

    if (text.len != AUTH_KEY_TEXT || !auth_key_shaped(text))
        return NULL;
    struct auth_key *key = auth_keys_of_id(keys, (struct str){text.ptr + sizeof PREFIX - 1, AUTH_KEY_ID});
    key_hash(hash, text);
    return key && sodium_memcmp(hash, key->hash, sizeof hash) == 0 ? key : NULL;
}

/* ---- the file ---- */

static struct str line_cut(struct str *text)
{
    const char *end = text->len ? memchr(text->ptr, '\n', text->len) : NULL;
    struct str line = {text->ptr, end ? (uint32_t)(end - text->ptr) : text->len};
    uint32_t taken = line.len + (end ? 1 : 0);

    text->ptr += taken;
    text->len -= taken;
    return line;
}

/* The words of a line, which stand one blank apart; how many, at most max + 1. */
static unsigned words_cut(struct str line, struct str *words, unsigned max)
{
    unsigned count = 0;

    while (line.len > 0 || count == 0) {
        const char *blank = line.len ? memchr(line.ptr, ' ', line.len) : NULL;
        struct str word = {line.ptr, blank ? (uint32_t)(blank - line.ptr) : line.len};
        if (count == max)
            return max + 1;
        words[count++] = word;
        if (!blank)
            break;
        line = (struct str){blank + 1, line.len - word.len - 1};
        if (line.len == 0) /* a blank at the end is an empty word */
            return max + 1;
    }
    return count;
}

static bool hex_read(uint8_t *out, size_t bytes, struct str word)
{
    size_t got = 0;
    const char *end = NULL;

    return word.len == 2 * bytes && sodium_hex2bin(out, bytes, word.ptr, word.len, NULL, &got, &end) == 0 && got == bytes;
}

static bool time_read(uint64_t *out, struct str word, bool may_lack)
{
    if (may_lack && str_is(word, "-")) {
        *out = 0;
        return true;
    }
    return clock_parse_iso(word.ptr, word.len, out) == 0 && *out > 0;
}

static bool rate_read(uint32_t *out, struct str word)
{
    uint64_t number = 0;

    for (uint32_t i = 0; i < word.len; i++) {
        if (word.ptr[i] < '0' || word.ptr[i] > '9' || i > 6)
            return str_is(word, "-");
        number = number * 10 + (uint64_t)(word.ptr[i] - '0');
    }
    *out = (uint32_t)number;
    return number >= 1 && number <= AUTH_RATE_MAX;
}

/* id role created expires rate hash name */
static bool key_read(struct auth_key *key, struct str line)
{
    struct str words[COLUMNS];
    uint8_t id[AUTH_KEY_ID / 2];

    *key = (struct auth_key){0};
    return words_cut(line, words, COLUMNS) == COLUMNS && hex_read(id, sizeof id, words[0]) &&
           str_copy(key->id, sizeof key->id, words[0]) && role_parse(words[1], &key->role) &&
           time_read(&key->created_ms, words[2], false) && time_read(&key->expires_ms, words[3], true) &&
           rate_read(&key->rate, words[4]) && hex_read(key->hash, sizeof key->hash, words[5]) &&
           str_copy(key->name, sizeof key->name, words[6]);
}

int auth_keys_parse(struct str text, struct auth_keys *out, struct err *err)
{
    struct auth_keys fresh = {0};
    struct auth_key key;
    struct err why = {0};
    unsigned number = 1;

    if (text.len == 0 || text.ptr[text.len - 1] != '\n' || !str_is(line_cut(&text), HEAD))
        return err_set(err, ERR_INVALID, "it does not begin with \"" HEAD "\", or does not end in a whole line");
    while (text.len > 0) {
        struct str line = line_cut(&text);
        number++;
        if (!key_read(&key, line)) {
            err_set(err, ERR_INVALID, "line %u is not a key", number);
            goto error;
        }
        if (auth_keys_add(&fresh, &key, &why) != 0) {
            err_set(err, why.code, "line %u: %s", number, why.text);
            goto error;
        }
    }
    auth_keys_free(out);
    *out = fresh;
    return 0;
error:
    auth_keys_free(&fresh);
    return -1;
}

int auth_keys_write(const struct auth_keys *keys, struct buf *out)
{
    char created[CLOCK_ISO_SIZE], expires[CLOCK_ISO_SIZE], rate[12], hash[2 * AUTH_KEY_HASH + 1];

    buf_text(out, HEAD "\n");
    for (size_t i = 0; i < keys->count; i++) {
        const struct auth_key *key = &keys->rows[i];
        snprintf(rate, sizeof rate, "%" PRIu32, key->rate);
        sodium_bin2hex(hash, sizeof hash, key->hash, sizeof key->hash);
        buf_printf(out, "%s %s %s %s %s %s %s\n", key->id, role_name(key->role), clock_iso(key->created_ms, 1, created),
                   key->expires_ms ? clock_iso(key->expires_ms, 1, expires) : "-", key->rate ? rate : "-", hash, key->name);
    }
    return out->failed ? -1 : 0;
}

/* ---- last used ---- */

void auth_used_parse(struct str text, struct auth_keys *keys)
{
    struct str words[2];
    uint64_t used_ms;

    while (text.len > 0) {
        struct str line = line_cut(&text);
        struct auth_key *key = words_cut(line, words, 2) == 2 ? auth_keys_of_id(keys, words[0]) : NULL;
        if (key && time_read(&used_ms, words[1], false) && used_ms > key->used_ms)
            key->used_ms = used_ms;
    }
}

int auth_used_write(const struct auth_keys *keys, struct buf *out)
{
    char used[CLOCK_ISO_SIZE];

    for (size_t i = 0; i < keys->count; i++) {
        if (keys->rows[i].used_ms)
            buf_printf(out, "%s %s\n", keys->rows[i].id, clock_iso(keys->rows[i].used_ms, 1, used));
    }
    return out->failed ? -1 : 0;
}
