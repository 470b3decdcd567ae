/* The frame of a daemon. */
#include "proto/daemon.h"

#include <sodium.h>
#include <stdio.h>
#include <sys/resource.h>

#include "proto/bus.h"
#include "proto/ident.h"
#include "proto/log.h"
#include "proto/notify.h"
#include "proto/trace.h"

static void level_set(const struct settings *settings)
{
    int level = log_level_parse(str_of(settings_text(settings, SET_LOG_LEVEL)));
    log_set_level(level < 0 ? LOG_INFO : (enum log_level)level);
}

static void on_reload(void *arg)
{
    struct daemon *daemon = arg;
    struct err err = {0};
    int changed = 0;
    if (settings_reload(daemon->settings, &changed, &err) < 0) {
        log_error("GTY-SETTINGS-KEPT", "%s; the old values stay", err.text);
        return;
    }
    level_set(daemon->settings);
    if (daemon->reloaded)
        daemon->reloaded(daemon->self);
    log_info("GTY-SETTINGS-RELOAD", "changed=%d", changed);
    log_debug("GTY-SETTINGS-RELOAD", "log.level=debug");
}

static bool answered(const struct daemon *daemon, const char *words, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("gantry-%s %s\n", daemon->service, GANTRY_VERSION);
        return true;
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        printf("gantry-%s: %s. Settings, each as a flag, a GANTRY_… variable, or a line of the settings file:\n\n",
               daemon->service, words);
        settings_usage(daemon->service, stdout);
        return true;
    }
    return false;
}

int daemon_open(struct daemon *daemon, const char *service, const char *words, int argc, char **argv, struct err *err)
{
    daemon->service = service;
    log_init(service, LOG_INFO);
    if (answered(daemon, words, argc, argv))
        return 1;
    notify_open();
    if (sodium_init() < 0)
        return err_set(err, ERR_INTERNAL, "libsodium does not start");
    daemon->settings = settings_load(argc, argv, NULL, err);
    if (!daemon->settings)
        return -1;
    level_set(daemon->settings);
    daemon->loop = loop_new();
    if (!daemon->loop || notify_from_loop(daemon->loop, on_reload, daemon) < 0)
        return err_set(err, ERR_NO_MEMORY, "no memory or descriptors for the loop");
    daemon->ship = ship_new(daemon->loop);
    if (!daemon->ship)
        return err_set(err, ERR_NO_MEMORY, "no memory for the log");
    log_on_line(ship_keep, daemon->ship);
    if (ident_runtime_dir(settings_text(daemon->settings, SET_DATA), daemon->runtime, sizeof(daemon->runtime), err) < 0 ||
        trace_init(daemon->loop, daemon->runtime, service, err) < 0)
        return -1;
    return 0;
}

void daemon_on_reload(struct daemon *daemon, loop_fn *reloaded, void *self)
{
    daemon->reloaded = reloaded;
    daemon->self = self;
}

void daemon_descriptors(uint64_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || (wanted && limit.rlim_cur >= wanted))
        return;
    limit.rlim_cur = wanted && wanted < limit.rlim_max ? wanted : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < wanted)
        log_warn("GTY-DESCRIPTORS", "have=%llu want=%llu less will go on at once", (unsigned long long)limit.rlim_cur,
                 (unsigned long long)wanted);
}

int daemon_fail(const struct daemon *daemon, const struct err *err)
{
    fprintf(stderr, "%sgantry-%s: %s\n", log_mark(LOG_ERROR), daemon->service, err->text);
    return 1;
}

void daemon_close(struct daemon *daemon)
{
    trace_close();
    log_on_line(NULL, NULL);
    ship_free(daemon->ship);
    loop_free(daemon->loop);
    settings_free(daemon->settings);
    bus_finish();
    notify_close();
    *daemon = (struct daemon){0};
}
