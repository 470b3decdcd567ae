#include "worker/render/offer.h"

#include <dirent.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "proto/file.h"
#include "proto/log.h"
#include "proto/messages.h"
#include "worker/render/child.h"
#include "worker/render/engine.h"

#define ASK_MS 60000u
#define KNOWN_MAX ((size_t)16384)
#define PLUGINS_MAX sizeof(((struct offer *)0)->plugins)

/* ---- which engines ---- */

/* The program as it would be started, through PATH. False: it is not there. */
static bool program_find(const char *name, char path[PATH_MAX], struct stat *info)
{
    const char *folders = strchr(name, '/') ? NULL : getenv("PATH");
    if (!folders)
        return realpath(name, path) && access(path, X_OK) == 0 && stat(path, info) == 0;
    for (size_t len; *folders; folders += len + (folders[len] == ':')) {
        char whole[PATH_MAX];
        len = strcspn(folders, ":");
        if (len && snprintf(whole, sizeof(whole), "%.*s/%s", (int)len, folders, name) < PATH_MAX && access(whole, X_OK) == 0 &&
            realpath(whole, path) && stat(path, info) == 0 && S_ISREG(info->st_mode))
            return true;
    }
    return false;
}

struct hearing { /* what an engine says of itself */
    const struct engine *engine;
    char version[32], plugins[PLUGINS_MAX];
};

static void on_line(void *self, const char *text)
{
    struct hearing *hearing = self;
    char plugin[128];
    if (!hearing->version[0])
        engine_version(hearing->engine, text, hearing->version, sizeof(hearing->version));
    engine_plugin(text, plugin, sizeof(plugin));
    if (plugin[0])
        str_append(hearing->plugins, sizeof(hearing->plugins), ",", plugin); /* what has no room is not offered */
}

static bool ask(struct hearing *hearing, const char *program)
{
    const struct engine *engine = hearing->engine;
    char *argv[ENGINE_ARGS] = {(char *)program};
    struct child_end end;
    struct err err = {0};
    for (size_t i = 0; engine->version_args[i]; i++)
        argv[i + 1] = (char *)engine->version_args[i];
    bool well = child_run(argv, "/", ASK_MS, on_line, hearing, &end, &err) == 0 && end.exit_code == 0 && hearing->version[0];
    if (!well)
        log_warn("GTY-RENDER-ENGINE", "engine=%s program=%s does not say which version it is%s%s%s", engine->name, program,
                 engine->version_program ? "" : ": not offered", err.code ? ": " : "", err.text);
    return well;
}

/* As its maker's file beside it says: {"MajorVersion": 5, "MinorVersion": 4, "PatchVersion": 1, …}. */
static void version_read(const struct engine *engine, const char *program, char version[32])
{
    static const char *const names[] = {"MajorVersion", "MinorVersion", "PatchVersion"};
    char path[PATH_MAX + 64];
    json_int_t parts[3] = {0};
    struct buf text = {.limit = KNOWN_MAX};
    struct err err = {0};
    snprintf(path, sizeof(path), "%.*s/%s", (int)(strrchr(program, '/') - program), program, engine->version_file);
    json_t *json = file_read(path, &text, &err) == 0 ? json_loadb(text.data, text.len, 0, NULL) : NULL;
    for (size_t i = 0; i < 3; i++)
        parts[i] = json_integer_value(json_object_get(json, names[i]));
    if (parts[0] > 0 && parts[0] < 1000 && parts[1] >= 0 && parts[1] < 1000 && parts[2] >= 0 && parts[2] < 1000)
        snprintf(version, 32, "%d.%d.%d", (int)parts[0], (int)parts[1], (int)parts[2]);
    else
        log_warn("GTY-RENDER-ENGINE", "engine=%s offered without a version: %s does not say it", engine->name, path);
    json_decref(json);
    buf_free(&text);
}

/* What is known of a program: `path size mtime_ns version`, a tab and its plug-ins; a line each. */
static bool known_find(const struct buf *known, const char *head, struct hearing *hearing)
{
    size_t len = strlen(head);
    for (const char *at = known->data, *end = at + known->len; at && at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t line = (size_t)((newline ? newline : end) - at);
        const char *tab = memchr(at, '\t', line);
        size_t version = tab ? (size_t)(tab - at) : 0;
        if (version > len && version - len < sizeof(hearing->version) && line - version <= sizeof(hearing->plugins) &&
            memcmp(at, head, len) == 0) {
            snprintf(hearing->version, sizeof(hearing->version), "%.*s", (int)(version - len), at + len);
            snprintf(hearing->plugins, sizeof(hearing->plugins), "%.*s", (int)(line - version - 1), tab + 1);
            return true;
        }
        at += line + 1;
    }
    return false;
}

/* False: it does not say. */
static bool program_ask(struct hearing *hearing, const char *program, const struct buf *known, struct buf *now)
{
    char head[PATH_MAX + 64];
    struct stat info;
    if (stat(program, &info) < 0)
        return false;
    snprintf(head, sizeof(head), "%s %" PRIu64 " %" PRIu64 " ", program, (uint64_t)info.st_size,
             (uint64_t)info.st_mtim.tv_sec * 1000000000u + (uint64_t)info.st_mtim.tv_nsec);
    if (!known_find(known, head, hearing) && !ask(hearing, program))
        return false;
    buf_printf(now, "%s%s\t%s\n", head, hearing->version, hearing->plugins);
    return true;
}

/* The version stays empty where it cannot be known. False: it is not to be offered, as it does not even say which it is. */
static bool version_find(struct hearing *hearing, const char *program, const struct buf *known, struct buf *now)
{
    const struct engine *engine = hearing->engine;
    char beside[PATH_MAX + 64];
    if (engine->version_file)
        version_read(engine, program, hearing->version);
    if (!engine->version_args)
        return true;
    if (!engine->version_program)
        return program_ask(hearing, program, known, now);
    snprintf(beside, sizeof(beside), "%.*s/%s", (int)(strrchr(program, '/') - program), program, engine->version_program);
    if (access(beside, X_OK) < 0)
        log_warn("GTY-RENDER-ENGINE", "engine=%s offered without a version: there is no %s to say it", engine->name, beside);
    else
        program_ask(hearing, beside, known, now);
    return true;
}

static void engine_offer(struct offer *offer, const struct engine *engine, const char *program, const struct buf *known,
                         struct buf *now)
{
    char path[PATH_MAX], text[64];
    struct hearing hearing = {.engine = engine};
    struct stat info;
    if (!program_find(program, path, &info)) {
        log_debug("GTY-RENDER-ENGINE", "engine=%s not offered: there is no program %s", engine->name, program);
        return;
    }
    if (!version_find(&hearing, path, known, now))
        return;
    snprintf(text, sizeof(text), "%s%s%s", engine->name, hearing.version[0] ? " " : "", hearing.version);
    str_append(offer->engines, sizeof(offer->engines), ",", text);
    if (hearing.plugins[0])
        str_append(offer->plugins, sizeof(offer->plugins), ",", hearing.plugins);
    log_info("GTY-RENDER-ENGINE", "engine=%s version=%s program=%s plugins=%s", engine->name, hearing.version, path,
             hearing.plugins);
}

static void engines_offer(struct offer *offer, const struct settings *settings, const struct home *home)
{
    char path[PATH_MAX + 16];
    struct buf known = {0}, now = {.limit = KNOWN_MAX};
    struct err err = {0};
    snprintf(path, sizeof(path), "%s/engines", home->path);
    if (file_read(path, &known, &err) < 0)
        buf_reset(&known);
    for (const struct engine *row = engines; row->name; row++)
        engine_offer(offer, row, settings_text(settings, row->setting), &known, &now);
    if (!str_eq(buf_str(&known), buf_str(&now)) && file_replace(path, buf_str(&now), false, &err) < 0)
        log_warn("GTY-RENDER-ENGINE", "they are asked again at the next start: %s", err.text);
    buf_free(&known);
    buf_free(&now);
}

/* ---- the machine ---- */

static unsigned gpus_count(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/driver/nvidia/gpus");
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return count;
}

/* A machine that is sold with 64 GB has a little less. */
static uint64_t ram_gb(void)
{
    struct sysinfo info;
    return sysinfo(&info) == 0 ? ((uint64_t)info.totalram * info.mem_unit + (UINT64_C(1) << 29)) >> 30 : 0;
}

static bool serves(const struct setup *setup)
{
    for (uint32_t i = 0; i < setup->type_count; i++)
        if (str_is(setup->types[i], "render"))
            return true;
    return false;
}

void offer_open(struct offer *offer, const struct settings *settings, const struct home *home, const struct setup *setup)
{
    const char *engines_set = settings_text(settings, SET_WORKER_RENDER_ENGINES),
               *plugins = settings_text(settings, SET_WORKER_RENDER_PLUGINS),
               *gpus = settings_text(settings, SET_WORKER_RENDER_GPUS);
    uint64_t ram = (uint64_t)settings_count_of(settings, SET_WORKER_RENDER_RAM_GB);
    *offer = (struct offer){.serves = serves(setup)};
    if (!offer->serves)
        return;
    if (*engines_set)
        snprintf(offer->engines, sizeof(offer->engines), "%s", engines_set);
    else
        engines_offer(offer, settings, home);
    if (*plugins)
        snprintf(offer->plugins, sizeof(offer->plugins), "%s", plugins);
    snprintf(offer->ram, sizeof(offer->ram), "%" PRIu64, ram ? ram : ram_gb());
    if (*gpus)
        snprintf(offer->gpus, sizeof(offer->gpus), "%s", gpus);
    else
        snprintf(offer->gpus, sizeof(offer->gpus), "%u", gpus_count());
}

int offer_labels(const struct offer *offer, struct str *items)
{
    if (!offer->serves)
        return 0;
    const struct str labels[] = {STR_LIT("render.engines"), str_of(offer->engines), STR_LIT("render.ram_gb"),
                                 str_of(offer->ram),        STR_LIT("render.gpus"), str_of(offer->gpus),
                                 STR_LIT("render.plugins"), str_of(offer->plugins)};
    memcpy(items, labels, sizeof(labels));
    return OFFER_LABELS;
}
