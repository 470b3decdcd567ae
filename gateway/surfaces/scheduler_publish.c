/* POST /api/runs/{id}/publish: a worker over REST asks to give an output its name. */
#include "gateway/fields.h"
#include "gateway/json.h"
#include "gateway/surfaces/scheduler.h"

#define HASH 16 /* bytes: XXH3 with 128 bits */

static void on_published(struct request *request, const struct msg *msg)
{
    const struct msg_run_published *published = &msg->u.run_published;
    struct writer w;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_uint(&w, "run_id", published->run_id);
    grant_write(&w, &published->output);
    writer_close(&w, '}');
    envelope_close(request, &w, 200);
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int hash_read(struct request *request, struct str *out, struct problem *problem)
{
    const json_t *given = json_object_get(request->json, "xxh3_128");
    const char *text = json_string_value(given);
    unsigned char *hash = request_alloc(request, HASH);

    if (!hash)
        return problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
    if (!text)
        return problem_json(problem, "xxh3_128", "type", given, "string");
    for (size_t i = 0; i < HASH; i++) {
        int high = json_string_length(given) == (size_t)2 * HASH ? digit(text[2 * i]) : -1,
            low = high < 0 ? -1 : digit(text[2 * i + 1]);
        if (low < 0)
            return problem_json(problem, "xxh3_128", "format", given, "32 hexadecimal digits");
        hash[i] = (unsigned char)(high << 4 | low);
    }
    *out = (struct str){(const char *)hash, HASH};
    return 0;
}

void runs_publish(struct request *request)
{
    static const char *const skips[] = {"idem", "run_id", "output", "whose", NULL}, *const others[] = {"hash", "at", NULL};
    static const char *const required[] = {"attempt", "path", "temporary", "size", "xxh3_128"};
    struct msg_run_publish publish = {0};
    struct problem problem;

    if (request_id(request, 0, &publish.run_id, &problem) != 0 || request_read_json(request, &problem) != 0)
        goto error;
    for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
        if (fields_require(request->json, required[i], "", &problem) != 0)
            goto error;
    }
    if (fields_read(request, request->json, &shape_rec_published, others, "", false, &publish.output, &problem) != 0 ||
        fields_read(request, request->json, &shape_msg_run_publish, skips, "", false, &publish, &problem) != 0 ||
        hash_read(request, &publish.output.hash, &problem) != 0 || request_owner(request, &publish.whose, &problem) != 0 ||
        request_idem(request, &publish.idem, &problem) != 0)
        goto error;
    ask_send(request, ASK_SCHEDULER, &shape_msg_run_publish, &publish, on_published);
    return;
error:
    reply_problem(request, &problem);
}
