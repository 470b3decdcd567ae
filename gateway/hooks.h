/* Delivers webhooks: the gateway that holds the scheduler's claim reads events behind each webhook's cursor, sends them, and reports.
 *
 * Events are taken in their order and sent some at a time, so they may arrive in another; what fails is tried again later, behind newer
 * ones. Each webhook has a lane of its own (hook_lane.h), so that a slow one holds up itself.
 */
#ifndef GANTRY_GATEWAY_HOOKS_H
#define GANTRY_GATEWAY_HOOKS_H

#include "gateway/gateway.h"
#include "gateway/target.h"

struct hooks;

struct hooks *hooks_new(struct gateway *gateway, struct err *err);
void hooks_free(struct hooks *hooks); /* takes NULL; gives the claim back */

/* The settings are others. -1 with err: webhooks.deny_networks cannot be read, and stays as it was. */
int hooks_configure(struct hooks *hooks, struct err *err);
const struct targets *hooks_targets(const struct hooks *hooks);

/* Webhooks have changed: learns of it now rather than within a second. */
void hooks_changed(struct hooks *hooks);

/* Sends nothing more. */
void hooks_quiesce(struct hooks *hooks);
bool hooks_busy(const struct hooks *hooks); /* something is under way */

#endif
