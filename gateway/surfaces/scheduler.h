/* What the files of the scheduler surface share: its envelope, its lists, and tasks, runs and workers in its words. */
#ifndef GANTRY_GATEWAY_SURFACES_SCHEDULER_H
#define GANTRY_GATEWAY_SURFACES_SCHEDULER_H

#include "gateway/ask.h"
#include "gateway/writer.h"

/* ---- envelope ---- */

/* Begins {"success":true,"data": — the caller writes the value of data (key "data") and then closes. */
void envelope_open(struct request *request, struct writer *w);
/* Adds metadata, ends the body, answers. */
void envelope_close(struct request *request, struct writer *w, unsigned status);
void envelope_problem(struct request *request, const struct problem *problem);

/* ---- lists ---- */

#define PAGE_SIZE 20
#define PAGE_SIZE_MAX 1000

struct page_sort { /* a name the API sorts by, and the record's field; ends in NULL */
    const char *name;
    const char *field;
};

struct page {
    uint64_t page, size;
    struct str sort; /* a record's field */
    bool descending;
};

/* Reads page, size, sort and order. A size over PAGE_SIZE_MAX becomes that. -1 with problem. */
int page_read(const struct request *request, uint64_t size, const struct page_sort *sorts, struct page *out,
              struct problem *problem);
/* The page that a list's request asks for, kept in request->own. NULL with problem. */
struct page *page_new(struct request *request, const struct page_sort *sorts, struct problem *problem);
/* Asks the store for the page in request->own of what query (type, filters, search) describes. */
void page_ask(struct request *request, struct msg_query *query,
              void (*on_answer)(struct request *request, const struct msg *msg));

/* A condition of a query; field and text are borrowed. */
struct rec_filter page_filter(const char *field, enum filter_op op, uint64_t number);
struct rec_filter page_filter_text(const char *field, enum filter_op op, struct str text);

/* Begins the answer of the list whose page is in request->own: items are written next, then it is closed and leaves with 200. */
void page_open(struct request *request, struct writer *w);
void page_close(struct request *request, struct writer *w, uint64_t total, bool lower_bound);
/* total, page, size, total_pages, and total_is_lower_bound if it is one. */
void page_write(struct writer *w, const struct page *page, uint64_t total, bool lower_bound);

/* A query parameter as one of the words a parser knows; false if absent, -1 in *fault with problem when it is none of them. */
bool page_word(const struct request *request, const char *name, int (*parse)(struct str word), const char *words, uint64_t *out,
               struct problem *problem, int *fault);
/* As a text of at most as many bytes as this field of a message or record may have. */
bool page_text(const struct request *request, const char *name, const struct shape *shape, const char *field, struct str *out,
               struct problem *problem, int *fault);
/* As a number from low up. */
bool page_number(const struct request *request, const char *name, uint64_t low, uint64_t *out, struct problem *problem,
                 int *fault);
bool page_bool(const struct request *request, const char *name, bool *out, struct problem *problem, int *fault);

/* A day or a moment. An end is inclusive: what is answered is the first millisecond behind it. */
bool page_date(const struct request *request, const char *name, bool end, uint64_t *out, struct problem *problem, int *fault);

/* ---- commands ---- */

/* Asks the scheduler. It keeps no final runs in memory: where it says that it needs the stored record of this type and id, that is
 * fetched, the route's handler is called again, and value (which it builds the same way) goes out with the record. */
void command_send(struct request *request, enum record_type type, uint64_t id, const struct shape *shape, void *value,
                  void (*on_answer)(struct request *request, const struct msg *msg));

/* ---- translations ---- */

/* Reads a task's fields, and puts dependencies of object that have a condition with them into their plain form; create: name (if named), task_type, executor and command must be there. -1 with problem. */
enum spec_use { SPEC_CREATE, SPEC_UPDATE, SPEC_SUBMIT };
int spec_read(struct request *request, json_t *object, enum spec_use use, struct rec_task_spec *spec, struct problem *problem);
/* Reads parameters, priority, timeout_seconds, run_at, delay_seconds and (in a batch's item) idempotency_key. */
int trigger_read(struct request *request, const json_t *object, const char *prefix, bool item, struct rec_trigger *trigger,
                 struct problem *problem);

void task_write(struct writer *w, const struct rec_task *task, const struct rec_task_stat *stat, bool statistics);
void task_write_brief(struct writer *w, const struct rec_task *task, const struct rec_task_stat *stat);
/* live is NULL when nothing is known of this second. */
void run_write_brief(struct writer *w, const struct rec_run *run, const struct rec_live_run *live);
/* Makes run what that shows, in the arena: it outlives its message. Adds to *bytes what it takes. False when out of memory. */
bool run_keep_brief(struct arena *arena, struct rec_run *run, size_t *bytes);
/* The members of a run in detail; live is NULL when nothing is known of this second. The object stays open for logs. */
void run_write_open(struct writer *w, const struct rec_run *run, const struct rec_live_run *live);
void log_write_brief(struct writer *w, const struct rec_log_line *line);
/* missing: lines just before it that are no longer kept. */
void log_write(struct writer *w, const struct rec_log_line *line, uint64_t missing);
void worker_write(struct writer *w, const struct rec_worker *worker, uint64_t current, bool detail);
/* What an API's answer to a registration or a change shows of a worker. */
void worker_write_changed(struct writer *w, const struct rec_worker *worker, uint64_t current);
void limits_write(struct writer *w, const struct rec_limits *limits);
/* The members of what an attempt was granted, for its worker. */
void grant_write(struct writer *w, const struct rec_published *published);

/* ---- workers over REST ---- */

/* The worker's name that the path has. -1 with problem: no worker can have it. */
int rest_id(struct request *request, struct str *id, struct problem *problem);
/* Runs its caller is to stop. */
void rest_write_cancel(struct writer *w, const struct uint_list *cancel);
void uptime_write(struct writer *w, const char *key, uint64_t ms);               /* "7d 12h 30m" */
void pool_write(struct writer *w, const char *key, const struct rec_pool *pool); /* key: NULL in a list */

/* ---- rows ---- */

/* Asks the store for the record whose id is the path's first {…}, and for `also` (0: nothing) of the same id. */
void row_ask(struct request *request, enum record_type type, enum record_type also,
             void (*on_answer)(struct request *request, const struct msg *msg));
/* Decodes a row's value; false (logged) when it is damaged. */
bool row_task(struct request *request, const struct rec_row *row, struct rec_task *task, struct rec_task_stat *stat,
              bool *has_stat);
bool row_fire(struct request *request, const struct rec_row *row, struct rec_fire *fire);
bool row_run(struct request *request, const struct rec_row *row, struct rec_run *run);
bool row_log_entry(struct request *request, const struct rec_row *row, struct rec_log_entry *entry);
bool row_audit(struct request *request, const struct rec_row *row, struct rec_audit *line);
/* Answers that a row could not be read: out of memory, or damaged. */
void row_refuse(struct request *request);

void reply_not_found(struct request *request, const char *field, struct str value);

/* Answers a trigger or a submission: 201. */
void run_on_triggered(struct request *request, const struct msg *msg);

/* ---- handlers ---- */

void tasks_create(struct request *request), tasks_list(struct request *request), tasks_get(struct request *request);
void tasks_update(struct request *request), tasks_delete(struct request *request);
void tasks_pause(struct request *request), tasks_resume(struct request *request);
void tasks_trigger(struct request *request), tasks_trigger_batch(struct request *request);
void tasks_fires(struct request *request), tasks_fire_times(struct request *request);
void schedules_preview(struct request *request);
void tasks_graph(struct request *request), runs_why(struct request *request);
void runs_submit(struct request *request), runs_list(struct request *request), runs_get(struct request *request);
void runs_restart_many(struct request *request), runs_abort_many(struct request *request), runs_purge(struct request *request);
void runs_restart(struct request *request), runs_abort(struct request *request), runs_logs(struct request *request);
void workers_list(struct request *request), workers_get(struct request *request);
void workers_register(struct request *request), workers_update(struct request *request), workers_remove(struct request *request);
void workers_beat(struct request *request), workers_lease(struct request *request), runs_report(struct request *request);
void runs_publish(struct request *request);
void events_get(struct request *request);
void webhooks_create(struct request *request), webhooks_list(struct request *request), webhooks_get(struct request *request);
void webhooks_update(struct request *request), webhooks_delete(struct request *request), webhooks_ping(struct request *request);
void deliveries_list(struct request *request), deliveries_again(struct request *request);
void system_health(struct request *request), system_stats(struct request *request);
void system_metrics(struct request *request), system_logs(struct request *request);
void pools_list(struct request *request), pools_get(struct request *request);
void pools_put(struct request *request), pools_delete(struct request *request);
void system_audit(struct request *request);

#endif
