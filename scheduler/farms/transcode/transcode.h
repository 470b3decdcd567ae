/* The transcode farm's memory: the library's videos, tasks that have not ended, workers of its API.
 *
 * Tasks are runs, made lazily: a waiting video is no run but a member of a set ordered by bitrate, and becomes one when a worker wants
 * it (pick.h). So a million waiting videos cost a pull what a hundred do, and nothing has to be made again when rules or workers change.
 *
 * Everything here is rebuilt from records (video, transcode_worker, transcode_task, transcode_cut, transcode_pace, transcode_total; of transcode_log only
 * where it begins). Invariants: a video is in the set that its status, attempts and root ask for; each open task has a run of the same id; a
 * video in CREATED or RUNNING names an open task.
 */
#ifndef GANTRY_SCHEDULER_FARMS_TRANSCODE_H
#define GANTRY_SCHEDULER_FARMS_TRANSCODE_H

#include "scheduler/core_state.h"
#include "scheduler/farms/farm.h"
#include "scheduler/farms/kept.h"

#define TRANSCODE_ROOTS 64         /* folders of the library, former ones included */
#define TRANSCODE_HELD 64          /* tasks that a worker of the API may have at once */
#define TRANSCODE_TYPE "transcode" /* task type and executor of its runs */
#define TRANSCODE_SCAN "scan"      /* of those that look for videos */

struct root {          /* a folder of the library */
    struct text *path; /* NULL: the place is free */
    bool configured;   /* what is in it is offered and scanned */
    uint64_t scan;     /* the run that looks through it; 0: none */
    bool again;        /* something was seen to change meanwhile */
    uint64_t due;      /* mono: when the next is to be made; 0: not by itself */
};

struct video {
    struct heap_node node; /* id; in a set by bitrate, the highest first */
    struct heap *set;      /* NULL: in none */
    struct str key;        /* root, NUL, path: unique */
    struct root *root;
    struct rec_video record; /* its texts are in `text` */
    char *text;
    uint64_t check; /* the run that looks at the whole of it; 0: none */
};

struct video_place { /* in the order of ids */
    uint64_t id;
    struct video *video; /* NULL: it is gone */
};

struct transcode_task { /* one that has not ended */
    uint64_t id;
    struct rec_transcode_task record; /* its texts are in `text` */
    char *text;
    struct heap_node due;               /* when its worker's silence is too long (mono); of tasks of API workers */
    uint64_t heard, longest;            /* mono: its worker's newest report; the longest time between two */
    struct transcode_task *next, *prev; /* all of them */
};

struct api_worker { /* one that registered through the transcode API */
    uint64_t id;
    struct str name_key;
    struct text *name;
    uint8_t type, support_vr, directive;
    bool old;       /* through the older API: it is offline sooner */
    uint64_t heard; /* mono */
    struct worker *worker;
    struct api_worker *quieter, *livelier; /* neighbours by when they were heard, of those that are here */
    bool listed;
};

struct api_list {
    struct api_worker *quiet, *lively; /* the quietest first */
};

struct transcode_config {
    uint64_t scan_ms, videos_max, offline_ms, offline_old_ms, report_ms, first_report_ms, attempts, tasks_max, logs_max,
        segment_ms;
};

struct transcode {
    struct farm farm;
    struct transcode_config config;

    struct root roots[TRANSCODE_ROOTS];
    struct index videos, video_keys;
    struct video_place *order;
    size_t order_count, order_size, order_gone;
    struct heap sets[2][2][2]; /* of videos: [failed before][VR][fits hardware encoders] */

    struct index tasks;
    struct transcode_task *first_task;
    struct index cuts; /* videos that are encoded in segments (cut.h) */
    struct transcode_cut *first_cut, *last_cut;
    struct transcode_pace *paces; /* how fast it goes (pace.h) */
    uint32_t pace_count;
    struct rec_transcode_total total; /* what it has come to (saved.h) */
    struct heap dues;
    struct kept_ids kept; /* tasks that have ended */

    struct index workers, worker_names;
    struct api_list here[2]; /* [old] */

    struct index checks;           /* looks at whole videos that have not ended (health.c), by their runs */
    struct rec_health_sweep sweep; /* id 0: there never was one */
    uint64_t sweep_running;        /* of those looks: its own */

    uint64_t oldest_log;                       /* 0: there is none */
    const struct msg_transcode_report *report; /* while its task ends because of it */
};

/* ---- what went wrong, for the gateway's catalogue ---- */

int fault_worker(struct fault *fault);                   /* there is no such worker; answers -1 */
int fault_task(struct fault *fault, uint64_t id);        /* no such task */
int fault_owner(struct fault *fault, struct str worker); /* somebody else's worker */
int fault_away(struct fault *fault);                     /* the store is away: nothing has changed */

/* Copies texts into one block: *text is for free(), each str points into it from then on. -1 when out of memory. */
int texts_copy(char **text, struct str *const *strs, size_t count);

/* ---- logs (log.c) ---- */

#define TRANSCODE_LOG_BYTES(text) ((size_t)(text).len + 128)
#define TRANSCODE_LOG_OPS FARM_LOGGED_OPS /* it is written, and two may go */
/* Appends a line, and drops old ones beyond the limit. Room has been reserved. */
void transcode_log(struct transcode *farm, struct core *core, uint64_t task_id, uint64_t level, struct str text,
                   struct rec_transcode_log *out);
core_handler transcode_on_log;
void transcode_logged(void *self, struct core *core, const struct run *run, const struct rec_log_chunk *chunk);

struct transcode *transcode_of(const struct core *core); /* NULL: the core has no such farm */

#endif
