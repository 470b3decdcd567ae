/* A file of tasks in YAML: refused with words, or values within the limits that JSON can hold. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/tasks_file.h"
#include "gateway/cli/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void measure(const json_t *value, int depth, size_t *nodes)
{
    const char *key;
    json_t *inner;
    size_t index;

    if (depth > YAML_DEPTH || ++*nodes > YAML_NODES)
        abort();
    if (json_is_object(value)) {
        json_object_foreach((json_t *)(uintptr_t)value, key, inner)
        {
            measure(inner, depth + 1, nodes);
        }
    }
    json_array_foreach(value, index, inner)
    {
        measure(inner, depth + 1, nodes);
    }
}

static bool every_second(const char *member)
{
    return strlen(member) % 2 == 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0}, why = {0};
    size_t nodes = 0;
    json_t *documents = yaml_load((const char *)data, size, every_second, &err), *document;
    json_t *tasks = tasks_text("a.yaml", (const char *)data, size, &why);
    size_t index;

    if (!documents != (err.code != 0) || !tasks != (why.code != 0) || (documents == NULL && err.text[0] == '\0'))
        abort();
    json_array_foreach(documents, index, document)
    {
        measure(document, 1, &nodes);
    }
    char *text = documents ? json_dumps(documents, JSON_COMPACT) : NULL;
    json_t *back = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
    if (documents && !json_equal(back, documents))
        abort();
    json_decref(back);
    free(text);
    json_decref(tasks);
    json_decref(documents);
    return 0;
}
