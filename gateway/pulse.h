/* Tells the scheduler when the farm's overall health is another, so that it becomes an event (system.health_check). What could not be told
 * while the farm was unhealthy is told behind it, in order. */
#ifndef GANTRY_GATEWAY_PULSE_H
#define GANTRY_GATEWAY_PULSE_H

#include "gateway/gateway.h"

struct pulse;

struct pulse *pulse_new(struct gateway *gateway, struct err *err);
void pulse_free(struct pulse *pulse); /* takes NULL */

#endif
