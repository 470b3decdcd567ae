/* What the files of the recorder's surface share: its envelope, how configurations are read and written, where the recordings are.
 *
 * Answers have no envelope; errors are {error, message}. Both shapes that the API's document shows of an answer are given at once.
 */
#ifndef GANTRY_GATEWAY_SURFACES_RECORDER_H
#define GANTRY_GATEWAY_SURFACES_RECORDER_H

#include <sys/stat.h>

#include "gateway/ask.h"
#include "gateway/files.h"
#include "gateway/recorder_disk.h"
#include "gateway/recorder_keep.h"
#include "gateway/recordings.h"
#include "gateway/recordings_forecast.h"
#include "gateway/writer.h"

/* ---- envelope ---- */

void recorder_open(struct request *request, struct writer *w); /* begins the object */
void recorder_close(struct request *request, struct writer *w, unsigned status);
/* Begins {"success":true,"message":…. */
void recorder_say(struct request *request, struct writer *w, enum text_id message);
void recorder_problem(struct request *request, const struct problem *problem);
void recorder_refuse(struct request *request, enum problem_kind kind, const char *field, const char *rule, struct str value);
/* What the scheduler refuses in words of its own: 503 while there is no configuration. For request->on_error. */
bool recorder_told(struct request *request, const struct msg_error *error);

/* "2025-10-11 16:30:05", local; "" for 0. */
#define RECORDER_TIME 32
const char *recorder_time(uint64_t wall_ms, char out[RECORDER_TIME]);
void recorder_time_write(struct writer *w, const char *key, uint64_t wall_ms);
enum text_id recorder_status(uint64_t status, bool text); /* text: as status_text names it */

/* "ok", "disk_full", "unmounted"; and what that means, for people ("" for ok). */
const char *recorder_disk_word(enum recorder_disk_state state);
const char *recorder_disk_text(const struct request *request, enum recorder_disk_state state);
void recorder_disk_write(const struct request *request, struct writer *w, const struct msg_recorder_view *view);

/* ---- the configuration ---- */

struct recorder_wish { /* request->own begins with it, once the configuration was asked for */
    void (*on_config)(struct request *request, const struct rec_recorder_config *config);
    struct str directory;     /* output_directory; ptr NULL: it is not known yet */
    struct recorder_job *job; /* of recorder_job_ask */
};
/* Asks the store for it; on_config is called with it, in the request's memory, never with what is not there: that is answered. */
void recorder_config_ask(struct request *request,
                         void (*on_config)(struct request *request, const struct rec_recorder_config *config));
void recorder_global_write(struct writer *w, const char *key, const struct rec_recorder_global *global);
/* masked: without credentials. */
void recorder_stream_write(struct writer *w, const char *key, const struct rec_recorder_stream *stream, int64_t index,
                           bool masked);
void recorder_config_write(struct writer *w, const struct rec_recorder_config *config, bool masked);
bool recorder_masked(const struct request *request); /* whether the caller may not see credentials */
void recorder_url_write(struct writer *w, const char *key, struct str url, bool masked);

/* The parameters of a recording's run, without credentials. */
void recorder_parameters_write(struct writer *w, const char *key, struct str parameters);

struct recorder_fault { /* why a configuration cannot be read */
    char field[96];
    const json_t *given;
    const char *expected;
};
/* Reads what object has of the shape's fields (a global or a stream), by its types alone; texts borrow from it. -1 with fault. */
int recorder_fields(const json_t *object, const struct shape *shape, const char *prefix, void *record,
                    struct recorder_fault *fault);
/* Reads {global_config, streams}: at most RECORDER_STREAMS into streams. -1 with fault. */
int recorder_config_read(const json_t *object, struct rec_recorder_global *global, struct rec_recorder_stream *streams,
                         uint32_t *count, struct recorder_fault *fault);
/* What is not given is as by default. */
void recorder_defaults(const struct gateway *gateway, struct rec_recorder_global *global);

/* ---- where things are ---- */

struct str recorder_trimmed(struct str directory); /* without slashes at its end */

/* The folder of an output_directory, absolute; false: it is none that may be. */
bool recorder_folder(const struct gateway *gateway, struct str directory, char out[4096]);
void recorder_config_path(const struct gateway *gateway, char out[4096]);
const char *recorder_output(const struct gateway *gateway, char out[4096]); /* as given at the start */

/* The index of a stream that the path names; false, and answered, where it is no number. */
bool recorder_index_read(struct request *request, uint64_t *index);
/* Whether a name may be looked for, as it does not lead elsewhere; else it is answered. */
bool recorder_name_well(struct request *request, struct str name);

/* ---- work with files ---- */

struct recorder_job {
    struct file_job job;
    struct request *request; /* NULL: it is gone */
    struct recordings *recordings;
    void (*answer)(struct recorder_job *job); /* on the loop, while the request is there */
    char folder[4096];                        /* of the recordings */
    struct str directory;                     /* the same as configured; in `text` */
    struct str name, file;                    /* of a cycle's folder, and in it; in `text` */
    char *text;
    struct buf out;   /* what was made */
    int cause;        /* errno; 0: it went well */
    int fd;           /* that was opened; -1: none */
    struct stat stat; /* of it */
    uint64_t run;     /* whose piece is looked for */
    void (*on_video)(struct request *request, int fd, const struct stat *stat);
    unsigned list; /* enum recorder_list */
    bool hold;     /* or let go */
    int held;      /* enum recordings_hold */
    struct recordings_disk disk;
    struct recordings_forecast forecast;
    struct recorder_rules rules;
    struct recordings_limits limits; /* `before` is in what follows */
    char before[RECORDINGS_NAME];
    json_t *json;
};
/* A job of this request, with copies of these texts; NULL, and answered, when out of memory. */
struct recorder_job *recorder_job_new(struct request *request, struct str folder, struct str directory, struct str name,
                                      struct str file);
/* First asks how far the recorder is; on_view finds the job by recorder_job_of. */
struct recorder_job *recorder_job_of(const struct request *request);
void recorder_job_ask(struct recorder_job *job, bool brief, void (*on_view)(struct request *request, const struct msg *msg));
void recorder_job_do(struct recorder_job *job, void (*work)(struct file_job *job), void (*answer)(struct recorder_job *job));
void recorder_job_reply(struct recorder_job *job); /* what is in `out` is the answer */

/* Opens the video that the request's path names, in the helper thread: on_video is called with it, and its fd is the caller's. Where there is
 * none that is answered. */
void recorder_video_open(struct request *request, const struct rec_recorder_config *config,
                         void (*on_video)(struct request *request, int fd, const struct stat *stat));
/* Puts the fd into the job, with what is known of it, or errno; in the helper thread. */
void recorder_job_opened(struct recorder_job *job, int fd);
/* Takes the fd out of it, whose request may have another sink then: the job is gone. */
int recorder_job_fd(struct recorder_job *job);

/* Writes what lists say of a video; the object stays open. */
void recorder_video_begin(struct writer *w, struct str directory, const struct recording_folder *folder,
                          const struct recording_file *file);
/* What is kept, and whether that is limited at all; key NULL: into the object that is open. */
void recorder_rules_write(struct writer *w, const char *key, const struct recorder_rules *rules);
/* Whether the folder could not be looked at, or there was no memory: then that is answered. */
bool recorder_unlisted(const struct recorder_job *job);

/* ---- handlers ---- */

void recorder_config_get(struct request *request), recorder_config_put(struct request *request);
void recorder_global_get(struct request *request), recorder_global_put(struct request *request);
void recorder_streams_get(struct request *request), recorder_streams_post(struct request *request);
void recorder_stream_put(struct request *request), recorder_stream_delete(struct request *request);
void recorder_save(struct request *request), recorder_reload(struct request *request);
void recorder_tasks(struct request *request), recorder_scheduler(struct request *request),
    recorder_cycle(struct request *request);
void recorder_start(struct request *request), recorder_stop(struct request *request);
void recorder_timestamps(struct request *request), recorder_videos(struct request *request);
void recorder_videos_of(struct request *request), recorder_video_get(struct request *request);
void recorder_video_delete(struct request *request), recorder_timestamp_delete(struct request *request);
void recorder_hold(struct request *request);
void recorder_coverage(struct request *request), recorder_coverage_gaps(struct request *request);
void recorder_retention(struct request *request), recorder_disk(struct request *request);
void recorder_thumbnail(struct request *request), recorder_live(struct request *request);

#endif
