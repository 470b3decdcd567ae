#include "gateway/surfaces/render_needs.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/gateway.h"
#include "proto/log.h"

#define ARENA_MAX ((size_t)4 << 20)

static void next_ask(struct needs *needs);

/* ---- life ---- */

static void on_closed(void *self)
{
    struct needs *needs = self;

    if (needs->before.closed)
        needs->before.closed(needs->before.self);
    json_decref(needs->report);
    arena_free(needs->arena);
    render_names_free(&needs->names);
    free(needs);
}

struct needs *needs_new(struct request *request, struct str unionid, struct str path, struct str engine)
{
    struct arena *arena = request_arena(request);
    struct needs *needs = arena ? calloc(1, sizeof *needs) : NULL;

    if (needs) {
        needs->unionid = arena_str(arena, unionid);
        needs->scene = arena_str(arena, path);
        needs->arena = arena_new(ARENA_MAX);
    }
    if (!needs || !needs->unionid.ptr || !needs->scene.ptr || !needs->arena) {
        if (needs)
            arena_free(needs->arena);
        free(needs);
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return NULL;
    }
    needs->blender = str_is(engine, "blender");
    needs->request = request;
    needs->before = request->sink;
    request->sink = (struct sink){.closed = on_closed, .self = needs};
    return needs;
}

/* ---- some of them ---- */

static void one_tell(struct needs *needs, struct need *need)
{
    char place[PLACE_MAX + 1] = "/";

    if (place_beside(need->path, needs->scene, needs->blender, place + 1, PLACE_MAX))
        need->place = str_of(place);
    need->missing = !need->asset_id;
    if (need->missing && needs->below && need->place.len)
        need->missing = !render_needed_below_roots(needs->request, &needs->names, place + 1, &need->size);
    needs->count++;
    needs->missing += need->missing;
    needs->each(needs, need);
}

static void held_ask(struct needs *needs);

static void on_looked(struct request *request, const struct msg *msg)
{
    struct needs *needs = request->sink.self;
    const struct msg_asset_looked *looked = &msg->u.asset_looked;

    uint32_t count = looked->ids.count;

    if (count == 0 || count > needs->held || looked->sizes.count != count || looked->md5s.len != count * BLOB_MD5) {
        reply_problem_kind(request, PROBLEM_INTERNAL);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct need *need = &needs->files[i];
        if (looked->ids.items[i]) {
            need->asset_id = looked->ids.items[i];
            need->size = looked->sizes.items[i];
            need->md5 = (const unsigned char *)looked->md5s.ptr + (size_t)i * BLOB_MD5;
        }
        one_tell(needs, need);
    }
    needs->held -= count;
    memmove(needs->files, needs->files + count, needs->held * sizeof *needs->files);
    if (request->out.failed)
        reply_problem_kind(request, PROBLEM_OVERLOADED);
    else if (needs->held)
        held_ask(needs); /* there were too many names to look through at once */
    else
        next_ask(needs);
}

static void held_ask(struct needs *needs)
{
    struct str paths[NEEDS_AT_ONCE];
    struct msg_asset_look look = {
        .unionid = needs->unionid, .scene = needs->scene, .blender = needs->blender, .paths = {paths, needs->held}};

    for (uint32_t i = 0; i < needs->held; i++)
        paths[i] = needs->files[i].path;
    needs->request->retry_until_ms = 0; /* another question, with time of its own */
    ask_send(needs->request, ASK_SCHEDULER, &shape_msg_asset_look, &look, on_looked);
}

/* ---- from a list ---- */

static void on_page(struct request *request, const struct msg *msg)
{
    struct needs *needs = request->sink.self;
    const struct rec_row_list *rows = &msg->u.query_rows.rows;
    struct rec_scene_page page = {0};
    struct err err = {0};

    arena_reset(needs->arena);
    struct str value = rows->count ? arena_str(needs->arena, rows->items[0].value) : (struct str){NULL, 0};
    if (!value.ptr || rec_decode_scene_page(needs->arena, value, &page, &err) != 0) {
        bool damaged = value.ptr && err.code != ERR_NO_MEMORY; /* else it has just gone for a newer one, or there is no memory */
        if (damaged)
            log_error("GTY-ROW-DAMAGED", "id=%llu %s", (unsigned long long)rows->items[0].id, err.text);
        reply_problem_kind(request, damaged ? PROBLEM_INTERNAL : PROBLEM_OVERLOADED);
        return;
    }
    for (needs->held = 0; needs->held < page.files.count; needs->held++) {
        const struct rec_scene_file *file = &page.files.items[needs->held];
        needs->files[needs->held] = (struct need){.path = file->path, .type = file->type};
    }
    if (needs->held)
        held_ask(needs);
    else
        next_ask(needs); /* it needs none */
}

static void page_ask(struct needs *needs)
{
    uint64_t id = needs->list_id << SCENE_PAGE_BITS | needs->page++;
    struct msg_get get = {.type = TYPE_SCENE_PAGE, .ids = {&id, 1}};

    ask_send(needs->request, ASK_STORE, &shape_msg_get, &get, on_page);
}

/* ---- from a report ---- */

static struct str member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return (struct str){json_string_value(value), (uint32_t)json_string_length(value)};
}

static void report_hold(struct needs *needs)
{
    const json_t *assets = json_object_get(needs->report, "assets");

    while (needs->held < NEEDS_AT_ONCE && needs->at < json_array_size(assets)) {
        const json_t *asset = json_array_get(assets, needs->at++);
        struct need need = {.path = member(asset, "path"), .type = member(asset, "type")};
        if (need.path.len && !json_is_true(json_object_get(asset, "packed")))
            needs->files[needs->held++] = need;
    }
}

static void on_scene(struct request *request, const struct msg *msg)
{
    struct needs *needs = request->sink.self;
    const struct rec_row_list *rows = &msg->u.query_rows.rows;
    struct arena *arena = request_arena(request);
    struct rec_scene scene;
    struct err err;

    if (!arena) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    if (rows->count && rec_decode_scene(arena, rows->items[0].value, &scene, &err) == 0)
        needs->report = json_loadb(scene.report.ptr, scene.report.len, 0, NULL);
    needs->known = json_is_object(needs->report);
    json_int_t left_out = json_integer_value(json_object_get(needs->report, "assets_left_out"));
    needs->left_out = left_out > 0 ? (uint64_t)left_out : 0;
    next_ask(needs);
}

/* ---- all of them ---- */

static void next_ask(struct needs *needs)
{
    render_names_page(&needs->names);
    if (needs->page < needs->pages) {
        page_ask(needs);
        return;
    }
    report_hold(needs);
    if (needs->held)
        held_ask(needs);
    else
        needs->done(needs);
}

static void on_state(struct request *request, const struct msg *msg)
{
    struct needs *needs = request->sink.self;
    const struct msg_scene_state *state = &msg->u.scene_state;
    uint64_t id = state->scene_id;
    struct msg_get get = {.type = TYPE_SCENE, .ids = {&id, 1}};

    if (state->list_id) {
        needs->list_id = state->list_id;
        needs->pages = (uint32_t)state->pages;
        needs->left_out = state->left_out;
        needs->known = true;
        next_ask(needs);
    } else if (id) {
        ask_send(request, ASK_STORE, &shape_msg_get, &get, on_scene);
    } else {
        needs->done(needs);
    }
}

void needs_tell(struct needs *needs, const unsigned char md5[BLOB_MD5])
{
    struct msg_scene_ask asked = {.md5 = {(const char *)md5, BLOB_MD5}};

    ask_send(needs->request, ASK_SCHEDULER, &shape_msg_scene_ask, &asked, on_state);
}
