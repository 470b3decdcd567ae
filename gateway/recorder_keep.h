/* What recorder.keep_days, keep_gb and free_gb ask for, done: every few seconds the output folder is looked at, and what is too much goes.
 * Never from the folder of the cycle that is under way.
 */
#ifndef GANTRY_GATEWAY_RECORDER_KEEP_H
#define GANTRY_GATEWAY_RECORDER_KEEP_H

#include "gateway/gateway.h"
#include "gateway/recordings_keep.h"
#include "proto/messages.h"

#define MILLI_DAY_MS UINT64_C(86400)
#define MILLI_GB UINT64_C(1000000)

struct recorder_keep;

struct recorder_keep *recorder_keep_new(struct gateway *gateway, struct err *err); /* NULL with err */
void recorder_keep_free(struct recorder_keep *keep);                               /* takes NULL; the helper thread has ended */

/* What is asked for, in thousandths; 0: no such limit. */
struct recorder_rules {
    uint64_t days, gb, free_gb;
};
void recorder_keep_rules(const struct settings *settings, struct recorder_rules *rules);
/* Limits by age and by size; what is to stay free is the folder's business (recordings_lacking). */
void recorder_keep_limits(const struct recorder_rules *rules, uint64_t now_ms, struct recordings_limits *limits);
/* Which folders may be removed from, by name: those of this second and later ones may become those of a cycle that begins now, and from
 * that of the one under way on nothing goes. */
void recorder_keep_before(uint64_t now_ms, const struct msg_recorder_view *view, char before[RECORDINGS_NAME]);

#endif
