/* The render farm's dialect: its routes and its envelope. */
#include "gateway/surfaces/render.h"

#include "gateway/json.h"
#include "gateway/surfaces/render_files.h"
#include "gateway/surfaces/surface.h"

static const struct route routes[] = {
    {METHOD_POST, "/tasks", render_create, ROLE_USER,
     "Has a scene rendered: 201. `unionid`, `oss_file_path` (`assets/<md5>`, or a name bound at upload) and `render_engine` "
     "(`maya`, `ue`, `blender`) are required. `total_frames` (1 to 10000, default 1) from `task_info.start_frame` (default 1), "
     "`priority` (0 to 10, default 5; the highest goes first), `test_frames` (`50` or `10,20`), `stop_after_test`, `ram` (4 to "
     "512 "
     "GB), `gpu_count` (0 to 8), `hardware_config_id`, `frame_timeout` (default 43200 s), `task_timeout` (default 86400 s), "
     "`cg_version`, `renderer`, `plugins`, `is_compressed`, `celery_task_id` (a UUID; one is made). Unreal plays "
     "`task_info.sequence` in the level `task_info.map`: both are required for `ue`. With `allow_missing` false a scene that "
     "lacks files is refused (2002, `errors` names them), or, if it was not read yet, its frames fail."},
    {METHOD_GET, "/tasks", render_list, ROLE_READONLY,
     "Lists tasks, newest first. `page`, `page_size` (20, up to 1000), `sort_by` (`created_at`, `id`, `status`, `priority`), "
     "`order`, `status`, `unionid`, `engine`."},
    {METHOD_POST, "/tasks/batch-status", render_batch, ROLE_READONLY,
     "The statuses of up to 1000 tasks, `task_ids`, in their order; `missing` are those that there are not."},
    {METHOD_GET, "/tasks/{id}", render_get, ROLE_READONLY,
     "Tells of one task; `fields=id,status` shows these only. `reason` says what a task waits for. Costs are the price of its "
     "hardware config for the time of its frames."},
    {METHOD_GET, "/tasks/{id}/status", render_status, ROLE_READONLY, "How far one task is."},
    {METHOD_POST, "/tasks/{id}/pause", render_pause, ROLE_USER,
     "Gives out no more frames; those that are being rendered go on to their end. 409 for one that has ended or is paused."},
    {METHOD_POST, "/tasks/{id}/resume", render_resume, ROLE_USER, "Goes on with a paused task. 409 for any other."},
    {METHOD_POST, "/tasks/{id}/cancel", render_cancel, ROLE_USER,
     "Ends a task: what is being rendered is killed. 409 for one that has ended."},
    {METHOD_POST, "/tasks/{id}/cleanup", render_cleanup, ROLE_USER,
     "The workspace of a task that has ended is not needed any more; results stay. 409 for one that has not ended."},
    {METHOD_POST, "/tasks/{id}/retry-failed", render_retry_failed, ROLE_USER,
     "Renders all failed frames again; a task that had ended goes on."},
    {METHOD_GET, "/tasks/{id}/assets", render_assets, ROLE_READONLY,
     "The files of a task: its scene, and, once that was read (`analysed`), all that it needs. `server_path` is where a worker "
     "lays "
     "it out; `is_missing`: the farm has none that was uploaded with that path, by this `unionid` or nobody. What is "
     "packed into the scene is none of them."},
    {METHOD_GET, "/tasks/{id}/results.zip", render_results, ROLE_READONLY,
     "The pictures of all frames that are completed by now, as one ZIP archive that is made while it is sent: "
     "`renders/frame.0001.png` and so on. `MISSING.txt` in it names those whose file has gone. 409 (3000) while no frame is "
     "completed."},
    {METHOD_GET, "/tasks/{id}/frames", render_frames, ROLE_READONLY,
     "Lists frames by their numbers. `page`, `page_size`, `status` (`pending`, `rendering`, `completed`, `failed`, "
     "`cancelled`)."},
    {METHOD_GET, "/tasks/{id}/frames/{frame_number}", render_frame, ROLE_READONLY, "Tells of one frame."},
    {METHOD_POST, "/tasks/{id}/frames/{frame_number}/retry", render_retry_frame, ROLE_USER,
     "Renders a frame again that is completed, failed or cancelled; a task that had ended goes on. 409 for one that has not "
     "ended."},
    {METHOD_GET, "/hardware-configs", render_hardware, ROLE_READONLY,
     "The hardware configs of the setting `render.hardware`. `is_available`: a worker that is connected has as much."},
    {METHOD_POST, "/hardware-configs/match", render_match, ROLE_READONLY,
     "The cheapest config that has `ram` and `gpu_count`, and the others that have, by price. 404 when none has."},
    RENDER_FILE_ROUTES RENDER_TUS_ROUTES RENDER_SCENE_ROUTES{.handle = NULL},
};

/* ---- envelope ---- */

void render_open(struct request *request, struct writer *w, unsigned status, enum text_id message)
{
    buf_reset(&request->out);
    *w = (struct writer){.out = &request->out};
    writer_open(w, NULL, '{');
    writer_uint(w, "code", status);
    writer_text(w, "message", str_of(text_of(message, request->lang)));
}

void render_close(struct request *request, struct writer *w, unsigned status)
{
    writer_close(w, '}');
    reply_done(request, status);
}

static const struct {
    unsigned code;
    enum text_id text;
} codes[] = {
    {1000, TEXT_RENDER_1000}, {1001, TEXT_RENDER_1001}, {1002, TEXT_RENDER_1002}, {2000, TEXT_RENDER_2000},
    {2001, TEXT_RENDER_2001}, {2002, TEXT_RENDER_2002}, {3000, TEXT_RENDER_3000}, {4000, TEXT_RENDER_4000},
    {4001, TEXT_RENDER_4001}, {5000, TEXT_RENDER_5000}, {5001, TEXT_RENDER_5001}, {5002, TEXT_RENDER_5002},
    {5003, TEXT_RENDER_5003},
};

/* Rules that have a code of their own, whatever kind of problem they come with. */
static const struct {
    const char *rule;
    unsigned code;
} rules[] = {
    {"required", 1001},   {"asset_missing", 2000}, {"render_task", 2001},  {"file_missing", 2002}, {"render_missing", 2002},
    {"asset_path", 4000}, {"scene_outside", 4000}, {"link_expired", 4000}, {"render_whose", 4001}, {"asset_whose", 4001},
    {"blob_disk", 5002},  {"blob_s3", 5002},       {"blob_gone", 5002},    {"scene_worker", 5003}, {"scene_run", 5003},
};

/* What was wrong with the request: a field that is missing, one that is malformed, or something else. */
static unsigned code_bad(const struct problem *problem)
{
    bool whole = str_is(problem->rule, "json") || str_is(problem->rule, "json_object") || problem->field.len == 0;
    return whole ? 1000 : 1002;
}

static unsigned code_of(const struct problem *problem)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (str_is(problem->rule, rules[i].rule))
            return rules[i].code;
    }
    switch (problem->kind) {
    case PROBLEM_BAD_REQUEST:
    case PROBLEM_INVALID:
        return code_bad(problem);
    case PROBLEM_UNAUTHENTICATED:
        return 4000;
    case PROBLEM_FORBIDDEN:
        return 4000;
    case PROBLEM_NOT_FOUND:
        return 2000;
    case PROBLEM_CONFLICT:
    case PROBLEM_KEY_REUSED:
        return 3000;
    case PROBLEM_STORE_AWAY:
    case PROBLEM_STORE_UNKNOWN:
        return 5001;
    case PROBLEM_INTERNAL:
    case PROBLEM_OVERLOADED:
    case PROBLEM_STOPPING:
    case PROBLEM_SCHEDULER_AWAY:
    case PROBLEM_SCHEDULER_UNKNOWN:
        return 5000;
    default:
        return 1000;
    }
}

static enum text_id text_of_code(unsigned code)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i].code == code)
            return codes[i].text;
    }
    return TEXT_RENDER_1000;
}

/* The rule's sentence alone, or, where there is none, that of its kind. */
static void sentence_write(struct writer *w, const char *key, struct request *request, const struct problem *problem)
{
    struct buf sentence = {.limit = 16384};

    if (!problem_rule_sentence(&sentence, problem, request->lang))
        problem_sentence(&sentence, problem, request->lang);
    writer_text(w, key, buf_str(&sentence));
    request->out.failed = request->out.failed || sentence.failed;
    buf_free(&sentence);
}

static void error_write(struct writer *w, struct request *request, const struct problem *problem)
{
    struct buf expected = {.limit = 1024};

    writer_open(w, NULL, '{');
    writer_text(w, "field", problem->field);
    sentence_write(w, "message", request, problem);
    problem_value_write(w, "value", problem);
    text_phrase(&expected, problem->expected, request->lang);
    writer_text_or_null(w, "expected", buf_str(&expected));
    writer_close(w, '}');
    buf_free(&expected);
}

/* One of several of its kind. */
static void error_of_write(struct writer *w, struct request *request, const struct problem *problem, struct str value)
{
    struct problem one;

    problem_value(&one, problem->kind, NULL, "file_missing", value, NULL);
    one.field = problem->field;
    error_write(w, request, &one);
}

void render_problem(struct request *request, const struct problem *problem)
{
    struct writer w = {.out = &request->out};
    unsigned code = code_of(problem);
    bool scene =
        code == 2002 && problem->kind == PROBLEM_BAD_REQUEST; /* its API says it otherwise of a scene that is to be read */

    writer_open(&w, NULL, '{');
    writer_uint(&w, "code", scene ? 400 : code);
    writer_text(&w, "message", str_of(text_of(scene ? TEXT_RENDER_NO_SCENE : text_of_code(code), request->lang)));
    sentence_write(&w, "detail", request, problem);
    writer_open(&w, "errors", '[');
    for (uint32_t i = 0; problem->each && i < problem->each->count; i++)
        error_of_write(&w, request, problem, problem->each->items[i]);
    if (problem->field.len && !problem->each)
        error_write(&w, request, problem);
    writer_close(&w, ']');
    writer_uint(&w, "error_code", code);
    writer_close(&w, '}');
}

/* ---- who may see what ---- */

bool render_whose(const struct request *request, struct str *unionid)
{
    const struct actor *actor = &request->actor;

    *unionid = str_of(actor->name);
    return actor->role == ROLE_USER && (actor->kind == ACTOR_KEY || actor->kind == ACTOR_TOKEN);
}

bool render_may(struct request *request, struct str unionid)
{
    struct problem problem;
    struct str own;

    if (!render_whose(request, &own) || str_eq(own, unionid))
        return true;
    problem_set(&problem, PROBLEM_FORBIDDEN, "unionid", "render_whose");
    reply_problem(request, &problem);
    return false;
}

const struct surface surface_render = {
    .name = "render",
    .prefix = "/render/api",
    .own = "/api",
    .routes = routes,
    .write_problem = render_problem,
    .uploads = render_uploads,
    .invalid = 400,
    .slash = true,
    .doc =
        "The render farm's API. Answers are `{code, message, data}`; refusals add `detail`, `errors` and `error_code`, and their "
        "`code` is the API's own (1001 a field is missing, 1002 it is malformed, 2000, 2001, 2002 there is no such thing, task, "
        "file, 3000 not in this state, 4000, 4001 not allowed, 5000, 5001 not now). `message` is Chinese, or English where "
        "`Accept-Language` prefers it. A key or token of the role `user` sees only tasks whose `unionid` is its name or subject. "
        "Every path may have a `/` at its end.",
};
