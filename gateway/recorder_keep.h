/* What recorder.keep_days, keep_gb and free_gb ask for, done: every few seconds the output folder is looked at, and what is too much goes.
 * Never from the folder of the cycle that is under way.
 */
#ifndef GANTRY_GATEWAY_RECORDER_KEEP_H
#define GANTRY_GATEWAY_RECORDER_KEEP_H

#include "gateway/gateway.h"

struct recorder_keep;

struct recorder_keep *recorder_keep_new(struct gateway *gateway, struct err *err); /* NULL with err */
void recorder_keep_free(struct recorder_keep *keep);                               /* takes NULL; the helper thread has ended */

#endif
