#include "worker/setup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "worker/executors/executor.h"
#include "worker/value.h"

int setup_split(const char *text, struct str *items, uint32_t max, struct err *err)
{
    uint32_t count = 0;
    for (const char *at = text; *text; at += *at == ',') {
        size_t len = strcspn(at, ",");
        struct str item = str_trim((struct str){at, (uint32_t)len}, " ");
        if (item.len == 0)
            return err_set(err, ERR_INVALID, "an empty name in '%.100s'", text);
        if (count == max)
            return err_set(err, ERR_INVALID, "more than %u names in '%.100s'", max, text);
        items[count++] = item;
        at += len;
        if (*at == '\0')
            break;
    }
    return (int)count;
}

int setup_label_items(const char *text, struct str *texts, struct err *err)
{
    struct str items[SETUP_LABELS_MAX];
    int count = setup_split(text, items, SETUP_LABELS_MAX, err);
    if (count < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        const char *end = items[i].ptr + items[i].len, *equals = memchr(items[i].ptr, '=', items[i].len);
        if (!equals)
            return err_set(err, ERR_INVALID, "worker.labels: '%.*s' is not name=value", (int)items[i].len, items[i].ptr);
        texts[2 * i] = str_trim((struct str){items[i].ptr, (uint32_t)(equals - items[i].ptr)}, " ");
        texts[2 * i + 1] = str_trim((struct str){equals + 1, (uint32_t)(end - equals - 1)}, " ");
        for (int k = 0; k < i; k++)
            if (str_eq(texts[2 * k], texts[2 * i]))
                return err_set(err, ERR_INVALID, "worker.labels: '%.*s' is there twice", (int)texts[2 * i].len, texts[2 * i].ptr);
    }
    return count;
}

int setup_labels(const char *text, struct buf *out, struct err *err)
{
    struct str items[2 * SETUP_LABELS_MAX];
    int count = setup_label_items(text, items, err);
    if (count < 0)
        return -1;
    return value_pack_texts(out, items, (uint32_t)count) < 0 ? err_set(err, ERR_NO_MEMORY, "no memory") : 0;
}

static int find_programs(struct setup *setup, struct err *err)
{
    ssize_t len = readlink("/proc/self/exe", setup->self, sizeof(setup->self) - 1);
    if (len <= 0)
        return err_set(err, ERR_IO, "/proc/self/exe: %s", strerror(errno));
    setup->self[len] = '\0';
    int folder = (int)(strrchr(setup->self, '/') - setup->self);
    if (snprintf(setup->supervisor, sizeof(setup->supervisor), "%.*s/gantry-run", folder, setup->self) >= PATH_MAX)
        return err_set(err, ERR_IO, "the path of gantry-run is too long");
    if (access(setup->supervisor, X_OK) < 0)
        return err_set(err, ERR_IO, "%s: %s", setup->supervisor, strerror(errno));
    return 0;
}

/* The first address other machines might know this one by; 127.0.0.1 when there is none. */
static void find_address(struct setup *setup)
{
    struct ifaddrs *all = NULL;
    snprintf(setup->ip_address, sizeof(setup->ip_address), "127.0.0.1");
    if (getifaddrs(&all) < 0)
        return;
    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        if (!one->ifa_addr || one->ifa_addr->sa_family != AF_INET || (one->ifa_flags & IFF_LOOPBACK) ||
            !(one->ifa_flags & IFF_UP))
            continue;
        struct sockaddr_in address;
        memcpy(&address, one->ifa_addr, sizeof(address));
        if (inet_ntop(AF_INET, &address.sin_addr, setup->ip_address, sizeof(setup->ip_address)))
            break;
    }
    freeifaddrs(all);
}

static uint32_t count_cpus(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 0;
    return count > 0 ? (uint32_t)count : 1;
}

static bool has_library(const struct settings *settings)
{
    return settings_text(settings, SET_LIBRARY)[0] || settings_text(settings, SET_TRANSCODE_PREFIX)[0];
}

/* Whether somebody has said anything of rendering here: to ask Blender which it is takes a while, so that not every worker does. */
static bool has_renderers(const struct settings *settings)
{
    static const int ids[] = {SET_RENDER_OUTPUT, SET_RENDER_BLENDER, SET_RENDER_MAYA, SET_RENDER_UNREAL,
                              SET_WORKER_RENDER_ENGINES};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        if (strcmp(settings_source(settings, (enum setting_id)ids[i]), "default") != 0)
            return true;
    return false;
}

/* With a library a worker scans and transcodes by itself, with folders of scenes (or of uploaded files) it reads those, with renderers it renders, with a folder for
 * recordings it records, unless somebody said what it is to serve. */
static void types_of_folders(struct setup *setup, const struct settings *settings)
{
    bool library = has_library(settings), gateway = settings_text(settings, SET_WORKER_GATEWAY)[0];
    if (strcmp(settings_source(settings, SET_WORKER_TYPES), "default") != 0)
        return;
    if (library)
        setup->types[setup->type_count++] = STR_LIT("scan");
    if (library || gateway)
        setup->types[setup->type_count++] = STR_LIT("transcode");
    if (settings_text(settings, SET_SCENE_ROOT)[0] || settings_text(settings, SET_BLOB_DIR)[0])
        setup->types[setup->type_count++] = STR_LIT("scene");
    if (has_renderers(settings))
        setup->types[setup->type_count++] = STR_LIT("render");
    if (settings_text(settings, SET_OUTPUT)[0])
        setup->types[setup->type_count++] = STR_LIT("record");
}

/* One that gets its videos from the gateway can do nothing else with them. */
static void executors_of(struct setup *setup, const struct settings *settings)
{
    static const char *const with_library[] = {"scan", "health", "undo", "clear"};
    bool remote = settings_text(settings, SET_WORKER_GATEWAY)[0] && !has_library(settings);
    for (const struct executor *row = executors; row->name && setup->executor_count < SETUP_TYPES_MAX; row++) {
        bool serves = true;
        for (size_t i = 0; remote && i < sizeof(with_library) / sizeof(with_library[0]); i++)
            serves = serves && strcmp(row->name, with_library[i]) != 0;
        if (serves)
            setup->executors[setup->executor_count++] = str_of(row->name);
    }
}

int setup_read(struct setup *setup, const struct settings *settings, struct err *err)
{
    *setup = (struct setup){0};
    if (find_programs(setup, err) < 0)
        return -1;
    find_address(setup);
    if (gethostname(setup->hostname, sizeof(setup->hostname) - 1) < 0 || setup->hostname[0] == '\0')
        snprintf(setup->hostname, sizeof(setup->hostname), "localhost");
    int64_t slots = settings_count_of(settings, SET_WORKER_SLOTS);
    setup->slots = slots > 0 ? (uint32_t)slots : count_cpus();
    int types = setup_split(settings_text(settings, SET_WORKER_TYPES), setup->types, SETUP_TYPES_MAX, err);
    if (types < 0)
        return -1;
    setup->type_count = (uint32_t)types;
    types_of_folders(setup, settings);
    types = (int)setup->type_count;
    for (int i = 0; i < types; i++)
        if (setup->types[i].len > 64)
            return err_set(err, ERR_INVALID, "worker.types: a type has 64 characters at most: %.*s", (int)setup->types[i].len,
                           setup->types[i].ptr);
    executors_of(setup, settings);
    return setup_labels(settings_text(settings, SET_WORKER_LABELS), &setup->labels, err);
}

void setup_clear(struct setup *setup)
{
    buf_free(&setup->labels);
}
