/* What the files of the transcode surface share: its envelope, its lists, and how parameters are read.
 *
 * Two APIs, one state: /api/v1/{workers,tasks,videos,logs} and the older /api/v1/worker/…, /api/v1/task/…, which answers 200 where
 * the other answers 201. The status of HTTP is the code of the envelope, unless said otherwise.
 */
#ifndef GANTRY_GATEWAY_SURFACES_TRANSCODE_H
#define GANTRY_GATEWAY_SURFACES_TRANSCODE_H

#include "gateway/ask.h"
#include "gateway/writer.h"

/* ---- envelope ---- */

/* Begins {"code":…,"message":…; the caller writes "data", if there is any, and closes. */
void api_open(struct request *request, struct writer *w, unsigned code, enum text_id message);
void api_close(struct request *request, struct writer *w, unsigned status);
/* An answer without data. */
void api_say(struct request *request, unsigned status, enum text_id message);
void api_problem(struct request *request, const struct problem *problem);
bool api_old(const struct request *request); /* it came through the older API */

/* ---- lists ---- */

struct api_sort { /* a name the API sorts by, and the record's field; ends in NULL; the first is the default */
    const char *name;
    const char *field;
};

struct api_page {
    uint64_t page, size;
    struct str sort; /* a record's field; empty: id */
    bool descending;
};

/* Reads page, per_page, sort_by and order, into request->own. NULL with problem. sorts may be NULL. */
struct api_page *api_page_read(struct request *request, uint64_t size, const struct api_sort *sorts, struct problem *problem);
void api_page_ask(struct request *request, struct msg_query *query,
                  void (*on_answer)(struct request *request, const struct msg *msg));
/* The object "pagination". */
void api_page_write(struct writer *w, const struct api_page *page, uint64_t total, bool lower_bound);

/* ---- query parameters ---- */

/* The values of a repeated parameter (name or name[]) that are small numbers, as bits. False if there is none; -1 in *fault with problem
 * for one above high. */
bool api_param_bits(const struct request *request, const char *name, uint64_t high, uint64_t *bits, struct problem *problem,
                    int *fault);
/* Its values as texts, in the request's memory. */
bool api_param_texts(struct request *request, const char *name, struct str_list *out, struct problem *problem, int *fault);
bool api_param_uint(const struct request *request, const char *name, uint64_t low, uint64_t high, uint64_t *out,
                    struct problem *problem, int *fault);
bool api_param_real(const struct request *request, const char *name, double *out, struct problem *problem, int *fault);
/* A moment; end: the first millisecond behind what it names. */
bool api_param_time(const struct request *request, const char *name, bool end, uint64_t *out, struct problem *problem,
                    int *fault);

/* Adds the condition "status in these" of bits. */
void api_filter_bits(struct rec_filter_list *filters, const char *field, uint64_t bits);
void api_filter(struct rec_filter_list *filters, const char *field, enum filter_op op, uint64_t number);

/* ---- bodies ---- */

enum api_need { API_REQUIRED, API_OPTIONAL };
/* Reads a member of the body: 1 when it is there, 0 when it is not (or null) and need not be, -1 with problem. */
int api_uint(const struct request *request, const char *name, enum api_need need, uint64_t low, uint64_t high, uint64_t *out,
             struct problem *problem);
int api_real(const struct request *request, const char *name, enum api_need need, double low, double high, double *out,
             struct problem *problem);
int api_bool(const struct request *request, const char *name, bool *out, struct problem *problem); /* optional */
int api_text(const struct request *request, const char *name, enum api_need need, uint32_t max, struct str *out,
             struct problem *problem);
/* A task's number, as such or as its digits. */
int api_task_id(const struct request *request, const char *name, uint64_t *out, struct problem *problem);

/* The number in the path; one that is none is nobody's: 404 with this rule. */
int api_path_id(const struct request *request, const char *field, const char *rule, uint64_t *out, struct problem *problem);
int api_none(struct problem *problem, const char *field, const char *rule); /* 404; answers -1 */

/* A command about a task, which the scheduler may have forgotten: then it goes out again with the stored record as `known`. The handler is
 * called again, and builds value the same way. */
void api_command(struct request *request, uint64_t task_id, const struct shape *shape, void *value,
                 void (*on_answer)(struct request *request, const struct msg *msg));

/* ---- files ---- */

/* Reads the one task that an answer has; false, and answered, when there is none, it has ended, or is not the caller's to work on. */
bool api_open_task(struct request *request, const struct msg *msg, struct rec_transcode_task *task);

/* ---- handlers ---- */

void api_source_get(struct request *request), api_result_get(struct request *request), api_result_put(struct request *request);
void api_workers_create(struct request *request), api_workers_list(struct request *request),
    api_workers_get(struct request *request);
void api_workers_update(struct request *request), api_workers_delete(struct request *request);
void api_workers_beat(struct request *request), api_workers_offline(struct request *request);
void api_workers_online(struct request *request);
void api_tasks_create(struct request *request), api_tasks_list(struct request *request), api_tasks_get(struct request *request);
void api_tasks_update(struct request *request), api_task_new(struct request *request), api_task_progress(struct request *request);
void api_videos_list(struct request *request), api_videos_get(struct request *request), api_videos_set(struct request *request);
void api_videos_scan(struct request *request), api_statistics(struct request *request);
void api_health_one(struct request *request), api_health_begin(struct request *request), api_health_get(struct request *request);
void api_health_stop(struct request *request);
void api_logs_list(struct request *request), api_logs_create(struct request *request);

#endif
