/* The recorder's memory: its live configuration, whether it goes through cycles, the cycle under way (or the newest), and what of the ledger
 * still changes.
 *
 * A cycle is planned when it begins (plan.h): each stream has a recording with a slot. When its slot comes a recording becomes a run of the executor
 * `record`, and its record says of which; when that run is final, so is the recording, in the same batch. So a restart finds each recording
 * waiting, or with a run, or over, and goes on. When all are over the cycle is.
 *
 * Everything here is rebuilt from records. Invariants: state.cycle names a cycle that has not ended, and no other has; a recording
 * without a run that is not final waits; each recording that is final counts once in its cycle and once in its stream's day.
 */
#ifndef GANTRY_SCHEDULER_FARMS_RECORD_RECORD_H
#define GANTRY_SCHEDULER_FARMS_RECORD_RECORD_H

#include "proto/arena.h"
#include "proto/ident.h"
#include "scheduler/core_state.h"
#include "scheduler/farms/farm.h"

#define RECORD_TYPE "record" /* task type and executor of its runs */
#define RECORD_ONE 1         /* id of what there is one of */

struct recording {
    struct rec_recording record; /* its texts are in the two below; gaps are not kept */
    char *fixed;                 /* as the cycle began */
    char *told;                  /* as it ended */
    uint64_t lost_attempt;       /* of its run, which was seen without its worker; 0: none was */
    uint64_t lost_at;            /* when that was first seen since the start, in ms of the cycle */
};

struct kept_cycle { /* a cycle whose records are there */
    uint64_t id, first, count;
    char name[24];
    unsigned char folder[IDENT_HASH]; /* of where that is */
    bool reported;                    /* its reports are there */
};

struct day { /* of a stream: it may change yet */
    struct rec_recorder_day record;
    char output[256];
};

struct recorder {
    struct farm farm;
    uint64_t cycles_max, recordings_max; /* that are kept */
    uint64_t min_free;                   /* bytes that have to be free for a recording to begin */

    struct rec_recorder_config config; /* id 0: there is none; its texts are in the arena */
    struct arena *config_arena;
    struct rec_recorder_state state;
    struct rec_recorder_disk disk; /* id 0: nobody has looked; its texts are in the arena */
    struct arena *disk_arena;

    struct rec_recorder_cycle cycle; /* id 0: there was none yet */
    struct arena *cycle_arena;
    struct recording *recordings;
    uint32_t count;
    uint64_t begun; /* mono: when it began, as far as one can know */

    struct kept_cycle *kept; /* the oldest first */
    size_t kept_count, kept_size;
    uint64_t kept_recordings;

    struct day *days;
    size_t day_count, day_size;
};

struct recorder *recorder_of(const struct core *core); /* NULL: the core has no such farm */

/* ---- configuration (config.c) ---- */

core_handler recorder_on_configure;
int recorder_config_load(struct recorder *farm, const struct rec_recorder_config *config, struct err *err);
/* Whether this configuration would do; -1 with fault, which names the field. */
int recorder_config_check(const struct rec_recorder_config *config, struct fault *fault);

/* ---- addresses shown without their credentials, which come back so (unmask.c) ---- */

struct recorder_masks { /* how the addresses of a configuration are shown; borrows from it, and from the core's arena */
    const struct rec_recorder_config *before;
    struct str shown[RECORDER_STREAMS];
};
int recorder_masks_make(struct core *core, const struct rec_recorder_config *before,
                        struct recorder_masks *masks); /* -1: no memory */
/* The address of the at-th stream of a whole new list is what it was, if it is shown. -1 with fault: it may be that of several. */
int recorder_unmask(const struct recorder_masks *masks, const struct rec_recorder_stream_list *asked, uint32_t at,
                    struct rec_recorder_stream *stream, struct fault *fault);
/* The same of one stream alone; own: the stream of before that it is (NULL: it is new). */
int recorder_unmask_one(struct core *core, const struct rec_recorder_config *before, const struct rec_recorder_stream *own,
                        struct rec_recorder_stream *stream, struct fault *fault);

/* ---- the beginning of a cycle (begin.c) ---- */

#define CYCLE_BYTES 9216 /* of a cycle's record but for its folder, and the state's */
/* -1: not now; what was known of the cycle before may be gone, which is over. */
int recorder_cycle_begin(struct recorder *farm, struct core *core);

/* ---- cycles (cycle.c) ---- */

void recorder_state_put(const struct recorder *farm, struct core *core);
void recorder_cycle_count(struct rec_recorder_cycle *cycle, uint64_t status); /* one more recording is over, so */

core_handler recorder_on_run;
core_handler recorder_on_reported;
int recorder_cycle_load(struct recorder *farm, const struct rec_recorder_cycle *cycle, struct err *err);
int recorder_recording_load(struct recorder *farm, const struct rec_recording *recording, struct err *err);
int recorder_loaded(struct recorder *farm, struct core *core, struct err *err);
uint64_t recorder_tick(void *self, struct core *core);
uint64_t recorder_elapsed_ms(const struct recorder *farm, const struct core *core); /* of the cycle */
void recorder_recordings_free(struct recorder *farm);
struct recording *recorder_recording_of(const struct recorder *farm, uint64_t run_id); /* NULL: none of the cycle's */
/* It is final, as this says, and counts; with the last the cycle is over. Room of RECORDING_BYTES and RECORDING_OPS has been reserved, and for
 * its day. The texts in record are literals, or those of recording_tell. */
void recorder_recording_over(struct recorder *farm, struct core *core, struct recording *recording,
                             const struct rec_recording *record);
#define RECORDING_BYTES 57344
#define RECORDING_OPS 8 /* itself, its gaps, its day, its cycle, the state */

/* ---- runs (recording.c) ---- */

/* Its run is made and waits for a worker; so many there are then. -1: not now. */
int recording_begin(struct recorder *farm, struct core *core, struct recording *recording, uint64_t active);
/* Copies what it says of its end; -1 when out of memory. */
int recording_tell(struct recording *recording, const struct rec_recording *record);
void recorder_ended(void *self, struct core *core, const struct farm_run *run);

/* ---- the ledger (day.c) ---- */

int recorder_day_load(struct recorder *farm, const struct rec_recorder_day *day, struct err *err);
/* Room for the days of recordings of `more` streams; -1 when out of memory. */
int recorder_day_reserve(struct recorder *farm, size_t more);
/* Counts a recording that is over, and puts down what is missing of it. */
void recorder_day_count(struct recorder *farm, struct core *core, const struct rec_recording *recording);
uint64_t recorder_day_of(uint64_t wall_ms); /* local, YYYYMMDD */

/* ---- what is missing (missing.c) ---- */

#define RECORDING_GAPS 64 /* of a recording that are kept: the last of them has the seconds of those behind it, too */

struct recorder_sums { /* of a recording, in ms: planned + extra = recorded + gaps + lost */
    uint64_t planned, recorded, gaps, lost, extra;
};
struct recorder_sums recorder_sum(const struct rec_recording *recording);
/* Puts down its gaps, and what it lacks at its end, if there are any. Room has been reserved. */
void recorder_gaps_put(const struct recorder *farm, struct core *core, const struct rec_recording *recording,
                       const struct recorder_sums *sums, uint64_t day);

/* ---- its disk (disk.c) ---- */

core_handler recorder_on_disk;
int recorder_disk_load(struct recorder *farm, const struct rec_recorder_disk *disk, struct err *err);
/* Why nothing can be recorded to this folder, in words for the recording; NULL: nothing is known against it. */
const char *recorder_barred(const struct recorder *farm, struct str folder);
/* Whether it is to have a marker. */
bool recorder_is_marked(const struct recorder *farm, struct str folder);
/* The name of the newest cycle that left its reports in the configuration's folder; empty: none is known, or it is to have a marker. */
struct str recorder_past(const struct recorder *farm);

/* ---- what is true this second (view.c) ---- */

core_handler recorder_on_ask;
/* Answers the call; rows: with the recordings. */
void recorder_view(const struct recorder *farm, struct core *core, struct msg_recorder_view *view, bool rows);
/* The address without user and password; in the core's arena. */
struct str recorder_mask(struct core *core, struct str url);

#endif
