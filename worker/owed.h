/* What runs owe the farm, made into messages. What cannot be sent now stays owed. */
#ifndef GANTRY_WORKER_OWED_H
#define GANTRY_WORKER_OWED_H

#include "proto/bus.h"
#include "worker/roster.h"

struct owed { /* space for the lists in messages; zeroed before its first use */
    void *space;
    size_t size;
};

void owed_clear(struct owed *owed);
/* Room for count leases, zeroed; NULL when out of memory. Valid until the next call. */
struct rec_lease *owed_leases(struct owed *owed, uint32_t count);

/* A new session: everything this run owes is to be sent again. */
void owed_again(struct run *run);

void owed_send_accepts(struct owed *owed, struct bus_client *client, struct roster *roster, uint64_t now_ms);
void owed_send_rejects(struct owed *owed, struct bus_client *client, struct roster *roster);
void owed_send_progress(struct owed *owed, struct bus_client *client, struct roster *roster);
/* Log lines not sent yet, or sent a while ago and not confirmed. One message of a run is under way at a time, so that none can be kept
 * while an earlier one was not. False while there are lines that were not sent. */
bool owed_send_log(struct owed *owed, struct bus_client *client, struct run *run, uint64_t now_ms);
/* Results whose log lines are all out. */
void owed_send_results(struct owed *owed, struct bus_client *client, struct roster *roster, uint64_t now_ms);
void owed_send_publishes(struct bus_client *client, struct roster *roster, uint64_t now_ms);

#endif
