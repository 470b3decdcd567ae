#include "worker/template.h"

#include "proto/messages.h"
#include "worker/value.h"

/* Appends what a name stands for; 1 when it is not known. */
static int name_fill(const struct template_names *names, struct str name, struct buf *out)
{
    struct str value;
    if (str_is(name, "output") && names->output)
        return buf_text(out, names->output);
    if (value_find(names->parameters, name, &value))
        return value_text(out, value);
    if (str_is(name, "run_id") && names->run_id)
        return buf_printf(out, "%llu", (unsigned long long)names->run_id);
    return 1;
}

/* Whether the value behind `from` may be one name in a path. */
static int part_check(struct str name, const struct buf *out, size_t from, int known, struct err *err)
{
    size_t len = out->len - from;
    const char *part = len > 0 ? out->data + from : "";
    int shown = (int)(name.len > 60 ? 60 : name.len);
    if (known != 0)
        return err_set(err, ERR_INVALID, "output names the parameter '%.*s', which was not given", shown, name.ptr);
    if (len == 0 || memchr(part, '/', len) || memchr(part, '\0', len) || (len == 1 && part[0] == '.') ||
        (len == 2 && part[0] == '.' && part[1] == '.'))
        return err_set(err, ERR_INVALID, "parameter '%.*s' cannot stand in the output's path: one plain file name is expected",
                       shown, name.ptr);
    return 0;
}

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NO_MEMORY, "no memory to fill in its parameters");
}

static int fill(struct str text, const struct template_names *names, bool path, struct buf *out, struct err *err)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    while (at < end) {
        const char *open = memmem(at, (size_t)(end - at), "{{", 2);
        const char *close = open ? memmem(open + 2, (size_t)(end - open - 2), "}}", 2) : NULL;
        if (!close) {
            buf_add(out, at, (size_t)(end - at));
            break;
        }
        buf_add(out, at, (size_t)(open - at));
        struct str name = str_trim((struct str){open + 2, (uint32_t)(close - open - 2)}, " ");
        size_t from = out->len;
        int known = name_fill(names, name, out);
        if (known < 0)
            return out->starved ? no_memory(err)
                                : err_set(err, ERR_INVALID, "a parameter is malformed, or too long to be filled in");
        if (path && part_check(name, out, from, known, err) != 0)
            return -1;
        if (known != 0)
            buf_add(out, open, 2);
        at = known == 0 ? close + 2 : open + 2;
    }
    if (out->starved)
        return no_memory(err);
    return out->failed ? err_set(err, ERR_INVALID, "too long once its parameters are in it") : 0;
}

int template_fill(struct str text, const struct template_names *names, struct buf *out, struct err *err)
{
    return text.len ? fill(text, names, false, out, err) : 0;
}

int template_fill_path(struct str text, const struct template_names *names, struct buf *out, struct err *err)
{
    return text.len ? fill(text, names, true, out, err) : 0;
}
