/* `gantry render watch`: the task is asked for again and again, its frames when something about them has changed. Each question stands for itself,
 * so whatever process of the farm is started again between two of them, the next goes on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/outage.h"
#include "gateway/cli/render_grid.h"
#include "gateway/cli/render_task.h"
#include "gateway/cli/show.h"
#include "gateway/cli/stop.h"
#include "gateway/cli/term.h"
#include "proto/clock.h"
#include "proto/messages.h"

#define PAUSE_MS 500
#define PAUSE_TIMES 10 /* of what asking took, at least: a large task costs the farm a part of its time, however many look on */
#define PAUSE_MOST_MS 10000
#define FAILED_SHOWN 10
#define FRAMES_MOST 10000
#define FIELDS                                                                                                                   \
    "id,status,reason,progress,start_frame,total_frames,completed_frames,failed_frames,rendering_frames,cancelled_frames,"       \
    "estimated_cost,actual_cost,error_message,started_at,completed_at,estimated_completion"

struct look {
    struct cli *cli;
    long long id;
    FILE *out;
    bool draws, colours; /* out is a terminal */
    char *frames;        /* a mark each */
    size_t count;
    long long first;
    char state[160]; /* what was last known of frames in all: they are asked for when it is another */
    int drawn;       /* lines that stand there */
};

/* ---- asked ---- */

static void frames_take(struct look *look, const json_t *page)
{
    const json_t *frame;
    size_t index;

    json_array_foreach(json_object_get(page, "items"), index, frame)
    {
        long long place = show_number(frame, "frame_number") - look->first;
        if (place >= 0 && (size_t)place < look->count) {
            look->frames[place] = grid_of(show_text(frame, "status"));
        }
    }
}

static int frames_ask(struct look *look, struct err *err)
{
    for (size_t page = 1; (page - 1) * RENDER_PAGE < look->count && stop_signal == 0; page++) {
        json_t *data;
        if (client_get(look->cli->client, &data, err, "/tasks/%lld/frames?page=%zu&page_size=%d", look->id, page, RENDER_PAGE) !=
            0) {
            return -1;
        }
        frames_take(look, data);
        json_decref(data);
    }
    return 0;
}

/* The task, and its frames if they have changed and are shown. */
static int look_again(struct look *look, json_t **task, bool *changed, struct err *err)
{
    char state[sizeof look->state];

    if (client_get(look->cli->client, task, err, "/tasks/%lld?fields=" FIELDS, look->id) != 0) {
        return -1;
    }
    snprintf(state, sizeof state, "%s %lld %lld %lld %lld", show_text(*task, "status"), show_number(*task, "completed_frames"),
             show_number(*task, "failed_frames"), show_number(*task, "rendering_frames"), show_number(*task, "cancelled_frames"));
    *changed = strcmp(state, look->state) != 0;
    if (!*changed) {
        return 0;
    }
    long long count = show_number(*task, "total_frames");
    if (look->frames == NULL) {
        look->count = count > 0 && count <= FRAMES_MOST ? (size_t)count : 0;
        look->first = show_number(*task, "start_frame");
        look->frames = malloc(look->count + 1);
        if (look->frames == NULL) {
            return err_set(err, ERR_NO_MEMORY, "out of memory");
        }
        memset(look->frames, GRID_WAITING, look->count + 1);
    }
    if (look->draws && frames_ask(look, err) != 0) {
        return -1;
    }
    memcpy(look->state, state, sizeof state);
    return 0;
}

/* ---- shown ---- */

/* ", 12m 05s left", as the farm reckons; "" where it does not. */
static const char *left_words(const json_t *task, char *out, size_t size)
{
    const char *iso = json_string_value(json_object_get(task, "estimated_completion"));
    uint64_t at, now = clock_wall_ms();
    char text[32];

    out[0] = '\0';
    if (iso != NULL && clock_parse_iso(iso, strlen(iso), &at) == 0) {
        snprintf(out, size, ", %s left", term_duration(at > now ? (double)(at - now) / 1000 : 0, text, sizeof text));
    }
    return out;
}

static void line_make(const struct look *look, const json_t *task, char *out, size_t size)
{
    const char *reason = json_string_value(json_object_get(task, "reason"));
    long long failed = show_number(task, "failed_frames"), cancelled = show_number(task, "cancelled_frames");
    long long rendering = show_number(task, "rendering_frames");
    char left[64], extra[160] = "", clean[256] = "";

    if (rendering > 0) {
        snprintf(extra, sizeof extra, ", %lld rendering", rendering);
    }
    if (failed > 0) {
        snprintf(extra + strlen(extra), sizeof extra - strlen(extra), ", %lld failed", failed);
    }
    if (cancelled > 0) {
        snprintf(extra + strlen(extra), sizeof extra - strlen(extra), ", %lld cancelled", cancelled);
    }
    if (reason != NULL && reason[0] != '\0') {
        term_fit(reason, 100, clean, sizeof clean);
    }
    snprintf(out, size, "task %lld %s: %lld of %zu frames%s; cost %.2f of %.2f%s%s%s", look->id, show_text(task, "status"),
             show_number(task, "completed_frames"), look->count, extra, json_number_value(json_object_get(task, "actual_cost")),
             json_number_value(json_object_get(task, "estimated_cost")), left_words(task, left, sizeof left),
             clean[0] != '\0' ? "; " : "", clean);
}

static void erase(struct look *look)
{
    if (look->drawn > 0) {
        fprintf(look->out, "\033[%dA\r\033[J", look->drawn);
    }
    look->drawn = 0;
}

static void draw(struct look *look, const char *line)
{
    int columns = term_columns(look->out), rows = term_rows(look->out) - 4;
    size_t scale = grid_scale(look->count, look->first, columns, rows > 1 ? rows : 1);
    char legend[160], text[512];

    erase(look);
    term_fit(line, columns > 1 ? columns - 1 : 1, text, sizeof text);
    fprintf(look->out, "%s\n", text);
    look->drawn = 2 + grid_print(look->frames, look->count, look->first, columns, rows > 1 ? rows : 1, look->colours, look->out);
    snprintf(legend, sizeof legend, "# done  > rendering  . waiting  ! failed  - cancelled   (a mark is %zu frame%s)", scale,
             scale == 1 ? "" : "s");
    term_fit(legend, columns > 1 ? columns - 1 : 1, text, sizeof text);
    fprintf(look->out, "%s\n", text);
    fflush(look->out);
}

static void show(struct look *look, const json_t *task, bool changed)
{
    char line[512];

    line_make(look, task, line, sizeof line);
    if (look->draws) {
        draw(look, line);
    } else if (changed) {
        fprintf(look->out, "%s\n", line);
        if (fflush(look->out) != 0) {
            stop_unread();
        }
    }
}

static void on_outage(void *arg)
{
    struct look *look = arg;

    erase(look);
    fflush(look->out);
}

/* ---- its end ---- */

static bool is_final(const json_t *task)
{
    const char *status = show_text(task, "status");

    return strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0 || strcmp(status, "cancelled") == 0;
}

/* The first frames that failed, and why. */
static void failed_tell(const struct look *look)
{
    struct err err = {0};
    json_t *data = NULL;
    const json_t *frame;
    size_t index;

    if (client_get(look->cli->client, &data, &err, "/tasks/%lld/frames?status=failed&page_size=%d", look->id, FAILED_SHOWN) !=
        0) {
        return;
    }
    json_array_foreach(json_object_get(data, "items"), index, frame)
    {
        term_line(stderr, false, "gantry: frame %lld failed: %s", show_number(frame, "frame_number"),
                  show_text(frame, "error_message"));
    }
    long long more = show_number(data, "total") - (long long)json_array_size(json_object_get(data, "items"));
    if (more > 0) {
        fprintf(stderr, "gantry: and %lld more\n", more);
    }
    json_decref(data);
}

static int look_end(const struct look *look, const json_t *task)
{
    const char *status = show_text(task, "status"), *error = json_string_value(json_object_get(task, "error_message"));
    bool completed = strcmp(status, "completed") == 0;

    if (!completed) {
        failed_tell(look);
        term_line(stderr, false, "gantry: task %lld %s%s%s", look->id, status, error != NULL ? ": " : "",
                  error != NULL ? error : "");
        fprintf(stderr, "gantry: gantry render retry %lld renders failed frames again\n", look->id);
    }
    if (look->cli->json) {
        show_json(task);
    }
    return completed ? EXIT_FINE : EXIT_TROUBLE;
}

/* Until it has ended, or we are stopped: then *task is NULL. -1 with err. */
static int look_loop(struct look *look, json_t **task, struct err *err)
{
    bool changed;

    while (stop_signal == 0) {
        uint64_t began = clock_mono_ms();
        if (look_again(look, task, &changed, err) != 0) {
            return -1;
        }
        uint64_t pause = PAUSE_TIMES * (clock_mono_ms() - began);
        show(look, *task, changed);
        if (is_final(*task)) {
            return 0;
        }
        json_decref(*task);
        *task = NULL;
        client_pause(pause > PAUSE_MOST_MS ? PAUSE_MOST_MS : pause > PAUSE_MS ? pause : PAUSE_MS);
    }
    return 0;
}

int render_follow(struct cli *cli, long long id, const char *folder)
{
    struct look look = {.cli = cli, .id = id, .out = cli->json ? stderr : stdout};
    struct outage outage = {.clear = on_outage, .arg = &look};
    const char *colourless = getenv("NO_COLOR");
    struct err err = {0};
    json_t *task = NULL;
    int code;

    look.draws = term_columns(look.out) > 0;
    look.colours = look.draws && (colourless == NULL || colourless[0] == '\0');
    stop_catch();
    client_set_interrupt(cli->client, &stop_signal);
    client_set_patience(cli->client, CLIENT_FOR_EVER, CLIENT_FOR_EVER);
    client_on_retry(cli->client, outage_tell, &outage);
    int rc = look_loop(&look, &task, &err);
    client_on_retry(cli->client, NULL, NULL);
    if (stop_signal != 0) {
        fprintf(stderr, "gantry: task %lld goes on: gantry render watch %lld looks again, gantry render cancel %lld ends it\n",
                id, id, id);
        code = stop_code();
    } else {
        code = rc == 0 ? look_end(&look, task) : show_error(&err);
    }
    if (rc == 0 && task != NULL && stop_signal == 0 && folder != NULL) {
        int fetched = render_fetch(cli, id, folder);
        code = code != EXIT_FINE ? code : fetched;
    }
    json_decref(task);
    free(look.frames);
    return code;
}

int render_watch(struct cli *cli)
{
    struct err err = {0};
    long long id;

    client_set_base(cli->client, RENDER_BASE);
    if (render_task_id(cli->args, 0, &id, &err) != 0) {
        return show_usage(&err);
    }
    return render_follow(cli, id, args_text(cli->args, "download"));
}
