/* The message table as C: enums, structs, and descriptors (proto/messages.def says it all once).
 *
 * struct rec_<name> and struct msg_<name> hold borrowed text and lists: what a decoded one points to
 * lives as long as the frame and the arena it was decoded with.
 */
#ifndef GANTRY_PROTO_MESSAGES_H
#define GANTRY_PROTO_MESSAGES_H

#include "proto/codec.h"

/* ---- what numbers in messages mean ---- */

enum error_code {
    ERR_BAD_REQUEST = 1, /* malformed, or a parameter that cannot be read */
    ERR_INVALID,         /* well-formed, but breaks a rule */
    ERR_NOT_FOUND,
    ERR_CONFLICT,
    ERR_KEY_REUSED,      /* an idempotency key with another body */
    ERR_LIMIT,           /* too much at once: come back later */
    ERR_UNAVAILABLE,     /* nothing has changed; come back later */
    ERR_UNKNOWN_OUTCOME, /* it may have happened; the same key is safe */
    ERR_FORBIDDEN,
    ERR_PROTOCOL,  /* a version or message that is not spoken here */
    ERR_NO_MEMORY, /* nothing has changed */
    ERR_INTERNAL,
    ERR_IO, /* file, socket, disk */
};

enum priority { PRIORITY_LOW, PRIORITY_NORMAL, PRIORITY_HIGH, PRIORITY_CRITICAL };
enum task_status { TASK_ACTIVE, TASK_PAUSED, TASK_COMPLETED, TASK_FAILED };
enum run_status { RUN_PENDING, RUN_RUNNING, RUN_COMPLETED, RUN_FAILED, RUN_ABORTED };
enum worker_status { WORKER_ACTIVE, WORKER_DRAINING, WORKER_OFFLINE };
enum delivery_status { DELIVERY_PENDING, DELIVERY_DELIVERED, DELIVERY_FAILED };
enum log_stream { STREAM_SYSTEM, STREAM_STDOUT, STREAM_STDERR };
enum store_op { OP_PUT = 1, OP_DELETE, OP_LOG, OP_PURGE_TASK, OP_PURGE_RUNS };
/* How one asks: see gateway/actor.h. On disk. */
enum audit_kind {
    AUDIT_NOBODY = 0,
    AUDIT_LOCAL = 1,
    AUDIT_NETWORK = 2,
    AUDIT_KEY = 3,
    AUDIT_TOKEN = 4,
    AUDIT_UNKNOWN = 5, /* refused before it was settled who asks */
    AUDIT_COMMAND = 6, /* not over HTTP: the gantry command, on the farm's own files */
};
/* FILTER_IN: the number's bits are the numbers, from 0 to 7, that will do. FILTER_ANY: one of some texts. */
enum filter_op { FILTER_EQ = 1, FILTER_GE, FILTER_LT, FILTER_HAS, FILTER_GT, FILTER_IN, FILTER_ANY };

/* How an attempt ended. Workers report the first four; the rest are the scheduler's. */
enum outcome {
    OUTCOME_OPEN,
    OUTCOME_COMPLETED,
    OUTCOME_FAILED,
    OUTCOME_TIMEOUT,
    OUTCOME_ABORTED,
    OUTCOME_LOST,     /* the lease expired or its worker restarted */
    OUTCOME_RETURNED, /* rejected, or not accepted in time */
};

/* What came of a due time of a schedule. On disk. */
enum fire_outcome {
    FIRE_RAN = 1, /* a run was made in time */
    FIRE_LATE,    /* a run was made, over ten seconds behind its time */
    FIRE_SKIPPED, /* none was */
};

/* Why it is late or skipped. On disk: never re-used. */
enum fire_reason {
    FIRE_IN_TIME,       /* it is neither */
    FIRE_MISSED,        /* late: the scheduler was down at its time, or the clock was set forward */
    FIRE_FULL,          /* late or skipped: the queue was full */
    FIRE_STORE_AWAY,    /* late or skipped: nothing could be written */
    FIRE_PAUSED,        /* skipped, as all below: its task was paused */
    FIRE_OVERLAP,       /* concurrency_policy forbid: a run had not ended */
    FIRE_REPLACED,      /* concurrency_policy replace: a later due time came with it */
    FIRE_CATCHUP_NONE,  /* catchup none: missed */
    FIRE_CATCHUP_ONE,   /* catchup one: a later due time's run makes up for it */
    FIRE_CATCHUP_LIMIT, /* catchup all: over the number of runs that are made up */
    FIRE_CHANGED,       /* the schedule was changed before it was looked at */
    FIRE_REFUSED,       /* no run can be made: the detail says why */
};

/* Of the library and the transcode farm. As its API spells them, and on disk. */
enum video_status { VIDEO_NOT_NEEDED, VIDEO_WAITING, VIDEO_CREATED, VIDEO_RUNNING, VIDEO_COMPLETED, VIDEO_FAILED };
enum video_health { VIDEO_UNCHECKED, VIDEO_HEALTHY, VIDEO_DAMAGED };
enum transcode_status { TRANSCODE_CREATED, TRANSCODE_RUNNING, TRANSCODE_COMPLETED, TRANSCODE_FAILED };
enum transcode_type { TRANSCODE_CPU, TRANSCODE_NVENC, TRANSCODE_QSV, TRANSCODE_VPU };
#define TRANSCODE_SEGMENTS 256 /* that a video is cut into at most */
enum transcode_directive { DIRECTIVE_NONE, DIRECTIVE_OFFLINE, DIRECTIVE_SHUTDOWN };

/* Of the recorder, as its API spells them, and on disk. */
enum recording_status {
    RECORDING_IDLE,
    RECORDING_CONNECTING,
    RECORDING_CONNECTED,
    RECORDING_RECORDING,
    RECORDING_COMPLETED, /* this and those behind it are final */
    RECORDING_CONNECT_ERROR,
    RECORDING_READ_ERROR,
    RECORDING_TIMEOUT,
    RECORDING_CANCELLED,
    RECORDING_UNAVAILABLE,
};
enum recorder_verb {
    RECORDER_IMPORT = 1, /* if there is none */
    RECORDER_RELOAD,     /* a file takes the place of all */
    RECORDER_REPLACE,
    RECORDER_SET_GLOBAL,
    RECORDER_ADD_STREAM,
    RECORDER_SET_STREAM,
    RECORDER_REMOVE_STREAM,
    RECORDER_SAVE,  /* nothing changes: it is written to its file, and the key of that is to be known */
    RECORDER_KNOWN, /* nothing changes: the answer that its key has already, else UNAVAILABLE */
};
enum recorder_disk_state {
    RECORDER_DISK_WELL,
    RECORDER_DISK_FULL,      /* less is free than recorder.min_free_mb */
    RECORDER_DISK_UNMOUNTED, /* the folder has lost its marker: it is another, below where its disk was */
};
#define RECORDER_STREAMS 400               /* at most */
#define RECORDER_MARKED 16                 /* folders of which it is known that they have a marker */
#define RECORDER_MARKER ".gantry-recorder" /* the marker, in an output folder */

/* Of the render farm. As its records have them on disk. */
enum render_status {
    RENDER_QUEUED,
    RENDER_TESTING,
    RENDER_RENDERING,
    RENDER_PAUSED,
    RENDER_COMPLETED,
    RENDER_FAILED,
    RENDER_CANCELLED
};
enum render_frame_status {
    FRAME_PENDING,
    FRAME_RENDERING,
    FRAME_COMPLETED,
    FRAME_FAILED,
    FRAME_CANCELLED,
    FRAME_STARVED, /* pending: it ran out of memory, and goes to a host that has more */
};
enum render_action {
    RENDER_PAUSE = 1,
    RENDER_RESUME,
    RENDER_CANCEL,
    RENDER_CLEANUP,
    RENDER_RETRY_FRAME,
    RENDER_RETRY_FAILED,
};
#define RENDER_FRAMES 10000  /* of a task, at most */
#define RENDER_FRAME_BITS 14 /* of a frame's id that are its place in the task */

#define SCENE_PAGE 128    /* files of a page of those that a scene needs */
#define SCENE_PAGES 256   /* that are kept of a scene */
#define SCENE_PAGE_BITS 8 /* of a page's id that are its number */

static inline bool render_status_final(uint64_t status)
{
    return status >= RENDER_COMPLETED;
}

/* What the store keeps. Numbers are on disk: never re-used. */
enum record_type {
    TYPE_TASK = 1,
    TYPE_TASK_STAT = 2,
    TYPE_RUN = 3,
    TYPE_WORKER = 4,
    TYPE_KEY = 5,
    TYPE_EVENT = 6,
    TYPE_FIRE = 7,
    TYPE_LOG_ENTRY = 8,
    TYPE_WEBHOOK = 9,
    TYPE_DELIVERY = 10,
    TYPE_POOL = 11,
    TYPE_AUDIT = 12,
    TYPE_VIDEO = 40,
    TYPE_TRANSCODE_WORKER = 41,
    TYPE_TRANSCODE_TASK = 42,
    TYPE_TRANSCODE_LOG = 43,
    TYPE_VIDEO_DETAIL = 44,
    TYPE_TRANSCODE_CUT = 48,
    TYPE_TRANSCODE_PACE = 49,
    TYPE_TRANSCODE_TOTAL = 50,
    TYPE_VIDEO_CHECK = 60,
    TYPE_HEALTH_SWEEP = 61,
    TYPE_RENDER_TASK = 70,
    TYPE_RENDER_FRAME = 71,
    TYPE_SCENE_NEEDS = 72,
    TYPE_SCENE_PAGE = 73,
    TYPE_ASSET = 75,
    TYPE_ASSET_USE = 76,
    TYPE_ASSET_NAME = 77,
    TYPE_SCENE = 78,
    TYPE_RECORDER_CONFIG = 80,
    TYPE_RECORDER_CYCLE = 81,
    TYPE_RECORDING = 82,
    TYPE_RECORDER_STATE = 83,
    TYPE_RECORDER_DAY = 84,
    TYPE_RECORDER_GAPS = 85,
    TYPE_RECORDER_DISK = 86,
    TYPE_MAX
};

/* ---- structs ---- */

#define CODEC_C_BOOL bool
#define CODEC_C_INT int64_t
#define CODEC_C_UINT uint64_t
#define CODEC_C_REAL double
#define CODEC_C_STR struct str
#define CODEC_C_BLOB struct str
#define CODEC_C_MAP struct str
#define CODEC_C_STRS struct str_list
#define CODEC_C_UINTS struct uint_list

/* has: bit k is set when field k was there (decode), or is to be sent (encode, NUL fields only). */
#define REC(low, doc)                                                                                                            \
    struct rec_##low;                                                                                                            \
    struct rec_##low##_list {                                                                                                    \
        struct rec_##low *items;                                                                                                 \
        uint32_t count;                                                                                                          \
    };                                                                                                                           \
    struct rec_##low {                                                                                                           \
        uint64_t has;
#define MSG(up, low, id, from, to, doc)                                                                                          \
    struct msg_##low {                                                                                                           \
        uint64_t has;
#define FIELD(owner, key, presence, kind, name, low, high, doc) CODEC_C_##kind name;
#define NEST(owner, key, presence, record, name, doc) struct rec_##record name;
#define LIST(owner, key, presence, record, name, low, high, doc) struct rec_##record##_list name;
#define END(owner)                                                                                                               \
    }                                                                                                                            \
    ;
#include "proto/messages.def"

/* ---- keys of fields, ids of messages; a key or an id given twice, and a reversed range, do not compile ---- */

#define CODEC_KEY(owner, key, name)                                                                                              \
    enum { KEY_##owner##_##name = (key), CODEC_ONCE_##owner##_##key };                                                           \
    _Static_assert((key) >= 1 && (key) <= 59, #owner "." #name ": keys are 1 to 59");
/* What is left off must mean zero: OPT and SEC ranges hold it. */
#define CODEC_RANGE(owner, presence, name, low, high)                                                                            \
    _Static_assert((low) <= (high), #owner "." #name ": reversed range");                                                        \
    _Static_assert(CODEC_##presence == CODEC_REQ || CODEC_##presence == CODEC_NUL || ((low) <= 0 && (high) >= 0),                \
                   #owner "." #name ": the range of an optional field holds zero");

#define MSG(up, low, id, from, to, doc) enum { MSG_##up = (id), CODEC_ONCE_##id };
#define FIELD(owner, key, presence, kind, name, low, high, doc)                                                                  \
    CODEC_KEY(owner, key, name)                                                                                                  \
    CODEC_RANGE(owner, presence, name, low, high)
#define NEST(owner, key, presence, record, name, doc)                                                                            \
    CODEC_KEY(owner, key, name)                                                                                                  \
    _Static_assert(CODEC_##presence == CODEC_REQ || CODEC_##presence == CODEC_NUL,                                               \
                   #owner "." #name ": a nested record is REQ or NUL");
#define LIST(owner, key, presence, record, name, low, high, doc)                                                                 \
    CODEC_KEY(owner, key, name)                                                                                                  \
    CODEC_RANGE(owner, presence, name, low, high)
#include "proto/messages.def"

/* Presence of a NUL field: HAS(&spec, rec_task_spec, priority). */
#define HAS(ptr, owner, name) ((((ptr)->has) >> KEY_##owner##_##name) & 1U)
#define SET_HAS(ptr, owner, name) ((ptr)->has |= UINT64_C(1) << KEY_##owner##_##name)
#define CLEAR_HAS(ptr, owner, name) ((ptr)->has &= ~(UINT64_C(1) << KEY_##owner##_##name))

/* ---- descriptors: extern const struct shape shape_rec_task, shape_msg_batch, … ---- */

#define REC(low, doc) extern const struct shape shape_rec_##low;
#define MSG(up, low, id, from, to, doc) extern const struct shape shape_msg_##low;
#include "proto/messages.def"

/* A received message: which one, whose answer it is, and its fields. */
struct msg {
    const struct shape *shape; /* ->id tells which member of u */
    uint64_t corr;             /* of the request; 0 when it expects no answer */
    struct str rid;            /* request id for logs; empty if none */
    union {
#define MSG(up, low, id, from, to, doc) struct msg_##low low;
#include "proto/messages.def"
    } u;
};

/* Typed wrappers: the compiler checks that the struct fits the message.
 * int msg_encode_batch(buf, &batch, corr, rid, err): see codec_encode. */
#define REC(low, doc)                                                                                                            \
    static inline int rec_encode_##low(struct buf *out, const struct rec_##low *value, struct err *err)                          \
    {                                                                                                                            \
        return codec_encode_record(out, &shape_rec_##low, value, err);                                                           \
    }                                                                                                                            \
    static inline int rec_decode_##low(struct arena *arena, struct str bytes, struct rec_##low *out, struct err *err)            \
    {                                                                                                                            \
        return codec_decode_record(arena, &shape_rec_##low, bytes, out, err);                                                    \
    }
#define MSG(up, low, id, from, to, doc)                                                                                          \
    static inline int msg_encode_##low(struct buf *out, const struct msg_##low *value, uint64_t corr, struct str rid,            \
                                       struct err *err)                                                                          \
    {                                                                                                                            \
        return codec_encode(out, &shape_msg_##low, value, corr, rid, err);                                                       \
    }
#include "proto/messages.def"

/* Every message, in the order of the table; the shape of an id, or NULL. */
extern const struct shape *const messages_all[];
extern const size_t messages_count;
extern const struct shape *const records_all[];
extern const size_t records_count;
const struct shape *message_shape(uint64_t id);

/* Decodes one frame. Borrows bytes and arena; out is filled whole or not at all. err->code: ERR_BAD_REQUEST (malformed),
 * ERR_INVALID (breaks the table; the text names message.field), ERR_PROTOCOL (no such message), ERR_NO_MEMORY (the arena's limit). */
int msg_decode(struct arena *arena, struct str bytes, struct msg *out, struct err *err);

/* Words for the numbers, as the APIs spell them ("pending", "high"); NULL-free ("?" for others). */
const char *priority_name(uint64_t priority);
const char *task_status_name(uint64_t status);
const char *run_status_name(uint64_t status);
const char *worker_status_name(uint64_t status);
const char *outcome_name(uint64_t outcome);
const char *delivery_status_name(uint64_t status);
const char *error_code_name(uint64_t code);
const char *fire_outcome_name(uint64_t outcome);
const char *fire_reason_name(uint64_t reason); /* "" for none */
/* The number of a word, or -1. */
int priority_parse(struct str word);
int task_status_parse(struct str word);
int run_status_parse(struct str word);
int worker_status_parse(struct str word);
int fire_outcome_parse(struct str word);
int delivery_status_parse(struct str word);

/* As bits, for FILTER_IN. */
#define RUN_STATUSES_OPEN (1 << RUN_PENDING | 1 << RUN_RUNNING)
#define RUN_STATUSES_FINAL (1 << RUN_COMPLETED | 1 << RUN_FAILED | 1 << RUN_ABORTED)

static inline bool run_status_final(uint64_t status)
{
    return status >= RUN_COMPLETED;
}

#endif
