/* Tasks: runs of the transcode farm, made for a worker that wants one, and what their workers say of them. */
#ifndef GANTRY_SCHEDULER_FARMS_TASK_H
#define GANTRY_SCHEDULER_FARMS_TASK_H

#include "scheduler/farms/transcode/video.h"

struct task_wish { /* for whom a task is made */
    struct worker *worker;
    const struct api_worker *api; /* NULL: one with a session */
    unsigned type;                /* enum transcode_type: the encoder that it is for */
    struct str dest_path;
    const struct core_call *call; /* a pull to be answered with it; NULL: none */
};

/* Makes a task of a video that waits, and gives it out, in one batch. -1 with fault and nothing changed. */
int task_give(struct transcode *farm, struct core *core, struct video *video, const struct task_wish *wish, struct fault *fault);

#define TASK_SECONDS 31536000 /* of an attempt: what watches it is its worker, or its reports */

const char *encoder_name(unsigned type); /* of enum transcode_type: "cpu", … */
/* Whether a list of names, separated by commas, has it. */
bool encoder_listed(struct str names, unsigned type);

struct transcode_task *transcode_task_find(const struct transcode *farm, uint64_t id); /* one that has not ended */
int transcode_task_load(struct transcode *farm, const struct rec_transcode_task *record, struct err *err);
size_t task_record_bytes(const struct rec_transcode_task *record); /* a bound on it, encoded */
void transcode_task_free(struct transcode_task *task);             /* takes NULL */

/* Whoever `whose` stands for may speak for it: he registered its worker, or all are let in. -1 with fault. */
int task_owned(const struct rec_transcode_task *record, struct str whose, struct fault *fault);

/* Its run has ended. Room is reserved by the core. */
void transcode_ended(void *self, struct core *core, const struct farm_run *run);
/* Whether another attempt follows when one was lost or came back: only where an output may have its name already. */
bool transcode_again(void *self, const struct core *core, const struct run *run);
bool transcode_offers(const void *self);
enum farm_pull transcode_pull(void *self, struct core *core, struct worker *worker);

/* Fails those whose workers say nothing of them; those without a run; answers the ms until the next may be due. */
uint64_t tasks_expire(struct transcode *farm, struct core *core);
/* All is loaded: what is there of each open task is heard now. */
void tasks_loaded(struct transcode *farm, struct core *core);
void tasks_renew(struct transcode *farm, const struct core *core);
/* It is spoken of, over HTTP: heard now. */
void task_heard(struct transcode *farm, struct core *core, struct transcode_task *task);
/* Sets when its silence is over, after it was heard of. */
void task_expect(struct transcode *farm, struct transcode_task *task);

#define TASK_OFFLINE "Worker离线,任务终止"

core_handler transcode_on_report;

#endif
