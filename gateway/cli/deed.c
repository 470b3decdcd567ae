#include "gateway/cli/deed.h"

#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "gateway/cli/cli.h"
#include "proto/endpoint.h"
#include "proto/ident.h"
#include "proto/messages.h"

#define ANSWER_MS 2000

struct telling {
    struct loop *loop;
    bool told;
};

static void on_answer(void *arg, const struct msg *msg, const struct err *err)
{
    struct telling *telling = arg;
    (void)err;

    telling->told = msg != NULL && msg->shape->id == MSG_DONE;
    loop_stop(telling->loop);
}

/* The runtime folder is in /tmp: one that is not of the data folder's owner is somebody's trap. */
static bool same_owner(const char *data, const char *folder)
{
    struct stat one, other;

    return stat(data, &one) == 0 && lstat(folder, &other) == 0 && S_ISDIR(other.st_mode) && one.st_uid == other.st_uid;
}

/* Where the scheduler of this machine would listen; false when there is none. Nothing is made on the way: this may be root, and what it
 * makes would be in the way of the farm's own user. */
static bool scheduler_find(const struct settings *settings, struct endpoint *at)
{
    const char *set = settings_text(settings, SET_BUS_SCHEDULER);
    const char *data = settings_text(settings, SET_DATA);
    char folder[PATH_MAX];

    if (set[0] != '\0') {
        return curve_ready(settings, set) && endpoint_of(settings, SET_BUS_SCHEDULER, "scheduler", false, at, NULL) == 0;
    }
    *at = (struct endpoint){0};
    if (ident_runtime_path(data, folder, sizeof folder, NULL) != 0 || !same_owner(data, folder)) {
        return false;
    }
    int len = snprintf(at->text, sizeof at->text, "ipc://%s/scheduler.sock", folder);
    return len > 0 && (size_t)len < sizeof at->text && access(at->text + strlen("ipc://"), F_OK) == 0;
}

static bool scheduler_tell(const struct settings *settings, const struct msg_audit_note *note)
{
    struct telling telling = {0};
    struct bus_client *client = NULL;
    struct endpoint at;

    if (!scheduler_find(settings, &at) || (telling.loop = loop_new()) == NULL) {
        return false;
    }
    client = bus_client_new(telling.loop, at.text, &at.curve, &(struct bus_client_events){0}, &telling, NULL);
    if (client != NULL) {
        bus_ask(client, &shape_msg_audit_note, note, (struct str){NULL, 0}, ANSWER_MS, on_answer, &telling);
        loop_run(telling.loop);
    }
    bus_client_free(client);
    loop_free(telling.loop);
    bus_finish();
    return telling.told;
}

/* Who gave the command: behind sudo the one who asked for it. */
static const char *user_name(void)
{
    const char *asked = getuid() == 0 ? getenv("SUDO_USER") : NULL;
    const struct passwd *user = getpwuid(getuid());

    if (asked != NULL && asked[0] != '\0' && str_utf8(str_of(asked))) {
        return asked;
    }
    return user != NULL ? user->pw_name : "?";
}

void deed_tell(const struct cli *cli, const char *format, ...)
{
    char deed[512];
    va_list list;

    if (!settings_bool(cli->settings, SET_AUDIT_ENABLED)) {
        return;
    }
    va_start(list, format);
    vsnprintf(deed, sizeof deed, format, list);
    va_end(list);
    struct msg_audit_note note = {.by = {.kind = AUDIT_COMMAND,
                                         .who = str_cut(str_of(user_name()), 255),
                                         .method = STR_LIT("CLI"),
                                         .path = str_cut(str_of(deed), sizeof deed - 1)}};
    SET_HAS(&note, msg_audit_note, code);
    if (scheduler_tell(cli->settings, &note)) {
        return;
    }
    fprintf(stderr, "gantry: GTY-AUDIT-UNTOLD user=%s deed=\"%s\" no scheduler answers here: its audit log has no line of this\n",
            user_name(), deed);
    openlog("gantry", 0, LOG_AUTH);
    syslog(LOG_NOTICE, "GTY-AUDIT-UNTOLD user=%s deed=\"%s\"", user_name(), deed);
    closelog();
}
