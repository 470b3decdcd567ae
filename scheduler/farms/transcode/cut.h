/* A video that is encoded in segments: cut by the first worker of its task, its segments encoded by several, and joined by one.
 *
 * To everybody else it stays one task. Its run, given out as that of any long video, comes back when its worker has said where the
 * video can be cut (transcode_on_cut), and waits in the queue, wanted for nobody. Each segment is a run of its own, made for a worker that
 * has room, as tasks are; when the last is there, the task's run is wanted again, and its worker joins them. When the task has ended, however
 * it has, what still runs of its segments is aborted, and a last run removes their files.
 *
 * All of it is told by one record, which is there from the cut until the files are gone, and by the segments' runs, whose parameters
 * say what they are. A segment that failed on a worker goes to another one while such a one is here. What cannot be done at the moment of its cause, as it is the end of another run, is done by cuts_tick, in the same turn
 * or behind a restart: it looks at what there is, not at what happened.
 *
 * Only workers that have the same label transcode.joins as the one that cut it take part: they have the folder in common in which
 * segments lie, and their encoders make what can be joined. When no such worker has been there for some minutes, while others transcode,
 * the task fails, and the next one about the video makes it whole. Files can be removed by whoever has the folder.
 */
#ifndef GANTRY_SCHEDULER_FARMS_CUT_H
#define GANTRY_SCHEDULER_FARMS_CUT_H

#include "scheduler/farms/transcode/video.h"

#define CUT_JOINS "transcode.joins" /* the label */
#define CUT_PERCENT 95              /* of its task, when all segments are there: joining them is the rest */
#define CUT_AVOIDED 4               /* workers that are remembered to have failed a segment */

struct transcode_cut {
    uint64_t id;                     /* the task's */
    struct rec_transcode_cut record; /* its texts are in text or error, its lists in numbers */
    char *text;
    uint64_t *numbers; /* starts, made, tries, runs, failed_at, and CUT_AVOIDED workers: as many of each as there are segments */
    uint64_t *runs;    /* that encode them; 0: none */
    uint64_t *avoided; /* CUT_AVOIDED of each (cut_avoid.c) */
    uint64_t *failed_at; /* mono: the last time */
    char error[512];
    uint64_t watch_due, alone_since;   /* mono; 0: now; it is not alone (cut_alone.c) */
    struct transcode_cut *next, *prev; /* in the order in which they were cut */
};

struct transcode_task;

/* ---- which there are (cut.c) ---- */

struct transcode_cut *cut_find(const struct transcode *farm, uint64_t task_id);
/* One of this record, in no table, with room for it; NULL when out of memory. */
struct transcode_cut *cut_make(struct transcode *farm, const struct rec_transcode_cut *record);
void cut_join(struct transcode *farm, struct transcode_cut *cut);
void cut_leave(struct transcode *farm, struct transcode_cut *cut); /* and frees it */
void cut_free(struct transcode_cut *cut);                          /* one that is in no table; takes NULL */
size_t cut_bytes(const struct transcode_cut *cut);                 /* a bound on its record, encoded */
void cut_put(struct core *core, const struct transcode_cut *cut);
int cut_load(struct transcode *farm, const struct rec_transcode_cut *record, struct err *err);

static inline uint32_t cut_count(const struct transcode_cut *cut)
{
    return cut->record.starts.count;
}
uint32_t cut_made(const struct transcode_cut *cut); /* segments that are there */
bool cut_whole(const struct transcode_cut *cut);    /* all of them, and its task goes on: they can be joined */
double cut_seconds(const struct transcode_cut *cut, uint32_t segment);
/* The share of the film that is encoded, from 0 to 1; running: with what its runs have done so far. */
double cut_share(const struct transcode_cut *cut, const struct core *core, bool running);
/* The cut that this run encodes a segment of; NULL: of none. */
struct transcode_cut *cut_of_segment(const struct transcode *farm, uint64_t run_id, uint32_t *segment);
struct transcode_cut *cut_of_clear(const struct transcode *farm, uint64_t run_id);

/* ---- what becomes of them (cut_run.c) ---- */

/* The length in ms from which on this worker is to cut the video; 0: it is not to. */
uint64_t cut_length(const struct transcode *farm, const struct video *video, const struct worker *worker);
/* Whether a worker of these labels makes what can be joined with its segments, in their folder; whether it may encode and join them. */
bool cut_shares(const struct transcode_cut *cut, struct str labels);
bool cut_takes(const struct transcode_cut *cut, struct str labels);
/* Some segment waits for a worker. */
bool cuts_wait(const struct transcode *farm);
/* A segment for this worker; NULL: none. passed: one was left for others, as this worker has failed it. */
struct transcode_cut *cut_pick(const struct transcode *farm, const struct core *core, const struct worker *worker,
                               uint32_t *segment, bool *passed);
/* Makes the run of it, and gives it out. -1 with fault and nothing changed. */
int cut_give(struct transcode *farm, struct core *core, struct transcode_cut *cut, uint32_t segment, struct worker *worker,
             struct fault *fault);
/* Ends of runs, with room reserved by the core: of a segment, of the task, of the run that removes its files. */
void cut_segment_ended(struct transcode *farm, struct core *core, struct transcode_cut *cut, uint32_t segment,
                       const struct rec_run *run);
void cut_task_ended(struct core *core, struct transcode_cut *cut);
void cut_clear_ended(struct transcode *farm, struct core *core, struct transcode_cut *cut, const struct rec_run *run);
/* All is loaded: whose runs are there is known again. */
void cuts_loaded(struct transcode *farm, struct core *core);
/* Does what is due; answers the ms until it is to be called again. */
uint64_t cuts_tick(struct transcode *farm, struct core *core);

/* ---- who failed one (cut_avoid.c) ---- */

/* This worker has failed the segment, or was lost with it. Known in memory only: behind a restart all begin anew. */
void cut_avoid(struct transcode_cut *cut, const struct core *core, uint32_t segment, uint64_t worker_id);
/* Whether it is left for others: this worker has failed it, and another one that has not, and makes it, is here; for some minutes. */
bool cut_avoids(const struct transcode_cut *cut, const struct core *core, uint32_t segment, const struct worker *worker);

/* ---- when nobody can go on with them (cut_alone.c) ---- */

/* Whether a worker of these labels has the folder of its segments, whatever it makes. */
bool cut_reaches(const struct transcode_cut *cut, struct str labels);
/* Gives up what has been alone for too long: the cut has an error then; or the run that is to remove its files ends, and the cut goes with it.
 * False: not now. */
bool cut_watch(struct core *core, struct transcode_cut *cut);
uint64_t cuts_watch_wait(const struct transcode *farm); /* the ms until one is to be looked at again */
void cuts_renew(struct transcode *farm);                /* the time of an outage counts for none */

core_handler transcode_on_cut;

#endif
