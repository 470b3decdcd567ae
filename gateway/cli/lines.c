#include "gateway/cli/lines.h"

#include "gateway/cli/client.h"
#include "gateway/cli/show.h"
#include "proto/log.h"
#include "proto/messages.h"

bool lines_in_segments(struct client *client, long long run_id, bool open)
{
    struct err err = {0};
    json_t *task = NULL;

    if (client_get(client, &task, &err, "/v1/tasks/%lld", run_id) != 0) {
        return false;
    }
    bool its = show_number(task, "segments") > 0 || (open && show_number(task, "status") <= TRANSCODE_RUNNING);
    json_decref(task);
    return its;
}

/* A line of the transcode farm's log as one of a run's; it does not know streams. */
static json_t *line_of(const json_t *line)
{
    long long level = show_number(line, "log_level");

    return json_pack("{s:O?, s:s, s:s, s:O?}", "timestamp", json_object_get(line, "log_time"), "level",
                     log_level_name(level >= 0 ? (unsigned)level : 0), "stream", "stdout", "message",
                     json_object_get(line, "log_message"));
}

/* backwards: the newest is the first of the answer. NULL: no memory. */
static json_t *lines_of(const json_t *answer, uint64_t after, bool backwards)
{
    const json_t *logs = json_object_get(answer, "logs"), *line;
    json_t *items = json_array();
    size_t index;
    bool well = items != NULL;

    json_array_foreach(logs, index, line)
    {
        uint64_t id = (uint64_t)show_number(line, "id");
        after = id > after ? id : after;
        well = well && json_array_insert_new(items, backwards ? 0 : json_array_size(items), line_of(line)) == 0;
    }
    if (!well) {
        json_decref(items);
        return NULL;
    }
    bool more = json_is_true(json_object_get(json_object_get(answer, "pagination"), "has_next"));
    return json_pack("{s:o, s:I, s:b}", "items", items, "next", (json_int_t)after, "end", !more);
}

static int segments_get(struct client *client, long long run_id, uint64_t after, int limit, bool newest, json_t **data,
                        struct err *err)
{
    json_t *answer = NULL;

    if (client_get(client, &answer, err, "/v1/logs?task_id=%lld&after=%llu&per_page=%d&sort_by=id&order=%s", run_id,
                   (unsigned long long)after, limit, newest ? "desc" : "asc") != 0) {
        return -1;
    }
    *data = lines_of(answer, after, newest);
    json_decref(answer);
    return *data != NULL ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory");
}

int lines_get(struct client *client, const struct lines *lines, uint64_t after, int limit, json_t **data, struct err *err)
{
    if (lines->segments) {
        return segments_get(client, lines->run_id, after, limit, false, data, err);
    }
    return client_get(client, data, err, "/runs/%lld/logs?after=%llu&limit=%d", lines->run_id, (unsigned long long)after, limit);
}

int lines_newest(struct client *client, const struct lines *lines, int limit, json_t **data, struct err *err)
{
    if (lines->segments) {
        return segments_get(client, lines->run_id, 0, limit, true, data, err);
    }
    return client_get(client, data, err, "/runs/%lld/logs?newest=true&limit=%d", lines->run_id, limit);
}
