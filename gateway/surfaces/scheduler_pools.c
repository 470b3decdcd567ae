/* /api/pools: answered by the scheduler, as what runs in them is of this second. */
#include "gateway/fields.h"
#include "gateway/surfaces/scheduler.h"

static const struct page_sort sorts[] = {
    {"created_at", "created_at"}, {"updated_at", "updated_at"}, {"name", "name"}, {"limit", "limit"},
    {"running", "running"},       {"waiting", "waiting"},       {NULL, NULL},
};

static void on_put(struct request *request, const struct msg *msg)
{
    const struct msg_pool_answer *answer = &msg->u.pool_answer;
    struct writer w;

    envelope_open(request, &w);
    pool_write(&w, "data", &answer->pool);
    envelope_close(request, &w, answer->created ? 201 : 200);
}

void pools_put(struct request *request)
{
    static const char *const skips[] = {"idem", "name", NULL};
    struct msg_pool_put put = {0};
    struct problem problem;

    if (request_read_json(request, &problem) != 0 ||
        fields_read(request, request->json, &shape_msg_pool_put, skips, "", true, &put, &problem) != 0)
        goto error;
    put.name = request->match.args[0];
    if (put.name.len > shape_field(&shape_msg_pool_put, STR_LIT("name"))->high) {
        problem_value(&problem, PROBLEM_INVALID, "name", "length", put.name, "1..64 bytes");
        goto error;
    }
    if (request_idem(request, &put.idem, &problem) != 0)
        goto error;
    ask_send(request, ASK_SCHEDULER, &shape_msg_pool_put, &put, on_put);
    return;
error:
    reply_problem(request, &problem);
}

static void on_deleted(struct request *request, const struct msg *msg)
{
    struct writer w;
    (void)msg;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_text(&w, "message", str_of(text_of(TEXT_POOL_DELETED, request->lang)));
    writer_text(&w, "deleted_name", request->match.args[0]);
    writer_close(&w, '}');
    envelope_close(request, &w, 200);
}

/* Whether a pool may have this name at all; else it is answered that there is none. */
static bool name_fits(struct request *request, struct str name)
{
    bool fits = name.len <= shape_field(&shape_msg_pool_delete, STR_LIT("name"))->high;

    if (!fits)
        reply_not_found(request, "name", name);
    return fits;
}

void pools_delete(struct request *request)
{
    struct msg_pool_delete delete = {.name = request->match.args[0]};
    struct problem problem;

    if (!name_fits(request, delete.name))
        return;
    if (request_idem(request, &delete.idem, &problem) != 0)
        reply_problem(request, &problem);
    else
        ask_send(request, ASK_SCHEDULER, &shape_msg_pool_delete, &delete, on_deleted);
}

static void on_listed(struct request *request, const struct msg *msg)
{
    const struct msg_pool_rows *rows = &msg->u.pool_rows;
    struct writer w;

    page_open(request, &w);
    for (uint32_t i = 0; i < rows->pools.count; i++)
        pool_write(&w, NULL, &rows->pools.items[i]);
    page_close(request, &w, rows->total, false);
}

void pools_list(struct request *request)
{
    struct problem problem;
    const struct page *page = page_new(request, sorts, &problem);

    if (!page) {
        reply_problem(request, &problem);
        return;
    }
    struct msg_pool_list list = {.sort = page->sort, .descending = page->descending, .page = page->page, .size = page->size};
    ask_send(request, ASK_SCHEDULER, &shape_msg_pool_list, &list, on_listed);
}

static void on_got(struct request *request, const struct msg *msg)
{
    const struct msg_pool_rows *rows = &msg->u.pool_rows;
    struct writer w;

    if (rows->pools.count == 0) {
        reply_not_found(request, "name", request->match.args[0]);
        return;
    }
    envelope_open(request, &w);
    pool_write(&w, "data", &rows->pools.items[0]);
    envelope_close(request, &w, 200);
}

void pools_get(struct request *request)
{
    struct msg_pool_list list = {.name = request->match.args[0], .page = 1, .size = 1};

    if (name_fits(request, list.name))
        ask_send(request, ASK_SCHEDULER, &shape_msg_pool_list, &list, on_got);
}
