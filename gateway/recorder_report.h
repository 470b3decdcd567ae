/* The reports of a cycle: one in JSON, one to be read, and its streams as a table; each is there whole or not at all. */
#ifndef GANTRY_GATEWAY_RECORDER_REPORT_H
#define GANTRY_GATEWAY_RECORDER_REPORT_H

#include "gateway/files.h"
#include "proto/messages.h"

struct recorder_report;

/* Of this cycle and its stored recordings; NULL when out of memory. marked: they go into a folder with a marker only. */
struct recorder_report *recorder_report_new(const struct rec_recorder_cycle *cycle, bool marked,
                                            const struct rec_row_list *recordings);
void recorder_report_free(struct recorder_report *report); /* takes NULL */
/* Writes them in the helper thread; done is told on the loop whether they are on disk, and the report is gone behind it. */
void recorder_report_write(struct recorder_report *report, struct files *files,
                           void (*done)(struct recorder_report *report, bool well, void *arg), void *arg);

/* The texts themselves, for tests. */
struct recorder_texts {
    struct buf json, text, table;
};
const struct recorder_texts *recorder_report_texts(const struct recorder_report *report);

#endif
