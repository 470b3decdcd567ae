/* `gantry render submit`: what the scene needs is looked up here, what the farm lacks is sent, and a task is made of it. */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/progress.h"
#include "gateway/cli/render_files.h"
#include "gateway/cli/render_frames.h"
#include "gateway/cli/render_task.h"
#include "gateway/cli/render_upload.h"
#include "gateway/cli/scene.h"
#include "gateway/cli/show.h"
#include "gateway/cli/stop.h"
#include "gateway/cli/term.h"
#include "proto/clock.h"
#include "proto/messages.h"

#define MISSING_SHOWN 20
#define UNIONID_MOST 100 /* bytes, as uploads take it */

struct submit {
    struct cli *cli;
    char file[PATH_MAX]; /* the scene, absolute */
    const char *unionid; /* whose it is to be */
    json_t *scene;       /* what it says of itself */
    const char *engine;
    struct frame_range frames;
    struct render_files files;
    struct progress bar;
    uint64_t began_ms;
};

/* ---- the scene ---- */

static const char *engine_of(const json_t *scene)
{
    static const struct {
        const char *format, *engine;
    } engines[] = {{"blender", "blender"},
                   {"maya_ascii", "maya"},
                   {"maya_binary", "maya"},
                   {"unreal_project", "ue"},
                   {"unreal_package", "ue"}};
    const char *format = show_text(scene, "format");

    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
        if (strcmp(format, engines[i].format) == 0) {
            return engines[i].engine;
        }
    }
    return NULL;
}

static const char *user_name(void)
{
    const struct passwd *user = getpwuid(getuid());

    return user != NULL && user->pw_name[0] != '\0' ? user->pw_name : "user";
}

/* Where the scene is: its folder without links on its way, so that what it names beside itself (..) is where it seems to be. */
static int file_find(struct submit *submit, struct err *err)
{
    const char *given = args_at(submit->cli->args, 0), *slash = strrchr(given, '/'), *base = slash != NULL ? slash + 1 : given;
    char *folder = slash != NULL ? strndup(given, (size_t)(slash - given) + 1) : strdup(".");
    char real[PATH_MAX];
    int rc = -1;

    if (folder == NULL) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
    } else if (base[0] == '\0' || realpath(folder, real) == NULL) {
        err_set(err, ERR_INVALID, "%.200s: %s", given, base[0] == '\0' ? "it is no file" : strerror(errno));
    } else {
        int len = snprintf(submit->file, sizeof submit->file, "%s/%s", strcmp(real, "/") == 0 ? "" : real, base);
        rc = len < (int)sizeof submit->file ? 0 : err_set(err, ERR_INVALID, "the scene's name is too long");
    }
    free(folder);
    return rc;
}

static int scene_take(struct submit *submit, struct err *err)
{
    const struct args *args = submit->cli->args;

    if (file_find(submit, err) != 0 || (submit->scene = scene_read(submit->cli, submit->file, true, err)) == NULL) {
        return -1;
    }
    const char *wrong = json_string_value(json_object_get(submit->scene, "error"));
    if (wrong != NULL) {
        return err_set(err, ERR_INVALID, "%s: %.150s", args_at(args, 0), wrong);
    }
    submit->engine = args_has(args, "engine") ? args_text(args, "engine") : engine_of(submit->scene);
    if (submit->engine == NULL) {
        return err_set(err, ERR_BAD_REQUEST, "%s: which engine renders it? --engine says so", args_at(args, 0));
    }
    if (strcmp(submit->engine, "ue") == 0 && !(args_has(args, "map") && args_has(args, "sequence"))) {
        return err_set(err, ERR_BAD_REQUEST,
                       "%s: Unreal renders a level and a sequence that it plays there: --map and --sequence", args_at(args, 0));
    }
    return args_has(args, "frames") ? frame_range_read(args_text(args, "frames"), &submit->frames, err)
                                    : frame_range_of(submit->scene, &submit->frames, err);
}

/* Files that are not there: without --allow-missing they are in the way. */
static int missing_check(const struct submit *submit, struct err *err)
{
    const json_t *missing = json_object_get(submit->scene, "missing"), *one;
    long long count = show_number(json_object_get(submit->scene, "asset_summary"), "missing_count");
    bool allowed = args_has(submit->cli->args, "allow-missing");
    size_t index;

    if (count == 0) {
        return 0;
    }
    json_array_foreach(missing, index, one)
    {
        if (index < MISSING_SHOWN) {
            term_line(stderr, false, "gantry: missing: %s (%s)", show_text(one, "path"), show_text(one, "reason"));
        }
    }
    if (count > MISSING_SHOWN) {
        fprintf(stderr, "gantry: and %lld more: gantry render analyze --missing lists them\n", count - MISSING_SHOWN);
    }
    return allowed
               ? 0
               : err_set(
                     err, ERR_INVALID,
                     "%lld file%s of the scene %s missing: --allow-missing renders it without them, --root DIR says where C:/ is",
                     count, count == 1 ? "" : "s", count == 1 ? "is" : "are");
}

/* ---- its files ---- */

static void on_hashed(void *arg, uint64_t bytes)
{
    struct submit *submit = arg;
    double all = (double)submit->files.bytes;

    progress_set(&submit->bar, all > 0 ? 100 * (double)bytes / all : -1, (double)(clock_mono_ms() - submit->began_ms) / 1000,
                 "reading the files");
}

static int files_send(struct submit *submit, struct err *err)
{
    if (render_files_list(&submit->files, submit->scene, submit->file, submit->unionid, err) != 0) {
        return -1;
    }
    if (submit->files.folders > 0) {
        fprintf(stderr, "gantry: %zu folder%s that the scene names: what is in them is not sent\n", submit->files.folders,
                submit->files.folders == 1 ? "" : "s");
    }
    submit->began_ms = clock_mono_ms();
    progress_init(&submit->bar, stderr);
    int rc = render_files_hash(&submit->files, on_hashed, submit, &stop_signal, err);
    progress_hide(&submit->bar);
    return rc == 0 ? render_upload(submit->cli, &submit->files, submit->unionid, err) : -1;
}

/* ---- the task ---- */

static int number_put(const struct cli *cli, json_t *body, const char *option, const char *name, long long low, long long high,
                      struct err *err)
{
    long long number;

    if (args_number(cli->args, option, low, high, -1, &number, err) != 0) {
        return -1;
    }
    if (number < 0) {
        return 0;
    }
    return json_object_set_new(body, name, json_integer(number)) == 0 ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory");
}

static int text_put(const struct cli *cli, json_t *body, const char *option, const char *name, struct err *err)
{
    const char *text = args_text(cli->args, option);

    if (text == NULL || json_object_set_new(body, name, json_string(text)) == 0) {
        return 0;
    }
    return err_set(err, ERR_BAD_REQUEST, "--%s is not UTF-8, or there is no memory", option);
}

/* What the options say of it: before anything is sent. NULL with err. */
static json_t *body_of_options(const struct cli *cli, struct err *err)
{
    json_t *body = json_object();
    bool well = body != NULL;

    if (!well) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    well = well && number_put(cli, body, "priority", "priority", 0, 10, err) == 0 &&
           number_put(cli, body, "ram", "ram", 4, 512, err) == 0 && number_put(cli, body, "gpus", "gpu_count", 0, 8, err) == 0 &&
           text_put(cli, body, "test", "test_frames", err) == 0 && text_put(cli, body, "renderer", "renderer", err) == 0;
    if (well && args_has(cli->args, "allow-missing") && args_has(cli->args, "no-missing")) {
        err_set(err, ERR_BAD_REQUEST, "--allow-missing and --no-missing say different things");
        well = false;
    }
    if (well && args_has(cli->args, "stop-after-test") && !args_has(cli->args, "test")) {
        err_set(err, ERR_BAD_REQUEST, "--stop-after-test needs --test: which frames are tests?");
        well = false;
    }
    if (well && args_has(cli->args, "stop-after-test")) {
        well = json_object_set_new(body, "stop_after_test", json_true()) == 0;
    }
    if (well && (args_has(cli->args, "allow-missing") || args_has(cli->args, "no-missing"))) {
        well = json_object_set_new(body, "allow_missing", json_boolean(args_has(cli->args, "allow-missing"))) == 0;
    }
    if (well) {
        return body;
    }
    if (err->text[0] == '\0') {
        err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    json_decref(body);
    return NULL;
}

static int body_complete(const struct submit *submit, json_t *body, struct err *err)
{
    size_t len = strlen(submit->file);
    bool packed = len > 3 && strcmp(submit->file + len - 3, ".gz") == 0;
    const struct args *args = submit->cli->args;
    json_t *more =
        json_pack("{s:s, s:s, s:s, s:I, s:b, s:{s:I, s:s*, s:s*, s:s*}}", "unionid", submit->unionid, "oss_file_path",
                  submit->files.items[0].name, "render_engine", submit->engine, "total_frames", (json_int_t)submit->frames.count,
                  "is_compressed", packed, "task_info", "start_frame", (json_int_t)submit->frames.first, "map",
                  args_text(args, "map"), "sequence", args_text(args, "sequence"), "preset", args_text(args, "preset"));
    int rc = more != NULL && json_object_update(body, more) == 0
                 ? 0
                 : err_set(err, ERR_BAD_REQUEST, "--unionid or a name of Unreal's is not UTF-8, or there is no memory");

    json_decref(more);
    return rc;
}

/* From the scene to the task; *task: the farm's answer, owned by the caller. -1 with err. */
static int submit_run(struct submit *submit, json_t *body, json_t **task, struct err *err)
{
    struct cli *cli = submit->cli;

    if (scene_take(submit, err) != 0 || missing_check(submit, err) != 0 || files_send(submit, err) != 0 ||
        body_complete(submit, body, err) != 0) {
        return -1;
    }
    client_set_interrupt(cli->client, NULL); /* whether there is a task has to be known; it does not take long */
    client_set_patience(cli->client, 2000, 30000);
    return client_call(cli->client, "POST", "/tasks", body, task, err);
}

/* ---- what is said ---- */

static int stopped(void)
{
    fprintf(stderr, "gantry: no task was made; what has been sent stays, and the same command goes on there\n");
    return stop_code();
}

static int submit_end(struct cli *cli, json_t *task)
{
    long long id = show_number(task, "id");
    bool waits = args_has(cli->args, "watch") || args_has(cli->args, "download");

    if (cli->json && !waits) {
        return show_json(task);
    }
    if (!cli->json) {
        printf("%lld\n", id);
        fflush(stdout);
    }
    if (!waits) {
        fprintf(stderr, "gantry: task %lld: gantry render watch %lld looks on\n", id, id);
        return EXIT_FINE;
    }
    return render_follow(cli, id, args_text(cli->args, "download"));
}

int render_submit(struct cli *cli)
{
    struct submit submit = {.cli = cli, .unionid = args_text(cli->args, "unionid")};
    struct err err = {0};
    json_t *task = NULL, *body = body_of_options(cli, &err);
    int code;

    if (body == NULL) {
        return show_usage(&err);
    }
    submit.unionid = submit.unionid != NULL ? submit.unionid : user_name();
    if (submit.unionid[0] == '\0' || strlen(submit.unionid) > UNIONID_MOST) {
        json_decref(body);
        err_set(&err, ERR_BAD_REQUEST, "--unionid is a name of 1 to %d bytes", UNIONID_MOST);
        return show_usage(&err);
    }
    client_set_base(cli->client, RENDER_BASE);
    client_set_patience(cli->client, 2000, 10000);
    stop_catch();
    client_set_interrupt(cli->client, &stop_signal);
    int rc = submit_run(&submit, body, &task, &err);
    if (rc != 0 && stop_signal != 0) {
        code = stopped();
    } else if (rc != 0) {
        code = err.code == ERR_BAD_REQUEST ? show_usage(&err) : show_error(&err);
    } else {
        code = submit_end(cli, task);
    }
    json_decref(task);
    json_decref(body);
    json_decref(submit.scene);
    render_files_free(&submit.files);
    return code;
}
