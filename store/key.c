#include "store/key.h"

#include "proto/ident.h"

static void key_byte(struct key *key, unsigned byte)
{
    key->bytes[key->len++] = (unsigned char)byte;
}

void key_begin(struct key *key, uint64_t type, unsigned number)
{
    key->len = 0;
    key_byte(key, (unsigned)type);
    key_byte(key, number);
}

void key_number(struct key *key, uint64_t number)
{
    unsigned bytes = 0;
    while (bytes < 8 && number >> (8 * bytes) != 0)
        bytes++;
    key_byte(key, bytes);
    while (bytes > 0)
        key_byte(key, (unsigned)(number >> (8 * --bytes)) & 0xff);
}

static void key_escaped(struct key *key, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++) {
        key_byte(key, bytes[i]);
        if (bytes[i] == 0)
            key_byte(key, 0xff);
    }
}

void key_text(struct key *key, struct str text)
{
    if (text.len <= KEY_TEXT) {
        key_escaped(key, text.ptr, text.len);
    } else {
        unsigned char hash[IDENT_HASH];
        ident_hash(hash, &text, 1);
        key_escaped(key, text.ptr, KEY_TEXT - IDENT_HASH);
        key_escaped(key, hash, sizeof hash);
    }
    key_byte(key, 0);
    key_byte(key, 1);
}

void key_value(struct key *key, const struct column *column, const struct value *value)
{
    if (column_is_text(column))
        key_text(key, value->text);
    else
        key_number(key, value->number);
}

void key_write_u64(unsigned char out[8], uint64_t number)
{
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(number >> (56 - 8 * i));
}

uint64_t key_read_u64(const void *bytes)
{
    const unsigned char *at = bytes;
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | at[i];
    return number;
}

void key_id(struct key *key, uint64_t id)
{
    key_write_u64(key->bytes + key->len, id);
    key->len += KEY_ID;
}

uint64_t key_id_at_end(struct str key)
{
    return key.len < KEY_ID ? 0 : key_read_u64(key.ptr + key.len - KEY_ID);
}

uint32_t key_group(struct str key, bool text)
{
    uint32_t at = 2;
    if (!text) {
        at += key.len > at ? 1U + (unsigned char)key.ptr[at] : 1;
        return at + KEY_ID <= key.len ? at : 0;
    }
    for (; at + 2 + KEY_ID <= key.len; at++) {
        if (key.ptr[at] == 0 && key.ptr[at + 1] == 1)
            return at + 2;
        at += key.ptr[at] == 0; /* 00 FF is a NUL of the text */
    }
    return 0;
}

bool key_step_over(struct key *key)
{
    while (key->len > 0 && key->bytes[key->len - 1] == 0xff)
        key->len--;
    if (key->len == 0)
        return false;
    key->bytes[key->len - 1]++;
    return true;
}
