/* The DNA1 block of a .blend file: which structs its blocks are made of, and where in them each field is.
 *
 * Blender writes it from its own headers at each save, so a file says itself how it is to be read, whichever version made it. It is data
 * from outside: counts, offsets and names are checked once, in dna_new, and what is asked for later lies within what the file says a
 * struct's size is. Structs are never walked into, but for the names of a path, so that ones that hold themselves do no harm.
 */
#ifndef GANTRY_WORKER_SCENE_DNA_H
#define GANTRY_WORKER_SCENE_DNA_H

#include <stdint.h>

#include "proto/str.h"

#define DNA_BYTES ((size_t)4 << 20) /* Blender 4's has 120 KB */

enum dna_kind { DNA_STRUCT, DNA_POINTER, DNA_SIGNED, DNA_UNSIGNED, DNA_REAL };

struct dna_field {
    enum dna_kind kind;
    uint32_t offset; /* in the outer struct */
    uint32_t size;   /* bytes of one element */
    uint32_t count;  /* elements; 1: it is no array */
};

struct dna;

/* data: what stands in the block; taken (malloc'd, with room for one byte behind it), also on failure. pointer: bytes of one. swap: its
 * byte order is not this machine's. NULL with err. */
struct dna *dna_new(char *data, size_t len, unsigned pointer, bool swap, struct err *err);
void dna_free(struct dna *dna); /* takes NULL */

int dna_find(const struct dna *dna, const char *name);     /* number of a struct; -1: none of that name */
uint32_t dna_size(const struct dna *dna, uint32_t number); /* bytes; 0: there is no such struct */

/* path: "r.im_format.imtype". False: there is no such field. */
bool dna_path(const struct dna *dna, int number, const char *path, struct dna_field *field);

#endif
