/* What the files of the render surface share: its envelope, who may see what, and a task as its clients see it.
 *
 * The code of a success is the status of HTTP; that of a refusal the business code of the API (1002, 2001, …), which `error_code` repeats.
 */
#ifndef GANTRY_GATEWAY_SURFACES_RENDER_H
#define GANTRY_GATEWAY_SURFACES_RENDER_H

#include "gateway/ask.h"
#include "gateway/writer.h"
#include "proto/place.h"

/* ---- envelope ---- */

/* Begins {"code":…,"message":…; the caller writes "data", if there is any, and closes. */
void render_open(struct request *request, struct writer *w, unsigned status, enum text_id message);
void render_close(struct request *request, struct writer *w, unsigned status);
void render_problem(struct request *request, const struct problem *problem);

/* ---- who may see what ---- */

/* The unionid that who asks is limited to: of role user, with a credential of its own. False: he is not limited. */
bool render_whose(const struct request *request, struct str *unionid);
/* Refuses (answered, false) what is not his to see. */
bool render_may(struct request *request, struct str unionid);

/* ---- tasks ---- */

const char *render_status_name(uint64_t status);
/* The number of a word, or -1. */
int render_status_parse(struct str word);
const char *render_frame_name(uint64_t status);

/* The id in the path's first {…}; answers false with a problem (2001) for what is none. */
bool render_id(const struct request *request, uint64_t *id, struct problem *problem);

/* A number in digits, 0 included. */
bool render_number(struct str text, uint64_t *out);

/* Decodes a row into the request's memory; NULL, and answered, when it is damaged or memory is short. */
struct rec_render_task *render_row(struct request *request, const struct rec_row *row);

/* Asks for the task that the path names; then: what it is, kept in request->own. NULL, and answered, when there is none for who asks. */
void render_one_ask(struct request *request, void (*on_row)(struct request *request, const struct msg *msg));
struct rec_render_task *render_one_read(struct request *request, const struct msg *msg);

/* A task with all that is known of it. live: NULL when nothing is known of this second. fields: of those names only, with commas between;
 * empty: all. The object is closed. */
void render_task_write(struct writer *w, const char *key, const struct rec_render_task *task, const struct rec_render_live *live,
                       struct str fields);
/* A name in the list that no field has; false: all are known. */
bool render_field_unknown(struct str fields, struct str *name);
extern const char render_field_names[]; /* all of them, with commas between */

/* What the newest answer of RENDER_LIVE says of a task; NULL: nothing. */
const struct rec_render_live *render_live_of(const struct msg *msg, uint64_t id);

/* What a frame of the task is: enum render_frame_status in the low three bits, its retries above. */
uint8_t render_frame_state(const struct rec_render_task *task, uint64_t place);

/* The frame's own record among these, decoded into the request's memory. NULL: it was never given out, or it is damaged; without memory the
 * answer has failed, too (request->out.failed). */
const struct rec_render_frame *render_frame_row(struct request *request, const struct rec_row_list *rows, uint64_t id);

/* ---- hardware ---- */

struct render_config {
    struct str id, name, gpu_model; /* of the settings */
    uint64_t ram, cores, gpus;
    double price; /* of an hour */
};
#define RENDER_CONFIGS 32

/* The configs of the settings; what cannot be read is left out, and logged. */
unsigned render_configs(const struct request *request, struct render_config out[RENDER_CONFIGS]);
/* The one of that id, or, with an empty id, the cheapest that has as much; NULL: there is none. */
const struct render_config *render_config_pick(const struct render_config *configs, unsigned count, struct str id, uint64_t ram,
                                               uint64_t gpus);

/* ---- scenes ---- */

/* How the task's pictures are written: "png". */
struct str render_format(const struct rec_render_task *task);
/* Whether the task's scene is there: what was uploaded, or a file below scene.root. */
bool render_scene_there(const struct request *request, const struct rec_render_task *task);
/* Whether a file of that name is below scene.root. */
bool render_below_roots(const struct request *request, struct str path, uint64_t *size);
struct
    render_names { /* of a folder there: read once for all patterns that are behind each other in a page. Zeroed before its first use */
    char folder[PLACE_MAX];
    struct buf names;
    uint32_t entries, opened; /* how much is looked at yet */
    bool read, whole;
};
void render_names_page(struct render_names *names); /* the next one begins, with patience of its own */
void render_names_free(struct render_names *names);
/* The same for a file that a scene there needs, by its place (proto/place.h): of a pattern one is enough, and size is its. True, and size 0: the
 * patience of the page has ended before it was found, so it is not known. */
bool render_needed_below_roots(const struct request *request, struct render_names *names, const char *place, uint64_t *size);

/* ---- handlers ---- */

void render_create(struct request *request), render_list(struct request *request), render_get(struct request *request);
void render_status(struct request *request), render_batch(struct request *request), render_frames(struct request *request);
void render_frame(struct request *request), render_pause(struct request *request), render_resume(struct request *request);
void render_cancel(struct request *request), render_cleanup(struct request *request);
void render_retry_frame(struct request *request), render_retry_failed(struct request *request);
void render_assets(struct request *request), render_results(struct request *request);
void render_hardware(struct request *request), render_match(struct request *request);

#endif
