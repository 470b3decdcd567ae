/* The engine behind the message table: it walks descriptors to encode, decode, validate and print.
 *
 * On the wire (msgpack): a message is [id, {key: value, …}], [id, {…}, corr] or [id, {…}, corr, rid];
 * a record is {key: value, …}. Unknown keys are skipped, so old and new processes mix. What a peer sends is
 * bounded by the descriptors; duplicate keys, invalid UTF-8, trailing bytes and depth over CODEC_DEPTH are errors.
 */
#ifndef GANTRY_PROTO_CODEC_H
#define GANTRY_PROTO_CODEC_H

#include <stddef.h>

#include "proto/arena.h"
#include "proto/buf.h"
#include "proto/str.h"

#define CODEC_DEPTH 16               /* of free-form maps and of skipped values */
#define CODEC_MAP_MAX (256u << 10)   /* bytes of the largest MAP field */
#define CODEC_FRAME_MAX (32u << 20)  /* bytes of one frame */
#define CODEC_STRING_MAX (32u << 10) /* bytes of one string in a list */
#define CODEC_RID_MAX 64             /* bytes of a request id: printable ASCII without blanks */
#define CODEC_KEYS_MAX 63            /* fields in one record, unknown ones included */

struct str_list {
    struct str *items;
    uint32_t count;
};

struct uint_list {
    uint64_t *items;
    uint32_t count;
};

enum codec_kind {
    CODEC_BOOL,
    CODEC_INT,
    CODEC_UINT,
    CODEC_REAL,
    CODEC_STR,
    CODEC_BLOB,
    CODEC_MAP,
    CODEC_STRS,
    CODEC_UINTS,
    CODEC_NEST, /* one nested record */
    CODEC_LIST, /* a list of them */
};

enum codec_presence { CODEC_REQ, CODEC_OPT, CODEC_NUL, CODEC_SEC };

/* A peer that sends or takes a message. */
enum codec_party { PARTY_ANY, PARTY_GATEWAY, PARTY_SCHEDULER, PARTY_STORE, PARTY_WORKER };

struct shape;

struct field {
    const char *name;
    uint8_t key;
    uint8_t presence;
    uint8_t kind;
    size_t offset; /* of the member in the struct */
    int64_t low, high;
    const struct shape *record; /* NEST, LIST */
    const char *doc;
};

struct shape {
    const char *name; /* "run_submit" */
    uint16_t id;      /* 0 for records */
    uint8_t from, to; /* enum codec_party */
    size_t size;      /* of the struct */
    const struct field *fields;
    size_t count;
    uint64_t required; /* bit `key` of every REQ field */
    const char *doc;
};

/* Appends a message to out. corr 0 and an empty rid are left off. -1 when a field breaks its bounds or memory is short;
 * out is then as before. */
int codec_encode(struct buf *out, const struct shape *shape, const void *value, uint64_t corr, struct str rid, struct err *err);
int codec_encode_record(struct buf *out, const struct shape *shape, const void *value, struct err *err);

/* Appends the message in `body` (encoded without corr) again with this corr and rid: for answers kept as bytes. */
int codec_address(struct buf *out, struct str body, uint64_t corr, struct str rid, struct err *err);

/* What stands around a message's fields, for answering a message that cannot be decoded. Checks nothing of the fields. */
struct codec_envelope {
    uint64_t id;
    uint64_t corr;  /* 0 if none */
    struct str rid; /* empty if none */
};

/* The id of what may be a message, without a look at the rest; 0: it is none. */
uint64_t codec_id(struct str bytes);
/* -1 when bytes are not [id, {…}], with or without corr and rid. */
int codec_open(struct str bytes, struct codec_envelope *out, struct err *err);

/* Decodes a record into out (size shape->size), whole or not at all: on failure out is all zero. */
int codec_decode_record(struct arena *arena, const struct shape *shape, struct str bytes, void *out, struct err *err);

/* Appends `name{field=value …}` for logs and trace: SEC fields as ***, of MAPs the keys only (their values may be secret),
 * long values cut, no control characters. */
void codec_print(struct buf *out, const struct shape *shape, const void *value);

const struct field *shape_field(const struct shape *shape, struct str name); /* NULL if it has none such */

/* ---- free-form maps: msgpack in, msgpack out, walked without building a tree ---- */

enum token_kind { TOKEN_NIL, TOKEN_BOOL, TOKEN_INT, TOKEN_UINT, TOKEN_REAL, TOKEN_STR, TOKEN_BIN, TOKEN_ARRAY, TOKEN_MAP };

struct token {
    enum token_kind kind;
    union {
        bool boolean;
        int64_t integer;  /* TOKEN_INT: negative ones only */
        uint64_t natural; /* TOKEN_UINT */
        double real;
        uint32_t count;  /* TOKEN_ARRAY: items; TOKEN_MAP: pairs */
        struct str text; /* TOKEN_STR (UTF-8 checked), TOKEN_BIN */
    } u;
};

struct reader {
    const char *at;
    const char *end;
};

/* The next token; -1 at the end, on malformed bytes, on a count that cannot fit in what is left, on ext types. */
int reader_next(struct reader *reader, struct token *token);
/* Skips one whole value, at most depth levels deep (0 takes scalars only). */
int reader_skip(struct reader *reader, int depth);
/* Reads one map and checks it as map_valid does; out borrows its bytes. */
int reader_map(struct reader *reader, struct str *out);

/* True when bytes are exactly one msgpack map with distinct string keys at every level, valid UTF-8, finite numbers,
 * at most CODEC_DEPTH deep. Empty bytes count as an empty map. One of more keys than fit in CODEC_MAP_MAX bytes is none. */
bool map_valid(struct str bytes);
/* The value of a key at the top level as a token (a nested value's token only opens it); false if absent. */
bool map_find(struct str map, const char *key, struct token *out);
/* As map_find for text values; false if absent or not text. */
bool map_text(struct str map, struct str key, struct str *out);
/* A natural number; 0 if absent or none. */
uint64_t map_number(struct str map, const char *key);

#endif
