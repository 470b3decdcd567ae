/* gantry-store: what the farm remembers, in one database. */
#include <sodium.h>
#include <stdio.h>

#include "proto/ident.h"
#include "proto/log.h"
#include "proto/trace.h"
#include "store/store.h"

struct process {
    struct settings *settings;
    struct loop *loop;
    struct store *store;
};

static void level_set(const struct settings *settings)
{
    int level = log_level_parse(str_of(settings_text(settings, SET_LOG_LEVEL)));
    log_set_level(level < 0 ? LOG_INFO : (enum log_level)level);
}

static void on_reload(void *arg)
{
    struct process *process = arg;
    struct err err = {0};
    int changed = 0;
    if (settings_reload(process->settings, &changed, &err) != 0) {
        log_error("GTY-SETTINGS-KEPT", "%s; the old values stay", err.text);
        return;
    }
    level_set(process->settings);
    store_reload(process->store);
    log_info("GTY-SETTINGS-RELOAD", "changed=%d", changed);
    log_debug("GTY-SETTINGS-RELOAD", "log.level=debug");
}

static int process_open(struct process *process, struct err *err)
{
    char runtime[128];
    const char *data = settings_text(process->settings, SET_DATA);
    process->loop = loop_new();
    if (!process->loop)
        return err_set(err, ERR_NO_MEMORY, "no memory or descriptors for the loop");
    process->store = store_new(process->loop, process->settings, err);
    if (!process->store || ident_runtime_dir(data, runtime, sizeof runtime, err) != 0 ||
        trace_init(process->loop, runtime, "store", err) != 0)
        return -1;
    loop_on_reload(process->loop, on_reload, process);
    return 0;
}

int main(int argc, char **argv)
{
    struct process process = {0};
    struct err err = {0};
    int code = 1;
    log_init("store", LOG_INFO);
    if (sodium_init() < 0)
        err_set(&err, ERR_INTERNAL, "libsodium does not start");
    else
        process.settings = settings_load(argc, argv, NULL, &err);
    if (process.settings) {
        level_set(process.settings);
        if (process_open(&process, &err) == 0) {
            log_info("GTY-STORE-READY", "version=%s", GANTRY_VERSION);
            loop_run(process.loop);
            code = store_failed(process.store) ? 1 : 0;
            log_info("GTY-STOP", "code=%d", code);
        }
    }
    if (err.code != 0)
        fprintf(stderr, "gantry-store: %s\n", err.text);
    store_free(process.store);
    trace_close();
    loop_free(process.loop);
    bus_finish();
    settings_free(process.settings);
    return code;
}
