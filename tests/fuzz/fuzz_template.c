/* Names in a task's texts, and the parameters they stand for (the input: a map's length in a byte, the map, the text). A parameter may
 * not lead out of the folder that an output's path names. */
#include <stdlib.h>

#include "worker/template.h"
#include "worker/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static size_t slashes(struct str text)
{
    size_t count = 0;
    for (uint32_t i = 0; i < text.len; i++)
        count += text.ptr[i] == '/';
    return count;
}

static bool climbs(struct str text)
{
    for (uint32_t i = 0; i + 1 < text.len; i++) {
        bool begins = i == 0 || text.ptr[i - 1] == '/', ends = i + 2 == text.len || text.ptr[i + 2] == '/';
        if (begins && ends && text.ptr[i] == '.' && text.ptr[i + 1] == '.')
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf plain = {.limit = 1 << 16}, path = {.limit = 1 << 16}, json = {.limit = 1 << 16};
    struct err err = {0};
    if (size < 1)
        return 0;
    size_t len = data[0] < size - 1 ? data[0] : size - 1;
    struct template_names names = {.parameters = {(const char *)data + 1, (uint32_t)len}, .run_id = 7};
    struct str text = {(const char *)data + 1 + len, (uint32_t)(size - 1 - len)};
    bool holes = text.len && memmem(text.ptr, text.len, "{{", 2);

    int filled = template_fill(text, &names, &plain, &err);
    check(filled == 0 ? (holes || str_eq(buf_str(&plain), text)) : err.text[0] != '\0');
    if (template_fill_path(text, &names, &path, &err) == 0)
        check(slashes(buf_str(&path)) <= slashes(text) && (climbs(text) || holes || !climbs(buf_str(&path))));
    else
        check(err.text[0] != '\0');
    value_json(&json, names.parameters);
    names.output = "/tmp/out";
    buf_reset(&plain);
    template_fill(text, &names, &plain, &err);
    buf_free(&plain);
    buf_free(&path);
    buf_free(&json);
    return 0;
}
