/* The blocks of a .blend file that were kept, and what is in them by the file's DNA. */
#ifndef GANTRY_WORKER_SCENE_BLEND_FILE_H
#define GANTRY_WORKER_SCENE_BLEND_FILE_H

#include "worker/scene/dna.h"
#include "worker/scene/source.h"

#define BLEND_BLOCK ((size_t)64 << 10) /* of data that belongs to something, at most */
#define BLEND_ID ((size_t)1 << 20)     /* of a thing with a name */
#define BLEND_KEPT ((size_t)96 << 20)  /* of all that is kept */
#define BLEND_BLOCKS 500000            /* kept */

struct blend_block {
    char code[5];    /* "SC", "OB", "DATA", "GLOB"; those of two letters end there */
    uint32_t number; /* of its struct in the DNA */
    uint64_t old;    /* where it was in Blender's memory: what pointers say */
    uint32_t len;
    char *data; /* owned */
};

struct blend_file {
    unsigned version; /* 304, 405, 500 */
    unsigned pointer; /* bytes */
    bool swap, large; /* byte order is not ours; blocks have 64 bit lengths */
    struct blend_block *blocks;
    uint32_t count, size;
    struct blend_block **by_old; /* sorted */
    size_t kept;
    uint64_t left_out; /* blocks that were wanted and had no room */
    struct dna *dna;
};

/* Reads the whole file. -1 with err. blend_file_close in any case. */
int blend_file_read(struct blend_file *file, struct source *source, struct err *err);
void blend_file_close(struct blend_file *file);

/* A struct in a block: what the calls below look into. */
struct blend_thing {
    const struct blend_block *block; /* NULL: nothing */
    int number;                      /* its struct */
    uint32_t index;                  /* of those in the block */
};

struct blend_thing blend_of(const struct blend_block *block);                  /* the first in it */
uint32_t blend_count(const struct blend_file *file, struct blend_thing thing); /* how many structs are in its block */

/* A field's number; fallback if there is none such. */
double blend_number(const struct blend_file *file, struct blend_thing thing, const char *path, double fallback);
bool blend_has(const struct blend_file *file, struct blend_thing thing, const char *path);
/* A text in a field (char name[64]), borrowed, up to its NUL; empty if there is none. */
struct str blend_text(const struct blend_file *file, struct blend_thing thing, const char *path);
uint64_t blend_pointer(const struct blend_file *file, struct blend_thing thing, const char *path); /* 0: NULL, or no such field */
/* What a pointer leads to, as far as it was kept. */
struct blend_thing blend_follow(const struct blend_file *file, struct blend_thing thing, const char *path);
struct blend_thing blend_at(const struct blend_file *file, uint64_t old);
/* The same where it is no struct but characters. */
struct str blend_string(const struct blend_file *file, struct blend_thing thing, const char *path);

#endif
