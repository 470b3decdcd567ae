#include "worker/plan.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/executors/executor.h"
#include "worker/template.h"
#include "worker/value.h"

/* ---- texts ---- */

/* Appends or replaces (at < count) a text made of up to three parts. */
static int texts_put(struct plan *plan, struct plan_texts *texts, size_t at, struct str a, struct str b, struct err *err)
{
    size_t len = (size_t)a.len + b.len;
    if ((a.len && memchr(a.ptr, '\0', a.len)) || (b.len && memchr(b.ptr, '\0', b.len)))
        return err_set(err, ERR_INVALID, "an argument or variable holds a NUL byte");
    if (len > PLAN_TEXT_MAX)
        return err_set(err, ERR_INVALID, "an argument or variable is %zu bytes long; the system takes %zu", len, PLAN_TEXT_MAX);
    if (plan->total + len + 1 > PLAN_TOTAL_MAX)
        return err_set(err, ERR_INVALID, "arguments and environment are over %zu MiB together", PLAN_TOTAL_MAX >> 20);
    if (at + 2 > texts->size) {
        size_t size = texts->size ? texts->size * 2 : 32;
        char **items = realloc(texts->items, size * sizeof(*items));
        if (!items)
            return err_set(err, ERR_NO_MEMORY, "no memory for a run");
        texts->items = items;
        texts->size = size;
    }
    char *text = malloc(len + 1);
    if (!text)
        return err_set(err, ERR_NO_MEMORY, "no memory for a run");
    if (a.len)
        memcpy(text, a.ptr, a.len);
    if (b.len)
        memcpy(text + a.len, b.ptr, b.len);
    text[len] = '\0';
    if (at < texts->count) {
        plan->total -= strlen(texts->items[at]) + 1;
        free(texts->items[at]);
    } else
        texts->items[++texts->count] = NULL;
    texts->items[at] = text;
    plan->total += len + 1;
    return 0;
}

static void texts_clear(struct plan_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        free(texts->items[i]);
    free(texts->items);
    *texts = (struct plan_texts){0};
}

/* ---- arguments ---- */

int plan_arg(struct plan *plan, struct str text, struct err *err)
{
    return texts_put(plan, &plan->argv, plan->argv.count, text, (struct str){0}, err);
}

static int plan_arg_filled(struct plan *plan, struct str text, struct err *err)
{
    struct buf filled = {.limit = PLAN_TOTAL_MAX};
    struct template_names names = {plan->run->parameters, plan->place.output, plan->run->run_id};
    struct err why = {0};
    int rc = template_fill(text, &names, &filled, &why);
    if (rc < 0)
        err_set(err, why.code, "an argument: %s", why.text);
    else
        rc = plan_arg(plan, buf_str(&filled), err);
    buf_free(&filled);
    return rc;
}

int plan_args_filled(struct plan *plan, const struct str_list *texts, struct err *err)
{
    for (uint32_t i = 0; i < texts->count; i++)
        if (plan_arg_filled(plan, texts->items[i], err) < 0)
            return -1;
    return 0;
}

/* ---- environment ---- */

int plan_env(struct plan *plan, struct str name, struct str value, struct err *err)
{
    if (name.len == 0 || name.len > 255 || memchr(name.ptr, '=', name.len))
        return err_set(err, ERR_INVALID, "not a name of a variable: '%.*s'", (int)(name.len > 60 ? 60 : name.len), name.ptr);
    char prefix[257];
    memcpy(prefix, name.ptr, name.len);
    prefix[name.len] = '=';
    struct str head = {prefix, name.len + 1};
    size_t at = 0;
    while (at < plan->env.count && strncmp(plan->env.items[at], prefix, head.len) != 0)
        at++;
    if (at >= PLAN_VARIABLES_MAX)
        return err_set(err, ERR_INVALID, "more than %d environment variables", PLAN_VARIABLES_MAX);
    return texts_put(plan, &plan->env, at, head, value, err);
}

static int env_text(struct plan *plan, const char *name, const char *value, struct err *err)
{
    return plan_env(plan, str_of(name), str_of(value), err);
}

static int env_number(struct plan *plan, const char *name, uint64_t value, struct err *err)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    return env_text(plan, name, text, err);
}

/* Of the worker's own environment only what tells a program where it is; nothing that configures or unlocks anything. */
static int env_base(struct plan *plan, struct err *err)
{
    static const char *const kept[] = {"LANG", "LC_ALL", "LC_CTYPE", "TZ"};
    const char *path = getenv("PATH");
    if (env_text(plan, "PATH", path && *path ? path : "/usr/local/bin:/usr/bin:/bin", err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        if (getenv(kept[i]) && env_text(plan, kept[i], getenv(kept[i]), err) < 0)
            return -1;
    const struct passwd *user = plan->place.user ? getpwnam(plan->place.user) : getpwuid(geteuid());
    if (!user)
        return env_text(plan, "HOME", "/", err);
    if (env_text(plan, "HOME", user->pw_dir, err) < 0 || env_text(plan, "USER", user->pw_name, err) < 0 ||
        env_text(plan, "LOGNAME", user->pw_name, err) < 0)
        return -1;
    return env_text(plan, "SHELL", "/bin/sh", err);
}

/* What is wrong with a value is its author's doing, a lack of memory is not. */
static void not_written(const struct buf *out, struct err *err, const char *words)
{
    err_set(err, out->starved ? ERR_NO_MEMORY : ERR_INVALID, "%s", out->starved ? "no memory for a run" : words);
}

static int env_task(struct plan *plan, struct err *err)
{
    struct pairs pairs;
    struct str name, value;
    if (!pairs_begin(&pairs, plan->run->spec.env))
        return err_set(err, ERR_INVALID, "the task's env is no map");
    while (pairs_next(&pairs, &name, &value)) {
        struct buf text = {0};
        int rc = value_text(&text, value);
        if (rc < 0)
            not_written(&text, err, "a variable of the task's env cannot be written as text");
        else
            rc = plan_env(plan, name, buf_str(&text), err);
        buf_free(&text);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* GANTRY_PARAM_<NAME>. A value the kernel would not take is left out and said so: the program can read it from GANTRY_PARAMS. */
static int env_parameter(struct plan *plan, struct str name, struct str value, struct err *err)
{
    static const char prefix[] = "GANTRY_PARAM_";
    char variable[256];
    size_t len = sizeof(prefix) - 1;
    memcpy(variable, prefix, len);
    for (uint32_t i = 0; i < name.len && len < sizeof(variable) - 1; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        variable[len++] = c < 0x80 && isalnum(c) ? (char)toupper(c) : '_';
    }
    struct buf text = {0};
    int rc = value_text(&text, value);
    bool fits = rc == 0 && text.len + len + 1 <= PLAN_TEXT_MAX && !(text.len && memchr(text.data, '\0', text.len)) &&
                plan->env.count < PLAN_VARIABLES_MAX - 64;
    if (rc < 0)
        not_written(&text, err, "a parameter cannot be written as text");
    else if (fits)
        rc = plan_env(plan, (struct str){variable, (uint32_t)len}, buf_str(&text), err);
    else
        buf_printf(&plan->notes, "parameter %.*s does not fit in an environment variable: read it from GANTRY_PARAMS\n",
                   (int)(name.len > 100 ? 100 : name.len), name.ptr);
    buf_free(&text);
    return rc;
}

static int env_parameters(struct plan *plan, struct err *err)
{
    struct pairs pairs;
    struct str name, value;
    if (!pairs_begin(&pairs, plan->run->parameters))
        return err_set(err, ERR_INVALID, "the run's parameters are no map");
    while (pairs_next(&pairs, &name, &value))
        if (env_parameter(plan, name, value, err) < 0)
            return -1;
    struct buf json = {0};
    char path[PATH_MAX];
    int rc = value_json(&json, plan->run->parameters);
    if (rc < 0)
        not_written(&json, err, "the run's parameters cannot be written as JSON");
    else
        rc = plan_file(plan, "params.json", buf_str(&json), path, err);
    buf_free(&json);
    return rc < 0 ? -1 : env_text(plan, "GANTRY_PARAMS", path, err);
}

/* Set last: a task cannot change them. */
static int env_gantry(struct plan *plan, struct err *err)
{
    const struct rec_assignment *run = plan->run;
    char result[PATH_MAX];
    if (snprintf(result, sizeof(result), "%s/result", plan->place.folder) >= (int)sizeof(result))
        return err_set(err, ERR_INVALID, "the name of the run's folder is too long");
    if (env_number(plan, "GANTRY_RUN_ID", run->run_id, err) < 0 || env_number(plan, "GANTRY_ATTEMPT", run->attempt, err) < 0 ||
        env_number(plan, "GANTRY_TASK_ID", run->task_id, err) < 0 ||
        plan_env(plan, STR_LIT("GANTRY_TASK_NAME"), run->task_name, err) < 0 ||
        env_number(plan, "GANTRY_PROGRESS_FD", JOB_FD_PROGRAM, err) < 0 || env_text(plan, "GANTRY_RESULT", result, err) < 0)
        return -1;
    return plan->place.output ? env_text(plan, "GANTRY_OUTPUT", plan->place.output, err) : 0;
}

int plan_file(struct plan *plan, const char *name, struct str content, char *path, struct err *err)
{
    if (snprintf(path, PATH_MAX, "%s/%s", plan->place.folder, name) >= PATH_MAX)
        return err_set(err, ERR_INVALID, "the name of the run's folder is too long");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool well = fd >= 0;
    for (uint32_t done = 0; well && done < content.len;) {
        ssize_t put = write(fd, content.ptr + done, content.len - done);
        well = put > 0 || (put < 0 && errno == EINTR);
        done += put > 0 ? (uint32_t)put : 0;
    }
    if (well && plan->place.user)
        well = fchown(fd, plan->place.uid, plan->place.gid) == 0;
    int saved = errno;
    if (fd >= 0)
        close(fd);
    return well ? 0 : err_set(err, ERR_IO, "cannot write %.150s: %s", path, strerror(saved));
}

int plan_make(struct plan *plan, const struct rec_assignment *run, const struct plan_place *place, struct err *err)
{
    *plan = (struct plan){.run = run, .place = *place};
    const struct executor *executor = executor_find(run->spec.executor);
    if (!executor)
        return err_set(err, ERR_INVALID, "this worker has no executor %.*s", (int)run->spec.executor.len, run->spec.executor.ptr);
    if (env_base(plan, err) < 0 || env_task(plan, err) < 0 || env_parameters(plan, err) < 0 || env_gantry(plan, err) < 0)
        goto error;
    if (executor->prepare(plan, err) < 0)
        goto error;
    return 0;
error:
    plan_clear(plan);
    return -1;
}

void plan_clear(struct plan *plan)
{
    texts_clear(&plan->argv);
    texts_clear(&plan->env);
    buf_free(&plan->notes);
}
