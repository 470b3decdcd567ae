/* What a recording is to be, from its run's parameters. */
#ifndef GANTRY_WORKER_RECORD_CONFIG_H
#define GANTRY_WORKER_RECORD_CONFIG_H

#include "proto/str.h"
#include "worker/publish.h"
#include "worker/record/report.h"

#define RECORD_URL_MAX 2048
#define RECORD_DURATION_MAX 86400 /* seconds: a day, as the index of more would not fit in memory */
#define RECORD_TIMEOUT_MAX 3600   /* seconds */
#define RECORD_CONNECT 10         /* seconds, where none are given */
#define RECORD_READ 15

struct record_config {
    char url[RECORD_URL_MAX + 1]; /* rtsp:// or rtsps://, with its user and password */
    char output[PUBLISH_PATH];    /* absolute, of the final file */
    unsigned duration_s, connect_s, read_s;
    uint64_t until_ms;       /* wall clock: it records no longer than until then; 0: no such limit */
    char root[PUBLISH_PATH]; /* the folder of all recordings; "": nobody has said which */
    bool marked;             /* that has a marker while its disk is mounted */
    uint64_t min_free;       /* bytes to be free there for a recording to begin */
};

/* Reads the JSON object of a run's parameters: url, duration_s, output, connect_s, read_s, until_ms, root, marked, min_free; others are
 * ignored. -1 with err. */
int record_config_read(struct str json, struct record_config *config, struct err *err);

/* Whether a recording may begin there now: FAULT_NONE; FAULT_FULL or FAULT_UNMOUNTED with err. */
enum record_fault record_place_check(const struct record_config *config, struct err *err);

/* How long a recording that began then (wall clock) is to be, in µs. */
int64_t record_due_us(const struct record_config *config, uint64_t start_ms);

/* Writes text into out (size bytes, NUL-terminated) with what the URL holds of user, password and query, and what else is secret in any
 * address (proto/url.h), replaced by ***. Never longer than fits. */
void record_mask(const char *url, const char *text, char *out, size_t size);

#endif
