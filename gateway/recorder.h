/* The recorder's files on the gateway's host, beside requests: its configuration's file is imported at the start, and the reports of cycles
 * that are over are written into their folders.
 *
 * A cycle's record says that its reports are owed until they are on disk. So whoever dies in between, gateway, scheduler or store, they are
 * written, perhaps twice, and the same.
 */
#ifndef GANTRY_GATEWAY_RECORDER_H
#define GANTRY_GATEWAY_RECORDER_H

#include "gateway/gateway.h"

struct recorder;

struct recorder *recorder_new(struct gateway *gateway, struct err *err); /* NULL with err */
void recorder_free(struct recorder *recorder);                           /* takes NULL; the helper thread has ended */

#endif
