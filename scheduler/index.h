/* A hash table of objects by a key inside them: open addressing, one pointer a slot. */
#ifndef GANTRY_SCHEDULER_INDEX_H
#define GANTRY_SCHEDULER_INDEX_H

#include <stddef.h>

#include "proto/str.h"

struct index {
    void **slots;
    size_t size; /* a power of two, or 0 */
    size_t count;
    size_t offset; /* of the key: a uint64_t, or a struct str when text */
    bool text;
    unsigned char seed[16]; /* so that names cannot be chosen to collide */
};

void index_init(struct index *index, size_t offset, bool text, uint64_t seed);
void index_free(struct index *index); /* the objects are not its own */

/* Room for `more` objects; -1 when out of memory. index_add within it cannot fail. */
int index_reserve(struct index *index, size_t more);
void index_add(struct index *index, void *object);       /* its key is not in the table yet, and stays as it is while it is */
void index_remove(struct index *index, void *object);    /* one that is not in the table is left alone */
void *index_id(const struct index *index, uint64_t key); /* NULL if there is none */
void *index_text(const struct index *index, struct str key);

#endif
