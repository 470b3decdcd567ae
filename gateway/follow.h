/* A run's log as server-sent events, from a position on, until the run is final and all of it has been sent. */
#ifndef GANTRY_GATEWAY_FOLLOW_H
#define GANTRY_GATEWAY_FOLLOW_H

#include "gateway/request.h"
#include "gateway/writer.h"

/* Answers the request with the stream. line writes one log line as a JSON object (borrowed for ever). The run is known to exist. Where
 * lines are no longer kept, an event says how many: line is always told that none are missing. */
void follow_start(struct request *request, uint64_t run_id, uint64_t after,
                  void (*line)(struct writer *w, const struct rec_log_line *line, uint64_t missing));

#endif
