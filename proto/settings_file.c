/* Reading settings files. */
#include "proto/settings_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/messages.h"

const char *settings_file_label(const char *path)
{
    size_t len = strlen(path), most = 60;
    if (len <= most)
        return path;
    const char *tail = path + len - most;
    const char *slash = strchr(tail, '/');
    return slash && slash[1] ? slash + 1 : tail;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static struct str trim(struct str text)
{
    return str_trim(text, " \t");
}

static bool is_rest(struct str text) /* nothing, or a comment */
{
    text = trim(text);
    return text.len == 0 || text.ptr[0] == '#';
}

/* The value behind the opening quote into out; answers why not, or NULL. */
static const char *read_quoted(struct str text, char *out, struct str *value)
{
    uint32_t at = 1, len = 0;
    for (; at < text.len && text.ptr[at] != '"'; at++) {
        char c = text.ptr[at];
        if (c == '\\') {
            if (++at == text.len || (text.ptr[at] != '"' && text.ptr[at] != '\\'))
                return "a backslash stands before a quote or a backslash only";
            c = text.ptr[at];
        }
        if (len == SETTINGS_VALUE_MAX)
            return "the value is too long";
        out[len++] = c;
    }
    if (at >= text.len)
        return "the closing quote is missing";
    if (!is_rest((struct str){text.ptr + at + 1, text.len - at - 1}))
        return "something follows the closing quote";
    *value = (struct str){out, len};
    return NULL;
}

static const char *read_plain(struct str text, struct str *value)
{
    uint32_t len = 0;
    while (len < text.len && !(text.ptr[len] == '#' && (len == 0 || is_space(text.ptr[len - 1]))))
        len++;
    *value = trim((struct str){text.ptr, len});
    if (memchr(value->ptr ? value->ptr : "", '"', value->len))
        return "a quote stands within a value that is not quoted";
    return value->len > SETTINGS_VALUE_MAX ? "the value is too long" : NULL;
}

static int parse_line(const char *file, unsigned number, struct str line, settings_file_fn *fn, void *arg, struct err *err)
{
    char quoted[SETTINGS_VALUE_MAX];
    struct str value = {NULL, 0};
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    for (uint32_t i = 0; i < line.len; i++)
        if (((unsigned char)line.ptr[i] < 0x20 && line.ptr[i] != '\t') || line.ptr[i] == 0x7f)
            return err_set(err, ERR_INVALID, "%s:%u: a control character", settings_file_label(file), number);
    if (is_rest(line))
        return 0;
    const char *sign = memchr(line.ptr, '=', line.len);
    if (!sign)
        return err_set(err, ERR_INVALID, "%s:%u: expected `name = value`", settings_file_label(file), number);
    uint32_t before = (uint32_t)(sign - line.ptr);
    struct str name = trim((struct str){line.ptr, before});
    struct str text = trim((struct str){sign + 1, line.len - before - 1});
    const char *why = text.len > 0 && text.ptr[0] == '"' ? read_quoted(text, quoted, &value) : read_plain(text, &value);
    if (why)
        return err_set(err, ERR_INVALID, "%s:%u: %s", settings_file_label(file), number, why);
    return fn(arg, number, name, value, err);
}

int settings_file_parse(const char *file, struct str text, settings_file_fn *fn, void *arg, struct err *err)
{
    if (text.len > SETTINGS_FILE_MAX)
        return err_set(err, ERR_INVALID, "%s: over %zu bytes", settings_file_label(file), SETTINGS_FILE_MAX);
    if (!str_utf8(text))
        return err_set(err, ERR_INVALID, "%s: not UTF-8", settings_file_label(file));
    uint32_t at = 0;
    for (unsigned number = 1; at < text.len; number++) {
        const char *end = memchr(text.ptr + at, '\n', text.len - at);
        uint32_t len = end ? (uint32_t)(end - text.ptr) - at : text.len - at;
        if (parse_line(file, number, (struct str){text.ptr + at, len}, fn, arg, err) < 0)
            return -1;
        at += len + 1;
    }
    return 0;
}

int settings_file_read(const char *file, bool missing_ok, settings_file_fn *fn, void *arg, struct err *err)
{
    int result = -1;
    char *text = NULL;
    FILE *in = fopen(file, "re");
    if (!in) {
        if (missing_ok && (errno == ENOENT || errno == ENOTDIR))
            return 0;
        return err_set(err, ERR_IO, "cannot read %s: %s", settings_file_label(file), strerror(errno));
    }
    text = malloc(SETTINGS_FILE_MAX + 1);
    if (!text) {
        err_set(err, ERR_NO_MEMORY, "no memory to read %s", settings_file_label(file));
        goto error;
    }
    size_t len = fread(text, 1, SETTINGS_FILE_MAX + 1, in);
    if (ferror(in)) {
        err_set(err, ERR_IO, "cannot read %s: %s", settings_file_label(file), strerror(errno));
        goto error;
    }
    result = settings_file_parse(file, (struct str){text, (uint32_t)len}, fn, arg, err);
error:
    free(text);
    fclose(in);
    return result;
}
