#include "worker/video/words.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/value.h"
#include "worker/video/mount.h"

const char *words_text(char *const *argv, const char *name)
{
    size_t len = strlen(name);
    for (; *argv; argv++)
        if (strncmp(*argv, name, len) == 0 && (*argv)[len] == '=')
            return *argv + len + 1;
    return NULL;
}

const char *words_or(char *const *argv, const char *name, const char *otherwise)
{
    const char *text = words_text(argv, name);
    return text && *text ? text : otherwise;
}

uint64_t words_number(char *const *argv, const char *name)
{
    const char *text = words_text(argv, name);
    return text && *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : 0;
}

int words_add(struct plan *plan, const char *name, struct str value, struct err *err)
{
    struct buf text = {0};
    int rc = buf_text(&text, name) < 0 || buf_text(&text, "=") < 0 || (value.len && buf_add(&text, value.ptr, value.len) < 0)
                 ? err_set(err, ERR_NO_MEMORY, "no memory for a run")
                 : plan_arg(plan, buf_str(&text), err);
    buf_free(&text);
    return rc;
}

int words_add_number(struct plan *plan, const char *name, uint64_t value, struct err *err)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    return words_add(plan, name, str_of(text), err);
}

int words_add_setting(struct plan *plan, const char *name, int setting, struct err *err)
{
    if (!plan->place.settings)
        return 0;
    return words_add(plan, name, str_of(settings_text(plan->place.settings, setting)), err);
}

int words_add_prefix(struct plan *plan, struct str root, struct err *err)
{
    const struct settings *settings = plan->place.settings;
    if (!settings)
        return 0;
    return words_add(
        plan, "prefix",
        mount_of(str_of(settings_text(settings, SET_LIBRARY)), str_of(settings_text(settings, SET_TRANSCODE_PREFIX)), root), err);
}

int words_add_parameter_as(struct plan *plan, const char *parameter, const char *name, struct err *err)
{
    struct str value;
    struct buf text = {.limit = PLAN_TEXT_MAX};
    if (!value_find(plan->run->parameters, str_of(parameter), &value))
        return 0;
    int rc = value_text(&text, value) < 0 ? err_set(err, ERR_INVALID, "parameter %s cannot be written as text", parameter)
                                          : words_add(plan, name, buf_str(&text), err);
    buf_free(&text);
    return rc;
}

int words_add_parameter(struct plan *plan, const char *name, struct err *err)
{
    return words_add_parameter_as(plan, name, name, err);
}
