/* JSON objects into records, by the message table: one description of a field serves the bus, the disk and the API. */
#ifndef GANTRY_GATEWAY_FIELDS_H
#define GANTRY_GATEWAY_FIELDS_H

#include "gateway/request.h"

/* Reads the members of object that shape has fields for into record (zeroed, of shape->size); others are ignored. Kinds and bounds are
 * the table's. A member that is null counts as empty where empty is allowed (update: the caller clears it), else as not given.
 * Numbers in `dependencies` are taken as their digits. Fields named priority hold an enum priority and are given as words.
 * Texts borrow from object, lists and maps from the request. skip: names of fields not to be read, ends in NULL (may be NULL).
 * prefix: what stands before a name in problems ("items[3]."); "" for none. -1 with problem. */
int fields_read(struct request *request, const json_t *object, const struct shape *shape, const char *const *skip,
                const char *prefix, bool null_clears, void *record, struct problem *problem);

/* -1 with problem (rule required) unless object has a member of that name that is not null. */
int fields_require(const json_t *object, const char *name, const char *prefix, struct problem *problem);

/* A map that was read must hold nothing but texts (env, labels). */
int fields_texts_only(const json_t *object, const char *name, struct problem *problem);

#endif
