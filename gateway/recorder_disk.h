/* Looks at the output folder's disk every moment, and tells the scheduler when that has become full, or is away, or is back. */
#ifndef GANTRY_GATEWAY_RECORDER_DISK_H
#define GANTRY_GATEWAY_RECORDER_DISK_H

#include "gateway/gateway.h"
#include "gateway/recordings_disk.h"

struct recorder_disk;

struct recorder_disk *recorder_disk_new(struct gateway *gateway, struct err *err); /* NULL with err */
void recorder_disk_free(struct recorder_disk *disk);                               /* takes NULL; the helper thread has ended */

/* The folder that is recorded to: that of a cycle under way, which may have begun with another configuration, or the configuration's. */
struct str recorder_disk_folder(const struct msg_recorder_view *view);
/* What is to be asked of a look at this folder, by what the scheduler says. */
void recorder_disk_ask(const struct gateway *gateway, const struct msg_recorder_view *view, struct str folder,
                       struct recordings_disk *look);
/* Whether nothing is to be written to this folder without its marker; false, too, until that is known, and then *known is. */
bool recorder_disk_is_marked(const struct recorder_disk *disk, struct str folder, bool *known);

#endif
