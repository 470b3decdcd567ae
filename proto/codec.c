/* What stands around a message's fields: [id, {…}], [id, {…}, corr], [id, {…}, corr, rid]. */
#include <msgpack.h>
#include <stdarg.h>
#include <stdio.h>

#include "proto/codec_parts.h"

const struct field *shape_field(const struct shape *shape, struct str name)
{
    for (size_t i = 0; i < shape->count; i++) {
        if (str_is(name, shape->fields[i].name)) {
            return &shape->fields[i];
        }
    }
    return NULL;
}

/* ---- places ---- */

/* Appends this place's part of the path, those above it first. */
static void place_path(const struct place *place, char *out, size_t size)
{
    if (place->up != NULL) {
        place_path(place->up, out, size);
    } else {
        snprintf(out, size, "%s", place->shape->name);
    }
    size_t len = strlen(out);
    if (place->field != NULL) {
        snprintf(out + len, size - len, ".%s", place->field->name);
        len = strlen(out);
    }
    if (place->item != PLACE_NO_ITEM) {
        snprintf(out + len, size - len, "[%u]", place->item);
    }
}

int place_err(const struct place *place, struct err *err, int code, const char *format, ...)
{
    char path[128], sentence[128];
    va_list args;

    if (err == NULL) {
        return -1;
    }
    place_path(place, path, sizeof path);
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    return err_set(err, code, "%s: %s", path, sentence);
}

/* ---- encode ---- */

/* Request ids go to logs as they are. */
static bool rid_valid(struct str rid)
{
    if (rid.len > CODEC_RID_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < rid.len; i++) {
        if (rid.ptr[i] <= ' ' || rid.ptr[i] > '~') {
            return false;
        }
    }
    return true;
}

static size_t envelope_size(uint64_t corr, struct str rid)
{
    return rid.len > 0 ? 4 : (corr != 0 ? 3 : 2);
}

static void envelope_pack(msgpack_packer *packer, uint64_t corr, struct str rid)
{
    size_t size = envelope_size(corr, rid);

    if (size >= 3) {
        msgpack_pack_uint64(packer, corr);
    }
    if (size == 4) {
        msgpack_pack_str(packer, rid.len);
        msgpack_pack_str_body(packer, rid.ptr, rid.len);
    }
}

/* Ends an encode that began at len: whole, or out as it was. */
static int encode_end(struct buf *out, size_t len, int rc, struct err *err)
{
    size_t size = out->len - len;

    if (rc == 0 && !out->failed && size <= CODEC_FRAME_MAX) {
        return 0;
    }
    if (rc == 0 && out->failed) {
        err_set(err, ERR_NO_MEMORY, "no memory for a message, or it is over the buffer's limit");
    } else if (rc == 0) {
        err_set(err, ERR_LIMIT, "a message of %zu bytes, at most %u are sent", size, CODEC_FRAME_MAX);
    }
    out->len = len;
    out->failed = false;
    return -1;
}

static int encode_begin(const struct buf *out, struct str rid, struct err *err)
{
    if (out->failed) {
        return err_set(err, ERR_NO_MEMORY, "the buffer has failed before");
    }
    if (!rid_valid(rid)) {
        return err_set(err, ERR_INVALID, "request id: at most %d printable characters without blanks expected", CODEC_RID_MAX);
    }
    return 0;
}

int codec_encode(struct buf *out, const struct shape *shape, const void *value, uint64_t corr, struct str rid, struct err *err)
{
    msgpack_packer packer;
    size_t len = out->len;

    if (encode_begin(out, rid, err) != 0) {
        return -1;
    }
    msgpack_packer_init(&packer, out, pack_to);
    msgpack_pack_array(&packer, envelope_size(corr, rid));
    msgpack_pack_uint16(&packer, shape->id);
    int rc = encode_record(out, shape, value, NULL, err);
    if (rc == 0) {
        envelope_pack(&packer, corr, rid);
    }
    return encode_end(out, len, rc, err);
}

int codec_encode_record(struct buf *out, const struct shape *shape, const void *value, struct err *err)
{
    size_t len = out->len;

    if (encode_begin(out, STR_LIT(""), err) != 0) {
        return -1;
    }
    return encode_end(out, len, encode_record(out, shape, value, NULL, err), err);
}

int codec_address(struct buf *out, struct str body, uint64_t corr, struct str rid, struct err *err)
{
    struct codec_envelope envelope;
    msgpack_packer packer;
    size_t len = out->len;

    if (encode_begin(out, rid, err) != 0 || codec_open(body, &envelope, err) != 0) {
        return -1;
    }
    if ((unsigned char)body.ptr[0] != 0x92) {
        return err_set(err, ERR_INVALID, "message %#06x has an address already", (unsigned)envelope.id);
    }
    msgpack_packer_init(&packer, out, pack_to);
    msgpack_pack_array(&packer, envelope_size(corr, rid));
    buf_add(out, body.ptr + 1, body.len - 1);
    envelope_pack(&packer, corr, rid);
    return encode_end(out, len, 0, err);
}

/* ---- decode ---- */

/* [id, up to its fields; answers how many elements the array has, or -1. */
static int envelope_head(struct reader *reader, uint64_t *id, struct err *err)
{
    struct token token;

    if (reader_next(reader, &token) != 0 || token.kind != TOKEN_ARRAY || token.u.count < 2 || token.u.count > 4) {
        return err_set(err, ERR_BAD_REQUEST, "not a message: an array of 2 to 4 elements expected");
    }
    int count = (int)token.u.count;
    if (reader_next(reader, &token) != 0 || token.kind != TOKEN_UINT) {
        return err_set(err, ERR_BAD_REQUEST, "not a message: its first element is no number");
    }
    *id = token.u.natural;
    return count;
}

/* corr and rid, and nothing behind them. */
static int envelope_tail(struct reader *reader, int count, uint64_t *corr, struct str *rid, struct err *err)
{
    struct token token;

    *corr = 0;
    *rid = (struct str){NULL, 0};
    if (count >= 3) {
        if (reader_next(reader, &token) != 0 || token.kind != TOKEN_UINT) {
            return err_set(err, ERR_BAD_REQUEST, "corr: the third element is a number of 0 or more");
        }
        *corr = token.u.natural;
    }
    if (count >= 4) {
        if (reader_next(reader, &token) != 0 || token.kind != TOKEN_STR || !rid_valid(token.u.text)) {
            return err_set(err, ERR_BAD_REQUEST, "request id: at most %d printable characters without blanks expected",
                           CODEC_RID_MAX);
        }
        *rid = token.u.text;
    }
    if (reader->at != reader->end) {
        return err_set(err, ERR_BAD_REQUEST, "%zu bytes behind the message", (size_t)(reader->end - reader->at));
    }
    return 0;
}

static int reader_open(struct reader *reader, struct str bytes, struct err *err)
{
    if (bytes.len == 0 || bytes.len > CODEC_FRAME_MAX) {
        return err_set(err, ERR_BAD_REQUEST, "%u bytes given, 1 to %u expected", bytes.len, CODEC_FRAME_MAX);
    }
    *reader = (struct reader){bytes.ptr, bytes.ptr + bytes.len};
    return 0;
}

uint64_t codec_id(struct str bytes)
{
    struct reader reader;
    uint64_t id = 0;

    return reader_open(&reader, bytes, NULL) == 0 && envelope_head(&reader, &id, NULL) >= 0 ? id : 0;
}

int codec_open(struct str bytes, struct codec_envelope *out, struct err *err)
{
    struct reader reader;

    *out = (struct codec_envelope){0};
    if (reader_open(&reader, bytes, err) != 0) {
        return -1;
    }
    int count = envelope_head(&reader, &out->id, err);
    if (count < 0) {
        return -1;
    }
    if (reader_skip(&reader, 2 * CODEC_DEPTH) != 0) {
        return err_set(err, ERR_BAD_REQUEST, "message %#06x: its fields are malformed", (unsigned)out->id);
    }
    return envelope_tail(&reader, count, &out->corr, &out->rid, err);
}

int msg_decode(struct arena *arena, struct str bytes, struct msg *out, struct err *err)
{
    struct decoder decoder = {.arena = arena, .err = err};
    uint64_t id = 0;

    out->shape = NULL;
    if (reader_open(&decoder.reader, bytes, err) != 0) {
        return -1;
    }
    int count = envelope_head(&decoder.reader, &id, err);
    if (count < 0) {
        return -1;
    }
    const struct shape *shape = message_shape(id);
    if (shape == NULL) {
        return err_set(err, ERR_PROTOCOL, "message %#06llx is not known here", (unsigned long long)id);
    }
    memset(&out->u, 0, shape->size);
    if (decode_record(&decoder, shape, &out->u, NULL, CODEC_DEPTH) != 0 ||
        envelope_tail(&decoder.reader, count, &out->corr, &out->rid, err) != 0) {
        memset(&out->u, 0, shape->size);
        return -1;
    }
    out->shape = shape;
    return 0;
}

int codec_decode_record(struct arena *arena, const struct shape *shape, struct str bytes, void *out, struct err *err)
{
    struct decoder decoder = {.arena = arena, .err = err};

    memset(out, 0, shape->size);
    if (reader_open(&decoder.reader, bytes, err) != 0) {
        return -1;
    }
    if (decode_record(&decoder, shape, out, NULL, CODEC_DEPTH) != 0) {
        memset(out, 0, shape->size);
        return -1;
    }
    if (decoder.reader.at != decoder.reader.end) {
        memset(out, 0, shape->size);
        return err_set(err, ERR_BAD_REQUEST, "%s: %zu bytes behind the record", shape->name,
                       (size_t)(decoder.reader.end - decoder.reader.at));
    }
    return 0;
}
