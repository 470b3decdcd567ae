/* Questions to the scheduler and the store on behalf of a request. Each ends, by its deadline at the latest.
 *
 * A process that is down for a moment (a restart) is waited for; one that is down for longer is not: the answer is a 503 at once.
 * That goes for the store behind the scheduler, too: a command that it refuses as the store is away has changed nothing and is asked
 * again, with the same key, within the request's time. A command that nothing answers is the store's doing when the scheduler
 * says that it waits for the store; it is asked that just before the request's time is over.
 */
#ifndef GANTRY_GATEWAY_ASK_H
#define GANTRY_GATEWAY_ASK_H

#include "gateway/reply.h"

struct ask;

/* The clients of scheduler and store. NULL with err. */
struct ask *ask_new(struct gateway *gateway, struct err *err);
void ask_free(struct ask *ask); /* takes NULL */

/* Asks; then on_answer is called with the answer, never an ERROR: those, and silence, become the request's answer by themselves. One
 * question a request at a time; value is not needed after the call. */
void ask_send(struct request *request, enum ask_whom whom, const struct shape *shape, const void *value,
              void (*on_answer)(struct request *request, const struct msg *msg));

/* The same for what an answer can do without: a short deadline, and on_answer is told NULL for errors and silence. */
void ask_soft(struct request *request, enum ask_whom whom, const struct shape *shape, const void *value,
              void (*on_answer)(struct request *request, const struct msg *msg));
/* That deadline: a tenth of bus.deadline_ms, a second at least. */
uint64_t ask_soft_ms(const struct gateway *gateway);

/* A request that waits to be asked again is ending. */
void ask_forget(struct request *request);

/* For questions that belong to no request (health, events). */
struct bus_client *ask_client(struct ask *ask, enum ask_whom whom);

#endif
