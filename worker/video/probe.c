#include "worker/video/probe.h"

#include <jansson.h>
#include <math.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/messages.h"
#include "worker/publish.h"

/* Every field once, for writing and reading. */
enum field_kind { TEXT, FLAG, NATURAL32, NATURAL64, SIGNED32, SIGNED64, REALNUM };

struct probe_field {
    const char *name;
    enum field_kind kind;
    size_t offset, size;
};

#define TEXT_OF(type, member)                                                                                                    \
    {                                                                                                                            \
#member, TEXT, offsetof(type, member), sizeof(((type *)0)->member)                                                       \
    }
#define OF(type, kind, member)                                                                                                   \
    {                                                                                                                            \
#member, kind, offsetof(type, member), 0                                                                                 \
    }

static const struct probe_field stream_fields[] = {
    OF(struct probe_stream, NATURAL32, index),
    TEXT_OF(struct probe_stream, codec),
    TEXT_OF(struct probe_stream, profile),
    TEXT_OF(struct probe_stream, language),
    TEXT_OF(struct probe_stream, title),
    OF(struct probe_stream, FLAG, standard),
    OF(struct probe_stream, FLAG, forced),
    OF(struct probe_stream, NATURAL64, bitrate),
    OF(struct probe_stream, REALNUM, duration),
    OF(struct probe_stream, NATURAL32, channels),
    OF(struct probe_stream, NATURAL32, sample_rate),
    OF(struct probe_stream, NATURAL32, width),
    OF(struct probe_stream, NATURAL32, height),
    OF(struct probe_stream, NATURAL32, depth),
    OF(struct probe_stream, REALNUM, fps),
    OF(struct probe_stream, FLAG, variable),
    OF(struct probe_stream, FLAG, interlaced),
    OF(struct probe_stream, SIGNED32, rotation),
    TEXT_OF(struct probe_stream, pixels),
    TEXT_OF(struct probe_stream, primaries),
    TEXT_OF(struct probe_stream, transfer),
    TEXT_OF(struct probe_stream, space),
    TEXT_OF(struct probe_stream, range),
    OF(struct probe_stream, FLAG, spherical),
    OF(struct probe_stream, FLAG, stereo),
    OF(struct probe_stream, FLAG, dolby_vision),
    OF(struct probe_stream, FLAG, hdr10_plus),
    TEXT_OF(struct probe_stream, headers),
    TEXT_OF(struct probe_stream, master),
    OF(struct probe_stream, NATURAL32, cll),
    OF(struct probe_stream, NATURAL32, fall),
    {0},
};

static const struct probe_field file_fields[] = {
    TEXT_OF(struct probe, error),          OF(struct probe, NATURAL64, size),
    OF(struct probe, SIGNED64, mtime_ms),  TEXT_OF(struct probe, format),
    OF(struct probe, REALNUM, duration),   OF(struct probe, NATURAL64, bitrate),
    OF(struct probe, NATURAL32, chapters), OF(struct probe, NATURAL32, more),
    OF(struct probe, SIGNED64, start_us),  {0},
};

static const char *const kinds[PROBE_KINDS] = {"video", "audio", "subtitle", "picture", "attachment", "data"};

/* ---- looking at one ---- */

const struct probe_stream *probe_film(const struct probe *probe)
{
    return probe->video >= 0 && (unsigned)probe->video < probe->count ? &probe->streams[probe->video] : NULL;
}

uint64_t probe_video_bitrate(const struct probe *probe)
{
    const struct probe_stream *film = probe_film(probe);
    return film && film->bitrate ? film->bitrate : probe->bitrate;
}

unsigned probe_count(const struct probe *probe, enum probe_kind kind)
{
    unsigned count = 0;
    for (unsigned i = 0; i < probe->count; i++)
        count += probe->streams[i].kind == kind;
    return count;
}

bool probe_is_pq(const struct probe *probe)
{
    const struct probe_stream *film = probe_film(probe);
    return film && strcmp(film->transfer, "smpte2084") == 0;
}

bool probe_is_hdr(const struct probe *probe)
{
    const struct probe_stream *film = probe_film(probe);
    return probe_is_pq(probe) || (film && strcmp(film->transfer, "arib-std-b67") == 0);
}

/* ---- writing ---- */

static json_t *field_write(const struct probe_field *field, const char *base)
{
    const void *at = base + field->offset;
    switch (field->kind) {
    case TEXT:
        return *(const char *)at ? json_string(at) : NULL;
    case FLAG:
        return *(const bool *)at ? json_true() : NULL;
    case NATURAL32:
        return *(const unsigned *)at ? json_integer((json_int_t) * (const unsigned *)at) : NULL;
    case NATURAL64:
        return *(const uint64_t *)at ? json_integer((json_int_t)(*(const uint64_t *)at & INT64_MAX)) : NULL;
    case SIGNED32:
        return *(const int *)at ? json_integer(*(const int *)at) : NULL;
    case SIGNED64:
        return *(const int64_t *)at ? json_integer((json_int_t) * (const int64_t *)at) : NULL;
    case REALNUM:
        return isfinite(*(const double *)at) && *(const double *)at > 0 ? json_real(*(const double *)at) : NULL;
    }
    return NULL;
}

/* What is zero or empty is left out. */
static bool fields_write(const struct probe_field *fields, const void *base, json_t *object)
{
    for (const struct probe_field *field = fields; field->name; field++) {
        json_t *value = field_write(field, base);
        if (value && json_object_set_new(object, field->name, value) < 0)
            return false;
    }
    return true;
}

static bool streams_write(const struct probe *probe, json_t *object)
{
    json_t *list = json_array();
    bool well = list && json_object_set(object, "streams", list) == 0;
    for (unsigned i = 0; well && i < probe->count; i++) {
        json_t *one = json_object();
        well = one && json_array_append(list, one) == 0 && fields_write(stream_fields, &probe->streams[i], one) &&
               json_object_set_new(one, "kind", json_string(kinds[probe->streams[i].kind])) == 0 &&
               (i != (unsigned)probe->video || json_object_set_new(one, "film", json_true()) == 0);
        json_decref(one);
    }
    json_decref(list);
    return well;
}

int probe_write(const struct probe *probe, uint64_t number, struct buf *out)
{
    char hex[2 * PROBE_HASH + 1];
    json_t *object = json_object();
    bool well = object && json_object_set_new(object, "number", json_integer((json_int_t)number)) == 0 &&
                fields_write(file_fields, probe, object);
    if (well && probe->hashed) {
        publish_hex(probe->hash, hex);
        well = json_object_set_new(object, "hash", json_string(hex)) == 0;
    }
    char *text = well && (probe->error[0] || streams_write(probe, object)) ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    int rc = text && strlen(text) < PROBE_LINE ? buf_text(out, text) : -1;
    free(text);
    return rc;
}

/* ---- the same as msgpack ---- */

static int pack_bytes(void *data, const char *bytes, size_t len)
{
    return buf_add(data, bytes, len);
}

static void pack_text(msgpack_packer *packer, const char *text)
{
    size_t len = strlen(text);
    msgpack_pack_str(packer, len);
    msgpack_pack_str_body(packer, text, len);
}

static void pack_value(msgpack_packer *packer, const json_t *value)
{
    if (json_is_string(value))
        pack_text(packer, json_string_value(value));
    else if (json_is_integer(value))
        msgpack_pack_int64(packer, json_integer_value(value));
    else if (json_is_real(value))
        msgpack_pack_double(packer, json_real_value(value));
    else
        json_is_true(value) ? msgpack_pack_true(packer) : msgpack_pack_false(packer);
}

/* Members of one object that are no lists; more: members that follow. */
static void pack_members(msgpack_packer *packer, json_t *object, size_t more)
{
    const char *key;
    json_t *value;
    size_t count = 0;
    json_object_foreach(object, key, value) count += !json_is_array(value);
    msgpack_pack_map(packer, count + more);
    json_object_foreach(object, key, value)
    {
        if (json_is_array(value))
            continue;
        pack_text(packer, key);
        pack_value(packer, value);
    }
}

int probe_detail(const struct probe *probe, struct buf *out)
{
    json_t *object = json_object();
    msgpack_packer packer;
    bool well = object && fields_write(file_fields, probe, object) && streams_write(probe, object);
    msgpack_packer_init(&packer, out, pack_bytes);
    if (well) {
        const json_t *streams = json_object_get(object, "streams");
        pack_members(&packer, object, 1);
        pack_text(&packer, "streams");
        msgpack_pack_array(&packer, json_array_size(streams));
        for (size_t i = 0; i < json_array_size(streams); i++)
            pack_members(&packer, json_array_get(streams, i), 0);
    }
    json_decref(object);
    return well && !out->failed ? 0 : -1;
}

/* ---- reading ---- */

static bool field_read(const struct probe_field *field, const json_t *value, char *base)
{
    void *at = base + field->offset;
    json_int_t number = json_integer_value(value);
    switch (field->kind) {
    case TEXT:
        if (!json_is_string(value) || json_string_length(value) >= field->size)
            return false;
        memcpy(at, json_string_value(value), json_string_length(value) + 1);
        return true;
    case FLAG:
        *(bool *)at = json_is_true(value);
        return json_is_boolean(value);
    case NATURAL32:
        *(unsigned *)at = (unsigned)number;
        return json_is_integer(value) && number >= 0 && number <= UINT32_MAX;
    case NATURAL64:
        *(uint64_t *)at = (uint64_t)number;
        return json_is_integer(value) && number >= 0;
    case SIGNED32:
        *(int *)at = (int)number;
        return json_is_integer(value) && number >= -360 && number <= 360;
    case SIGNED64:
        *(int64_t *)at = number;
        return json_is_integer(value);
    case REALNUM:
        *(double *)at = json_number_value(value);
        return json_is_number(value) && json_number_value(value) >= 0;
    }
    return false;
}

static bool fields_read(const struct probe_field *fields, const json_t *object, void *base)
{
    for (const struct probe_field *field = fields; field->name; field++) {
        const json_t *value = json_object_get(object, field->name);
        if (value && !field_read(field, value, base))
            return false;
    }
    return true;
}

static bool stream_read(const json_t *object, struct probe_stream *stream, bool *film)
{
    const char *kind = json_string_value(json_object_get(object, "kind"));
    if (!kind || !fields_read(stream_fields, object, stream))
        return false;
    for (enum probe_kind i = 0; i < PROBE_KINDS; i++)
        if (strcmp(kinds[i], kind) == 0) {
            stream->kind = i;
            *film = i == PROBE_VIDEO && json_is_true(json_object_get(object, "film"));
            return true;
        }
    return false;
}

static bool probe_read_object(const json_t *object, struct probe *probe, uint64_t *number)
{
    const json_t *streams = json_object_get(object, "streams"), *which = json_object_get(object, "number");
    const char *hash = json_string_value(json_object_get(object, "hash"));
    if (!json_is_integer(which) || json_integer_value(which) < 0 || !fields_read(file_fields, object, probe))
        return false;
    *number = (uint64_t)json_integer_value(which);
    probe->hashed = hash && publish_unhex(hash, probe->hash);
    if ((hash && !probe->hashed) || json_array_size(streams) > PROBE_STREAMS)
        return false;
    for (size_t i = 0; i < json_array_size(streams); i++) {
        bool film = false;
        if (!stream_read(json_array_get(streams, i), &probe->streams[probe->count], &film))
            return false;
        if (film)
            probe->video = (int)probe->count;
        probe->count++;
    }
    return probe->error[0] || probe->video >= 0;
}

int probe_parse(struct str line, struct probe *probe, uint64_t *number, struct err *err)
{
    json_error_t why;
    *probe = (struct probe){.video = -1};
    json_t *object = line.len <= PROBE_LINE ? json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES, &why) : NULL;
    bool well = object && probe_read_object(object, probe, number);
    json_decref(object);
    return well ? 0 : err_set(err, ERR_INVALID, "the prober's answer cannot be read");
}
