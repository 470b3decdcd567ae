#include "scheduler/farms/parameters.h"

struct rec_task_spec parameters_spec(struct str name, struct str type, struct str command, uint64_t seconds)
{
    struct rec_task_spec spec = {.name = name,
                                 .task_type = type,
                                 .executor = type,
                                 .command = command,
                                 .priority = PRIORITY_NORMAL,
                                 .timeout_seconds = seconds};
    SET_HAS(&spec, rec_task_spec, name);
    SET_HAS(&spec, rec_task_spec, task_type);
    SET_HAS(&spec, rec_task_spec, executor);
    SET_HAS(&spec, rec_task_spec, command);
    SET_HAS(&spec, rec_task_spec, priority);
    SET_HAS(&spec, rec_task_spec, retry_count);
    SET_HAS(&spec, rec_task_spec, timeout_seconds);
    return spec;
}

static int pack_to_buf(void *out, const char *bytes, size_t len)
{
    return buf_add(out, bytes, len);
}

static void pack_str(msgpack_packer *packer, struct str text)
{
    msgpack_pack_str(packer, text.len);
    msgpack_pack_str_body(packer, text.len ? text.ptr : "", text.len);
}

void parameters_begin(msgpack_packer *packer, struct buf *out, uint32_t pairs)
{
    msgpack_packer_init(packer, out, pack_to_buf);
    msgpack_pack_map(packer, pairs);
}

void parameters_text(msgpack_packer *packer, const char *key, struct str text)
{
    pack_str(packer, str_of(key));
    pack_str(packer, text);
}

void parameters_uint(msgpack_packer *packer, const char *key, uint64_t value)
{
    pack_str(packer, str_of(key));
    msgpack_pack_uint64(packer, value);
}

void parameters_real(msgpack_packer *packer, const char *key, double value)
{
    pack_str(packer, str_of(key));
    msgpack_pack_double(packer, value);
}

double parameters_number_real(struct str map, const char *key)
{
    struct token token;
    if (!map_find(map, key, &token))
        return 0;
    return token.kind == TOKEN_REAL ? token.u.real : token.kind == TOKEN_UINT ? (double)token.u.natural : 0;
}
