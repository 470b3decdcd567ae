/* Records as the store sees them: encoded bytes, of which it reads only the fields that its table (records.def) names. */
#ifndef GANTRY_STORE_RECORD_H
#define GANTRY_STORE_RECORD_H

#include "proto/messages.h"

#define COLUMN_DEPTH 4
#define COLUMN_NONE 0xff
#define RECORD_COLUMNS 16
#define RECORD_INDEXES 16

/* Tables of the database. */
enum store_table {
    TABLE_META,     /* schema version, epoch and sequence, purges under way (store/state.c) */
    TABLE_COUNT,    /* kept counts (store/count.c) */
    TABLE_INDEX,    /* entries of all indexes (store/index.c) */
    TABLE_LOG,      /* log lines (store/logs.c) */
    TABLE_LOG_INFO, /* what is kept and cut of each run's log */
    TABLE_RECORDS,  /* + enum record_type: the records by id, 8 bytes big-endian */
    TABLE_ALL = TABLE_RECORDS + TYPE_MAX,
};
extern const char *const record_tables[TABLE_ALL];

/* A field, by its path from the record's top. */
struct column {
    struct str path;
    uint8_t keys[COLUMN_DEPTH];
    uint8_t depth; /* keys used */
    uint8_t kind;  /* enum codec_kind */
};

static inline bool column_is_text(const struct column *column)
{
    return column->kind == CODEC_STR || column->kind == CODEC_STRS || column->kind == CODEC_BLOB;
}

enum index_flag { INDEX_COUNTED = 1, INDEX_SPARSE = 2, INDEX_WORDS = 4 };

struct index {
    uint8_t number;
    uint8_t flags;
    uint8_t filter; /* place in columns; COLUMN_NONE for words */
    uint8_t sort;   /* COLUMN_NONE: in the order of ids */
    uint32_t words; /* columns whose words it holds, one bit each */
};

struct record {
    uint8_t type;
    const char *name; /* "run" */
    const struct shape *shape;
    uint8_t grows; /* column that grows with the id */
    uint8_t column_count, index_count;
    struct column columns[RECORD_COLUMNS];
    struct index indexes[RECORD_INDEXES];
    const char *join_field; /* NULL for none */
    uint8_t join_type;
};

/* Reads the table, once, before anything else; -1 with err when it is wrong. */
int record_init(struct err *err);
const struct record *record_of(uint64_t type); /* NULL: no such type */

/* Resolves a path; -1 when the record has no such field, or it is one that cannot be compared (a map, a list of records). */
int column_resolve(const struct shape *shape, struct str path, struct column *out);

struct value { /* of a column in a record */
    bool there;
    double real;         /* REAL */
    uint64_t number;     /* UINT, BOOL; INT: as int64_t */
    struct str text;     /* STR, BLOB; borrows from the record */
    struct reader items; /* STRS, UINTS: stands before the first item */
    uint32_t count;
};

/* Reads count columns of an encoded record in one pass; fields that are absent are zero. -1 when the bytes are no record. */
int record_read(const struct column *columns, unsigned count, struct str bytes, struct value *values);

#endif
