/* POST /tasks: what a client says of a task, checked field by field. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/blob.h"
#include "gateway/gateway.h"
#include "gateway/json.h"
#include "gateway/surfaces/render_files.h"
#include "gateway/surfaces/render_needs.h"
#include "gateway/surfaces/transcode.h"
#include "proto/ident.h"

#define PATH_BYTES 1024
#define SECONDS_MAX 31536000
#define PLUGINS_MAX 64
#define PLUGINS_BYTES 4096
#define TEST_CHARACTERS 100
#define LACKING_SHOWN 100

struct lacking { /* request->own, of a task that may lack no file */
    bool known;  /* it was looked at: it lacks none that one knows of. Else it is no repeat, and is to be looked at */
    struct str_list paths;
    struct str shown[LACKING_SHOWN];
};
#define FORMAT_BYTES 8
#define PACKAGE_BYTES 512

/* ---- scenes ---- */

bool render_scene_there(const struct request *request, const struct rec_render_task *task)
{
    unsigned char md5[BLOB_MD5];
    uint64_t size;

    if (!task->scene_md5.len)
        return render_below_roots(request, task->oss_file_path, &size);
    int fd = blob_read_hex(task->scene_md5, md5) ? blob_open(request->gateway->settings, md5) : -1;
    if (fd >= 0)
        close(fd);
    return fd >= 0 || request->gateway->s3; /* the store is not asked */
}

/* ---- fields ---- */

static int read_unionid(const struct request *request, struct rec_render_task *task, struct problem *problem)
{
    const json_t *given = json_object_get(request->json, "unionid");

    if (api_text(request, "unionid", API_REQUIRED, 400, &task->unionid, problem) < 0)
        return -1;
    if (str_characters(task->unionid) > RENDER_UNION_CHARACTERS)
        return problem_json(problem, "unionid", "length", given, "1..100 characters");
    return 0;
}

static int read_engine(const struct request *request, struct rec_render_task *task, struct problem *problem)
{
    static const char *const engines[] = {"maya", "ue", "blender"};

    if (api_text(request, "render_engine", API_REQUIRED, 16, &task->render_engine, problem) < 0)
        return -1;
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
        if (str_is(task->render_engine, engines[i]))
            return 0;
    }
    return problem_json(problem, "render_engine", "enum", json_object_get(request->json, "render_engine"), "maya|ue|blender");
}

/* What each engine can write; the first is what it writes unless told. */
static const struct {
    const char *engine, *formats;
} formats[] = {
    {"maya", "exr|png|jpg|tif"}, {"ue", "png|jpg|bmp|exr"}, {"blender", "png|exr|jpg|tif|tga|bmp|webp|dpx"}, {NULL, "png"}};

static const char *formats_of(struct str engine)
{
    size_t i = 0;

    while (formats[i].engine && !str_is(engine, formats[i].engine))
        i++;
    return formats[i].formats;
}

struct str render_format(const struct rec_render_task *task)
{
    const char *all = formats_of(task->render_engine);

    return task->image_format.len ? task->image_format : (struct str){all, (uint32_t)strcspn(all, "|")};
}

static int read_format(const json_t *given, struct rec_render_task *task, struct problem *problem)
{
    const char *all = formats_of(task->render_engine);

    for (const char *at = all; task->image_format.len && *at; at += *at == '|') {
        struct str one = {at, (uint32_t)strcspn(at, "|")};
        if (str_eq(one, task->image_format))
            return 0;
        at += one.len;
    }
    if (task->image_format.len)
        return problem_json(problem, "task_info.image_format", "enum", given, "%s", all);
    task->image_format = render_format(task);
    return 0;
}

/* "50" or "10, 20,30": numbers above 0 that the task has. */
static int read_tests(const struct request *request, struct rec_render_task *task, struct problem *problem)
{
    const json_t *given = json_object_get(request->json, "test_frames");
    unsigned long long first = task->start_frame, last = first + task->total_frames - 1;
    int there = api_text(request, "test_frames", API_OPTIONAL, 400, &task->test_frames, problem);
    struct str list = task->test_frames;

    if (there <= 0)
        return there;
    if (str_characters(list) > TEST_CHARACTERS)
        return problem_json(problem, "test_frames", "length", given, "1..%d characters", TEST_CHARACTERS);
    do {
        const char *comma = list.len ? memchr(list.ptr, ',', list.len) : NULL;
        struct str item = {list.ptr, comma ? (uint32_t)(comma - list.ptr) : list.len};
        uint64_t number = 0;
        list = comma ? (struct str){comma + 1, list.len - item.len - 1} : (struct str){NULL, 0};
        item = str_trim(item, " ");
        if (item.len > 7 || !uri_number(item, &number))
            return problem_json(problem, "test_frames", "render_tests", given, "a number, or numbers as 1,2,3");
        if (number < first || number > last)
            return problem_json(problem, "test_frames", "range", given, "%llu..%llu", first, last);
        if (comma && list.len == 0)
            return problem_json(problem, "test_frames", "render_tests", given, "a number, or numbers as 1,2,3");
    } while (list.len > 0);
    return 0;
}

/* Names and versions, as a map in msgpack. */
static int read_plugins(struct request *request, struct rec_render_task *task, struct problem *problem)
{
    const json_t *plugins = json_object_get(request->json, "plugins"), *version;
    struct buf packed = {0};
    const char *name;

    if (!plugins || json_is_null(plugins) || json_object_size(plugins) == 0) {
        if (plugins && !json_is_null(plugins) && !json_is_object(plugins))
            return problem_json(problem, "plugins", "type", plugins, "object");
        return 0;
    }
    if (json_object_size(plugins) > PLUGINS_MAX)
        return problem_json(problem, "plugins", "items", plugins, "0..%d", PLUGINS_MAX);
    json_object_foreach((json_t *)(uintptr_t)plugins, name, version)
    {
        if (!json_is_string(version))
            return problem_value(problem, PROBLEM_INVALID, "plugins", "text_map", str_of(name), NULL);
    }
    bool packs = json_pack_value(&packed, plugins, 2) == 0, fits = packed.len <= PLUGINS_BYTES;
    if (packs && fits && request_arena(request))
        task->plugins = arena_str(request_arena(request), buf_str(&packed));
    buf_free(&packed);
    if (packs && !fits)
        return problem_json(problem, "plugins", "size", plugins, "at most %d bytes", PLUGINS_BYTES);
    return task->plugins.ptr ? 0 : problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
}

static int read_info_text(const json_t *info, const char *name, uint32_t max, struct str *out, struct problem *problem)
{
    const json_t *value = json_object_get(info, name);
    char field[64];

    if (!value || json_is_null(value))
        return 0;
    snprintf(field, sizeof field, "task_info.%s", name);
    if (!json_is_string(value))
        return problem_json(problem, field, "type", value, "string");
    *out = (struct str){json_string_value(value), (uint32_t)json_string_length(value)};
    return out->len > max ? problem_json(problem, field, "length", value, "0..%u bytes", max) : 0;
}

/* What Unreal calls a thing of its project, as one word of its command line, which it takes apart at blanks and quotes: /Game/Maps/Main. */
static bool is_package(struct str text)
{
    if (text.len < 2 || text.ptr[0] != '/')
        return false;
    for (uint32_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] <= ' ' || strchr("\"'\\?*<>|,;=\x7f", text.ptr[i]))
            return false;
    }
    return true;
}

static int read_package(const json_t *info, const char *name, bool required, struct str *out, struct problem *problem)
{
    char field[64];

    snprintf(field, sizeof field, "task_info.%s", name);
    if (read_info_text(info, name, PACKAGE_BYTES, out, problem) < 0)
        return -1;
    if (!out->len)
        return required ? problem_set(problem, PROBLEM_INVALID, field, "required") : 0;
    return is_package(*out)
               ? 0
               : problem_json(problem, field, "format", json_object_get(info, name), "a package, as /Game/Maps/Main");
}

/* Unreal has no picture of a project as such: it plays a sequence in a level. */
static int read_unreal(const json_t *info, struct rec_render_task *task, struct problem *problem)
{
    bool unreal = str_is(task->render_engine, "ue");

    return read_package(info, "map", unreal, &task->map, problem) < 0 ||
                   read_package(info, "sequence", unreal, &task->sequence, problem) < 0 ||
                   read_package(info, "preset", false, &task->preset, problem) < 0
               ? -1
               : 0;
}

static int read_info(const struct request *request, struct rec_render_task *task, struct problem *problem)
{
    const json_t *info = json_object_get(request->json, "task_info"), *start = json_object_get(info, "start_frame");
    int64_t number = 1;

    if (info && !json_is_null(info) && !json_is_object(info))
        return problem_json(problem, "task_info", "type", info, "object");
    if (read_info_text(info, "renderer", 64, &task->renderer, problem) < 0 ||
        read_info_text(info, "source_dir", PATH_BYTES, &task->source_dir, problem) < 0 ||
        read_info_text(info, "project_dir", PATH_BYTES, &task->project_dir, problem) < 0 ||
        read_info_text(info, "renders_dir", PATH_BYTES, &task->renders_dir, problem) < 0 ||
        read_info_text(info, "image_format", FORMAT_BYTES, &task->image_format, problem) < 0 ||
        read_format(json_object_get(info, "image_format"), task, problem) < 0 || read_unreal(info, task, problem) < 0)
        return -1;
    if (start && !json_is_null(start) && !json_integral(start, &number))
        return problem_json(problem, "task_info.start_frame", "type", start, "integer");
    if (number < 0 || number > 1000000)
        return problem_json(problem, "task_info.start_frame", "range", start, "0..1000000");
    task->start_frame = (uint64_t)number;
    return 0;
}

static int read_numbers(const struct request *request, struct rec_render_task *task, struct problem *problem)
{
    task->total_frames = 1;
    task->priority = 5;
    task->frame_timeout = 43200;
    task->task_timeout = 86400;
    if (api_uint(request, "total_frames", API_OPTIONAL, 1, RENDER_FRAMES, &task->total_frames, problem) < 0 ||
        api_uint(request, "priority", API_OPTIONAL, 0, 10, &task->priority, problem) < 0 ||
        api_uint(request, "ram", API_OPTIONAL, 4, 512, &task->ram, problem) < 0 ||
        api_uint(request, "gpu_count", API_OPTIONAL, 0, 8, &task->gpu_count, problem) < 0 ||
        api_uint(request, "frame_timeout", API_OPTIONAL, 1, SECONDS_MAX, &task->frame_timeout, problem) < 0 ||
        api_uint(request, "task_timeout", API_OPTIONAL, 1, SECONDS_MAX, &task->task_timeout, problem) < 0)
        return -1;
    return 0;
}

static int read_rest(struct request *request, struct rec_render_task *task, struct problem *problem)
{
    bool allow_missing = true;

    if (api_bool(request, "stop_after_test", &task->stop_after_test, problem) < 0 ||
        api_bool(request, "is_compressed", &task->is_compressed, problem) < 0 ||
        api_bool(request, "allow_missing", &allow_missing, problem) < 0 ||
        api_text(request, "cg_version", API_OPTIONAL, 64, &task->cg_version, problem) < 0 ||
        api_text(request, "renderer", API_OPTIONAL, 64, &task->renderer, problem) < 0 ||
        api_text(request, "hardware_config_id", API_OPTIONAL, 64, &task->config_id, problem) < 0)
        return -1;
    task->no_missing = !allow_missing;
    return read_plugins(request, task, problem);
}

/* The hardware config that it asks for, or the cheapest that has what it needs: it sets the price. */
static int read_config(const struct request *request, struct rec_render_task *task, struct problem *problem)
{
    struct render_config configs[RENDER_CONFIGS];
    unsigned count = render_configs(request, configs);
    const struct render_config *config = render_config_pick(configs, count, task->config_id, task->ram, task->gpu_count);

    if (!config && task->config_id.len)
        return problem_value(problem, PROBLEM_NOT_FOUND, "hardware_config_id", "render_config", task->config_id, NULL);
    if (!config)
        return 0;
    task->config_id = config->id;
    task->config_name = config->name;
    task->config_ram = config->ram;
    task->config_gpus = config->gpus;
    task->price = config->price;
    return 0;
}

/* ---- the whole ---- */

/* A random UUID (version 4), 36 characters, in the request's memory. */
static struct str uuid(struct request *request)
{
    char hex[33], *out = request_alloc(request, 37);

    if (!out)
        return (struct str){NULL, 0};
    ident_random(hex, 16);
    hex[12] = '4';
    hex[16] = "89ab"[(unsigned char)hex[16] % 4];
    snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    return str_of(out);
}

/* 8-4-4-4-12 hexadecimal digits. */
static bool is_uuid(struct str text)
{
    for (uint32_t i = 0; i < text.len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text.ptr[i] != '-' : !isxdigit((unsigned char)text.ptr[i]))
            return false;
    }
    return text.len == 36;
}

static int read_celery(struct request *request, struct rec_render_task *task, struct problem *problem)
{
    int there = api_text(request, "celery_task_id", API_OPTIONAL, 36, &task->celery_task_id, problem);

    if (there < 0)
        return -1;
    if (task->celery_task_id.len && !is_uuid(task->celery_task_id))
        return problem_json(problem, "celery_task_id", "format", json_object_get(request->json, "celery_task_id"), "a UUID");
    if (!task->celery_task_id.len)
        task->celery_task_id = uuid(request);
    return task->celery_task_id.ptr ? 0 : problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
}

static int read_task(struct request *request, struct rec_render_task *task, struct problem *problem)
{
    if (read_unionid(request, task, problem) < 0 ||
        api_text(request, "oss_file_path", API_REQUIRED, PATH_BYTES, &task->oss_file_path, problem) < 0 ||
        read_engine(request, task, problem) < 0 || read_numbers(request, task, problem) < 0 ||
        read_info(request, task, problem) < 0 || read_tests(request, task, problem) < 0 ||
        read_rest(request, task, problem) < 0 || read_config(request, task, problem) < 0)
        return -1;
    return read_celery(request, task, problem);
}

static void on_created(struct request *request, const struct msg *msg)
{
    struct writer w;

    render_open(request, &w, 201, TEXT_RENDER_CREATED);
    render_task_write(&w, "data", &msg->u.render_answer.task, NULL, (struct str){NULL, 0});
    render_close(request, &w, 201);
}

/* ---- files that it lacks, where it may lack none ---- */

static void mark_each(struct needs *needs, const struct need *need)
{
    struct lacking *lacking = needs->request->own;

    if (need->missing && lacking->paths.count < LACKING_SHOWN)
        lacking->shown[lacking->paths.count++] = arena_str(needs->request->arena, need->path);
}

static void on_lacking(struct needs *needs)
{
    struct request *request = needs->request;
    struct lacking *lacking = request->own;
    struct problem problem;
    char count[24];

    lacking->known = true;
    if (!needs->missing) {
        request_handle(request); /* from its beginning, knowing that */
        return;
    }
    snprintf(count, sizeof count, "%llu", (unsigned long long)needs->missing);
    problem_value(&problem, PROBLEM_NOT_FOUND, "assets", "render_missing", str_of(count), NULL);
    problem.each = &lacking->paths;
    reply_problem(request, &problem);
}

static void on_lacking_found(struct request *request, const struct msg *msg)
{
    const struct msg_asset_found *found = &msg->u.asset_found;
    struct needs *needs = request->sink.self;

    if (found->asset_id && found->md5.len == BLOB_MD5)
        needs_tell(needs, (const unsigned char *)found->md5.ptr);
    else
        on_lacking(needs);
}

static void lacking_look(struct request *request, const struct rec_render_task *task)
{
    struct lacking *lacking = request->own = request_alloc(request, sizeof *lacking);
    struct msg_asset_find find = {.path = task->oss_file_path, .unionid = task->unionid};
    struct needs *needs = lacking ? needs_new(request, task->unionid, task->oss_file_path, task->render_engine) : NULL;

    if (!lacking)
        reply_problem_kind(request, PROBLEM_OVERLOADED);
    if (!needs)
        return;
    *lacking = (struct lacking){.paths = {lacking->shown, 0}};
    needs->each = mark_each;
    needs->done = on_lacking;
    ask_send(request, ASK_SCHEDULER, &shape_msg_asset_find, &find, on_lacking_found);
}

/* It is no repeat: what it lacks counts. */
static bool on_unlooked(struct request *request, const struct msg_error *error)
{
    if (!str_is(error->rule, "fetch"))
        return false;
    request->on_error = NULL;
    struct lacking *lacking = request->own = request_alloc(request, sizeof *lacking);
    if (!lacking) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return true;
    }
    *lacking = (struct lacking){0};
    request_handle(request);
    return true;
}

void render_create(struct request *request)
{
    const struct lacking *lacking = request->own;
    struct msg_render_create create = {.task = {.id = 1}};
    struct problem problem;
    char blobs[4096];

    if (request_read_json(request, &problem) != 0 || read_task(request, &create.task, &problem) != 0 ||
        request_idem(request, &create.idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    if (!render_may(request, create.task.unionid))
        return;
    bool looks = create.task.no_missing && !(lacking && lacking->known);
    if (looks && (lacking || !request->headers.idempotency_key.len)) {
        lacking_look(request, &create.task);
        return;
    }
    create.unlooked = looks; /* with a key of its client's it may be a repeat: then what the first came to counts */
    request->on_error = looks ? on_unlooked : NULL;
    if (!request->gateway->s3 && blob_root(request->gateway->settings, blobs)) /* where the scene can be read at once */
        create.blobs = str_of(blobs);
    create.scene_found = render_below_roots(request, create.task.oss_file_path, &create.task.scene_size);
    ask_send(request, ASK_SCHEDULER, &shape_msg_render_create, &create, on_created);
}
