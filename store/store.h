/* The store as a process sees it: a ROUTER, a database behind it, and the committer between them.
 *
 * Writes (epochs and batches) go through the committer; reads are answered on the loop from a snapshot.
 */
#ifndef GANTRY_STORE_STORE_H
#define GANTRY_STORE_STORE_H

#include "proto/bus.h"
#include "proto/settings.h"
#include "proto/ship.h"

struct store;

/* Opens the database below the setting `data` and listens. Everything is borrowed. NULL with err. */
struct store *store_new(struct loop *loop, const struct settings *settings, struct err *err);
/* Commits what has arrived, answers it, and closes. Takes NULL. */
void store_free(struct store *store);

/* Where the store's own lines go: into itself. Good for the store's life. */
struct ship_port store_ship(struct store *store);

void store_reload(struct store *store);       /* the settings have changed */
bool store_failed(const struct store *store); /* the disk failed; the loop was stopped and the process must exit with an error */

/* Every message to the store, one row each; self is the struct store. Ends in handle NULL. */
extern const struct bus_route store_routes[];

#endif
