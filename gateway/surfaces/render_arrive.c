/* A file that has come whole, by whichever way: it is hashed and named, the scheduler commits that it is here, and only then is it answered. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "gateway/gateway.h"
#include "gateway/surfaces/render_files.h"
#include "proto/ident.h"

int arrival_whose(struct arrival *arrival, const struct request *request, struct problem *problem)
{
    struct str subject = render_subject(request);

    if (subject.len && arrival->unionid.len && !str_eq(subject, arrival->unionid))
        return problem_value(problem, PROBLEM_FORBIDDEN, "unionid", "render_whose", arrival->unionid, NULL);
    if (subject.len)
        arrival->unionid = subject;
    if (arrival->unionid.len > RENDER_UNION || str_characters(arrival->unionid) > RENDER_UNION_CHARACTERS)
        return problem_value(problem, PROBLEM_BAD_REQUEST, "unionid", "length", arrival->unionid, "1..%d characters",
                             RENDER_UNION_CHARACTERS);
    return 0;
}

static void refuse(struct arrival *arrival)
{
    struct blob *blob = arrival->blob;

    if (blob->why[0])
        render_refuse(arrival->request, PROBLEM_INTERNAL, NULL, "blob_s3", str_of(blob->why));
    else
        render_refuse_disk(arrival->request, blob->cause);
}

static void on_kept(void *self, struct blob *blob)
{
    struct arrival *arrival = self;

    if (blob->how == BLOB_WELL)
        arrival->answer(arrival);
    else
        refuse(arrival);
}

static void settle(struct arrival *arrival)
{
    struct request *request = arrival->request;
    bool kept = arrival->blob || request->gateway->s3; /* the store is not asked for each path that is bound */
    int fd = kept ? -1 : blob_open(request->gateway->settings, arrival->md5);

    if (arrival->blob) {
        blob_keep(arrival->blob, on_kept, arrival);
    } else if (!kept && fd < 0) {
        render_refuse(request, PROBLEM_INTERNAL, "hash", "blob_gone", (struct str){NULL, 0});
    } else {
        if (fd >= 0)
            close(fd);
        arrival->answer(arrival);
    }
}

static void tell(struct arrival *arrival);

/* A repeat hears what the first came to. Where that was collected meanwhile (blob_gc.h), what is sent now comes in as any other. */
static void on_held(struct request *request, const struct msg *msg)
{
    struct arrival *arrival = request->own;
    const struct uint_list *ids = &msg->u.asset_checked.ids;
    bool held = ids->count > 0 && ids->items[0] == arrival->asset_id;

    if (held && arrival->blob) { /* it is kept */
        arrival->answer(arrival);
    } else if (held) {
        settle(arrival);
    } else {
        arrival->anew = true;
        request_key_anew(request);
        tell(arrival);
    }
}

static void held_ask(struct arrival *arrival)
{
    const struct msg_asset_held held = {.md5s = {(const char *)arrival->md5, BLOB_MD5}};

    ask_send(arrival->request, ASK_SCHEDULER, &shape_msg_asset_held, &held, on_held);
}

static void on_kept_again(void *self, struct blob *blob)
{
    if (blob->how == BLOB_WELL)
        held_ask(self);
    else
        refuse(self);
}

static void on_added(struct request *request, const struct msg *msg)
{
    struct arrival *arrival = request->own;
    const struct msg_asset_added *added = &msg->u.asset_added;
    bool repeat = request->headers.idempotency_key.len && !arrival->anew; /* it may be */

    arrival->asset_id = added->asset_id;
    arrival->created = added->created;
    arrival->size = added->size;
    if (repeat && arrival->blob) /* asked behind that: a collection may come between */
        blob_keep(arrival->blob, on_kept_again, arrival);
    else if (repeat)
        held_ask(arrival);
    else
        settle(arrival);
}

/* Nothing came, and nothing is here. */
static bool on_refused(struct request *request, const struct msg_error *error)
{
    const struct arrival *arrival = request->own;
    struct problem problem;

    if (arrival->blob || !str_is(error->rule, "asset_missing"))
        return false;
    problem_set(&problem, PROBLEM_INVALID, "file", "required");
    reply_problem(request, &problem);
    return true;
}

/* A key of the client's is for this file with these words: the body is not kept, so they stand for it. */
static int idem_read(struct request *request, const struct arrival *arrival, struct rec_idem *idem, struct problem *problem)
{
    const struct str parts[] = {{(const char *)arrival->md5, BLOB_MD5}, arrival->file_type, arrival->unionid, arrival->path};

    if (request_idem(request, idem, problem) != 0)
        return -1;
    ident_hash(request->key_body, parts, 4);
    return 0;
}

/* Its body has come: the handler would wait for another. */
static void again(struct request *request)
{
    tell(request->own);
}

static void tell(struct arrival *arrival)
{
    struct request *request = arrival->request;
    unsigned char xxh64[8];
    struct problem problem;
    struct msg_asset_add asked = {.md5 = {(const char *)arrival->md5, BLOB_MD5},
                                  .file_type = arrival->file_type,
                                  .unionid = arrival->unionid,
                                  .path = arrival->path};

    if (arrival->blob) {
        for (unsigned i = 0; i < 8; i++)
            xxh64[i] = (unsigned char)(arrival->blob->xxh64_found >> (56 - 8 * i));
        asked.xxh64 = (struct str){(const char *)xxh64, 8};
        asked.size = arrival->blob->size;
    }
    if (idem_read(request, arrival, &asked.idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    request->own = arrival;
    request->on_error = on_refused;
    request->again = again;
    ask_send(request, ASK_SCHEDULER, &shape_msg_asset_add, &asked, on_added);
}

void render_refuse_hash(struct arrival *arrival)
{
    struct problem problem;
    char given[BLOB_HEX], found[BLOB_HEX];
    bool xxh64 = arrival->blob->how == BLOB_WRONG_XXH64;

    if (xxh64) {
        snprintf(given, sizeof given, "%" PRIu64, arrival->xxh64);
        snprintf(found, sizeof found, "%" PRIu64, arrival->blob->xxh64_found);
    } else {
        blob_hex(arrival->md5, given);
        blob_hex(arrival->blob->md5_found, found);
    }
    problem_value(&problem, PROBLEM_BAD_REQUEST, xxh64 ? "xxhash" : "hash", "blob_hash", str_of(given), "%s", found);
    reply_problem(arrival->request, &problem);
}

static void on_ended(void *self, struct blob *blob)
{
    struct arrival *arrival = self;

    switch (blob->how) {
    case BLOB_WELL:
        tell(arrival);
        break;
    case BLOB_WRONG_MD5:
    case BLOB_WRONG_XXH64:
        (arrival->wrong ? arrival->wrong : render_refuse_hash)(arrival);
        break;
    default:
        refuse(arrival);
        break;
    }
}

void render_arrive(struct arrival *arrival)
{
    struct blob *blob = arrival->blob;

    if (!blob) {
        tell(arrival);
        return;
    }
    blob->s3 = arrival->request->gateway->s3;
    memcpy(blob->md5_wanted, arrival->md5, BLOB_MD5);
    blob->has_xxh64 = arrival->has_xxh64;
    blob->xxh64_wanted = arrival->xxh64;
    blob_end(blob, on_ended, arrival);
}
