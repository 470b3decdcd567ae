/* What farms' runs are, and what their workers are told: a spec, and parameters as a map in msgpack. */
#ifndef GANTRY_SCHEDULER_FARMS_PARAMETERS_H
#define GANTRY_SCHEDULER_FARMS_PARAMETERS_H

#include <msgpack.h>

#include "proto/buf.h"
#include "proto/messages.h"

/* A spec of a run of this type, done once by the executor of the same name; borrows. */
struct rec_task_spec parameters_spec(struct str name, struct str type, struct str command, uint64_t seconds);

/* A map of that many pairs, which follow; out->failed says that there was no memory. */
void parameters_begin(msgpack_packer *packer, struct buf *out, uint32_t pairs);
void parameters_text(msgpack_packer *packer, const char *key, struct str text);
void parameters_uint(msgpack_packer *packer, const char *key, uint64_t value);
void parameters_real(msgpack_packer *packer, const char *key, double value);

/* A number of a run's parameters; 0: it is not there, or is none. */
double parameters_number_real(struct str map, const char *key);

#endif
