/* GET /tasks/{id}/assets: a task's scene and the files that it needs, written as they are looked for. */
#include "gateway/gateway.h"
#include "gateway/surfaces/render_files.h"
#include "gateway/surfaces/render_needs.h"

struct listing { /* needs->self */
    const struct rec_render_task *task;
    struct scene_look *look; /* NULL: it is in the store of files */
    struct writer w;
    uint64_t total, missing; /* beside those that the scene needs */
};

struct row {
    uint64_t asset_id, size;
    struct str path, hash, type, place;
    bool missing;
};

static void row_write(struct writer *w, const struct row *row)
{
    writer_open(w, NULL, '{');
    if (row->asset_id)
        writer_uint(w, "asset_id", row->asset_id);
    else
        writer_null(w, "asset_id");
    writer_text(w, "file_path", row->path);
    writer_text_or_null(w, "file_hash", row->hash);
    if (row->missing)
        writer_null(w, "file_size");
    else
        writer_uint(w, "file_size", row->size);
    writer_text(w, "file_type", row->type);
    writer_text(w, "local_path", row->path);
    writer_text_or_null(w, "server_path", row->place);
    writer_bool(w, "is_missing", row->missing);
    writer_close(w, '}');
}

static void each_write(struct needs *needs, const struct need *need)
{
    struct request *request = needs->request;
    struct listing *listing = needs->self;
    char hex[BLOB_HEX] = "";

    if (need->md5)
        blob_hex(need->md5, hex);
    row_write(&listing->w, &(struct row){.asset_id = need->asset_id,
                                         .size = need->size,
                                         .path = need->path,
                                         .hash = str_of(hex),
                                         .type = need->type,
                                         .place = need->place,
                                         .missing = need->missing});
    if (request->out.size > BUDGET_SMALL && !budget_hold(&request->gateway->budget, &request->held, request->out.size))
        request->out.failed = true;
}

static void on_listed(struct needs *needs)
{
    struct listing *listing = needs->self;
    struct writer *w = &listing->w;

    writer_close(w, ']');
    writer_uint(w, "total_count", listing->total + needs->count + needs->left_out);
    writer_uint(w, "missing_count", listing->missing + needs->missing);
    writer_bool(w, "analysed", needs->known);
    if (needs->left_out)
        writer_uint(w, "left_out", needs->left_out);
    writer_close(w, '}');
    render_close(needs->request, w, 200);
}

static void scene_write(struct needs *needs, uint64_t asset_id)
{
    struct listing *listing = needs->self;
    const struct rec_render_task *task = listing->task;
    char place[PLACE_MAX + 1] = "/";
    struct row row = {.asset_id = asset_id,
                      .size = task->scene_size,
                      .path = task->oss_file_path,
                      .hash = task->scene_md5,
                      .type = STR_LIT("scene"),
                      .missing = !render_scene_there(needs->request, task)};

    if (place_beside(task->oss_file_path, (struct str){NULL, 0}, false, place + 1, PLACE_MAX))
        row.place = str_of(place);
    render_open(needs->request, &listing->w, 200, TEXT_API_OK);
    writer_open(&listing->w, "data", '{');
    writer_uint(&listing->w, "task_id", task->id);
    writer_open(&listing->w, "assets", '[');
    row_write(&listing->w, &row);
    listing->total = 1;
    listing->missing = row.missing;
}

/* Of a scene below scene.root it is only known now which one it is. */
static void on_hashed(struct scene_look *look)
{
    struct needs *needs = look->request->sink.self;

    if (look->cause)
        needs->done(needs);
    else
        needs_tell(needs, look->md5);
}

static void below_look(struct needs *needs)
{
    struct listing *listing = needs->self;

    needs->below = true;
    if (listing->missing || !listing->look)
        needs->done(needs);
    else if (scene_look_open(listing->look))
        scene_look_hash(listing->look, on_hashed);
}

static void on_scene(struct request *request, const struct msg *msg)
{
    struct needs *needs = request->sink.self;
    struct listing *listing = needs->self;
    const struct msg_asset_found *found = &msg->u.asset_found;
    unsigned char md5[BLOB_MD5];
    bool stored = blob_read_hex(listing->task->scene_md5, md5);
    bool same = stored && found->md5.len == BLOB_MD5 && memcmp(found->md5.ptr, md5, BLOB_MD5) == 0;

    scene_write(needs, same ? found->asset_id : 0);
    if (stored)
        needs_tell(needs, md5);
    else
        below_look(needs);
}

static void on_task(struct request *request, const struct msg *msg)
{
    const struct rec_render_task *task = render_one_read(request, msg);
    struct listing *listing = task ? request_alloc(request, sizeof *listing) : NULL;
    char place[PLACE_MAX];

    if (task && !listing)
        reply_problem_kind(request, PROBLEM_OVERLOADED);
    if (!listing)
        return;
    *listing = (struct listing){.task = task};
    if (!task->scene_md5.len && place_beside(task->oss_file_path, (struct str){NULL, 0}, false, place, sizeof place)) {
        listing->look = scene_look_new(request, str_of(place));
        if (!listing->look)
            return;
    }
    struct needs *needs = needs_new(request, task->unionid, task->oss_file_path, task->render_engine);
    if (!needs)
        return;
    needs->self = listing;
    needs->each = each_write;
    needs->done = on_listed;
    struct msg_asset_find find = {.path = task->oss_file_path, .unionid = task->unionid};
    ask_send(request, ASK_SCHEDULER, &shape_msg_asset_find, &find, on_scene);
}

void render_assets(struct request *request)
{
    render_one_ask(request, on_task);
}
