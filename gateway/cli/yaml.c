/* From libyaml's events to jansson's values. An alias shares the value of its anchor, so memory stays small; what counts against the limits
 * is what it comes to when it is written out, as a few lines of aliases to aliases come to gigabytes. */
#include "gateway/cli/yaml.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "proto/messages.h"

struct extent { /* of a value, written out; a word has one level */
    size_t nodes, bytes;
    int levels;
};

struct anchor {
    char *name;
    json_t *value; /* a reference of its own */
    struct extent extent;
};

struct yaml_reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the newest, to be deleted */
    bool (*is_text)(const char *member);
    struct anchor *anchors; /* YAML_ANCHORS of them at most; a name that comes again stands for the newer value */
    size_t anchor_count;
    size_t nodes, bytes; /* of all there was, written out */
    struct err *err;
};

enum where {
    OUTERMOST, /* a document, or an item of one that is a list */
    INSIDE,
    IN_TEXT, /* words are text */
};

static json_t *value_read(struct yaml_reader *reader, enum where where, int depth, struct extent *extent);

static int refuse(struct yaml_reader *reader, const char *what)
{
    return err_set(reader->err, ERR_BAD_REQUEST, "line %zu: %s", reader->event.start_mark.line + 1, what);
}

static int no_memory(struct yaml_reader *reader)
{
    return err_set(reader->err, ERR_NO_MEMORY, "out of memory");
}

static int next(struct yaml_reader *reader)
{
    yaml_event_delete(&reader->event);
    if (yaml_parser_parse(&reader->parser, &reader->event))
        return 0;
    if (reader->parser.error == YAML_MEMORY_ERROR)
        return no_memory(reader);
    bool marked = reader->parser.error != YAML_READER_ERROR; /* a byte that is no character has an offset, no mark */
    const char *problem = reader->parser.problem ? reader->parser.problem : "this is no YAML";
    if (!marked)
        return err_set(reader->err, ERR_BAD_REQUEST, "byte %zu: %s", reader->parser.problem_offset + 1, problem);
    return err_set(reader->err, ERR_BAD_REQUEST, "line %zu: %s", reader->parser.problem_mark.line + 1, problem);
}

/* ---- limits ---- */

static int charge(struct yaml_reader *reader, size_t nodes, size_t bytes)
{
    reader->nodes += nodes;
    reader->bytes += bytes;
    if (reader->nodes > YAML_NODES)
        return refuse(reader, "these are too many values (100,000 at most, aliases written out)");
    return reader->bytes > YAML_BYTES ? refuse(reader, "this is too much text (4 MiB at most, aliases written out)") : 0;
}

/* A value of so many levels at this depth. */
static int depth_check(struct yaml_reader *reader, int depth, int levels)
{
    return depth + levels - 1 > YAML_DEPTH ? refuse(reader, "this is nested too deeply (32 levels at most)") : 0;
}

static void extent_include(struct extent *extent, const struct extent *part)
{
    extent->nodes += part->nodes;
    extent->bytes += part->bytes;
    extent->levels = part->levels + 1 > extent->levels ? part->levels + 1 : extent->levels;
}

/* ---- anchors ---- */

static struct anchor *anchor_find(struct yaml_reader *reader, const char *name)
{
    for (size_t i = reader->anchor_count; i > 0; i--) {
        if (strcmp(reader->anchors[i - 1].name, name) == 0)
            return &reader->anchors[i - 1];
    }
    return NULL;
}

static int anchor_add(struct yaml_reader *reader, const char *name, json_t *value, const struct extent *extent)
{
    if (reader->anchor_count == YAML_ANCHORS)
        return refuse(reader, "these are too many anchors (1,000 at most)");
    char *copy = strdup(name);
    if (!copy)
        return no_memory(reader);
    reader->anchors[reader->anchor_count++] = (struct anchor){copy, json_incref(value), *extent};
    return 0;
}

static void anchors_clear(struct yaml_reader *reader)
{
    while (reader->anchor_count > 0) {
        struct anchor *anchor = &reader->anchors[--reader->anchor_count];
        free(anchor->name);
        json_decref(anchor->value);
    }
}

/* ---- words ---- */

static bool one_of(const char *text, const char *const *words)
{
    for (; *words; words++) {
        if (strcmp(text, *words) == 0)
            return true;
    }
    return false;
}

static size_t digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* Whether a word is a number as JSON writes it; *real when it has a fraction or an exponent. */
static bool is_number(const char *text, bool *real)
{
    text += *text == '-';
    size_t whole = digits(text);
    *real = false;
    if (whole == 0 || (text[0] == '0' && whole > 1))
        return false;
    text += whole;
    if (text[0] == '.') {
        size_t part = digits(text + 1);
        if (part == 0)
            return false;
        *real = true;
        text += 1 + part;
    }
    if (text[0] == 'e' || text[0] == 'E') {
        text += 1 + (text[1] == '+' || text[1] == '-');
        size_t part = digits(text);
        if (part == 0)
            return false;
        *real = true;
        text += part;
    }
    return text[0] == '\0';
}

static json_t *number_read(struct yaml_reader *reader, const char *text, bool real)
{
    errno = 0;
    long long whole = real ? 0 : strtoll(text, NULL, 10);
    double number = real ? strtod(text, NULL) : 0;
    if (real ? !isfinite(number) : errno != 0) {
        refuse(reader, "this number is too large: in quotes it is text");
        return NULL;
    }
    json_t *value = real ? json_real(number) : json_integer(whole);
    if (!value)
        no_memory(reader);
    return value;
}

static json_t *scalar_read(struct yaml_reader *reader, enum where where)
{
    static const char *const nothing[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const yes[] = {"true", "True", "TRUE", NULL}, *const no[] = {"false", "False", "FALSE", NULL};
    const char *text = (const char *)reader->event.data.scalar.value;
    size_t len = reader->event.data.scalar.length;
    bool real;

    if (reader->event.data.scalar.plain_implicit && strlen(text) == len) {
        if (one_of(text, nothing))
            return json_null();
        if (where != IN_TEXT && (one_of(text, yes) || one_of(text, no)))
            return json_boolean(one_of(text, yes));
        if (where != IN_TEXT && is_number(text, &real))
            return number_read(reader, text, real);
    }
    json_t *value = json_stringn(text, len);
    if (!value)
        no_memory(reader);
    return value;
}

/* ---- lists and objects ---- */

static json_t *list_read(struct yaml_reader *reader, enum where where, int depth, struct extent *extent)
{
    json_t *list = json_array();
    enum where inside = where == OUTERMOST && depth > 1 ? INSIDE : where; /* of tasks in a list, not in a list of lists */

    if (!list) {
        no_memory(reader);
        return NULL;
    }
    while (next(reader) == 0) {
        struct extent one = {0};
        if (reader->event.type == YAML_SEQUENCE_END_EVENT)
            return list;
        json_t *item = value_read(reader, inside, depth + 1, &one);
        if (!item)
            break;
        if (json_array_append_new(list, item) != 0) {
            no_memory(reader);
            break;
        }
        extent_include(extent, &one);
    }
    json_decref(list);
    return NULL;
}

/* The key that the newest event is, as the caller's; NULL with err. */
static char *key_read(struct yaml_reader *reader, const json_t *object)
{
    const char *text = (const char *)reader->event.data.scalar.value;

    if (reader->event.type != YAML_SCALAR_EVENT) {
        refuse(reader, "a name is a word");
        return NULL;
    }
    if (strlen(text) != reader->event.data.scalar.length) {
        refuse(reader, "a name holds a NUL byte");
        return NULL;
    }
    if (reader->event.data.scalar.plain_implicit && strcmp(text, "<<") == 0) {
        refuse(reader, "merge keys (<<) are not taken");
        return NULL;
    }
    if (json_object_get(object, text)) {
        refuse(reader, "this name is there twice");
        return NULL;
    }
    if (charge(reader, 0, strlen(text)) != 0)
        return NULL;
    char *key = strdup(text);
    if (!key)
        no_memory(reader);
    return key;
}

static json_t *member_read(struct yaml_reader *reader, enum where where, int depth, const char *key, struct extent *extent)
{
    if (where == OUTERMOST)
        where = reader->is_text(key) ? IN_TEXT : INSIDE;
    return next(reader) == 0 ? value_read(reader, where, depth + 1, extent) : NULL;
}

static json_t *object_read(struct yaml_reader *reader, enum where where, int depth, struct extent *extent)
{
    json_t *object = json_object();

    if (!object) {
        no_memory(reader);
        return NULL;
    }
    while (next(reader) == 0) {
        struct extent one = {0};
        if (reader->event.type == YAML_MAPPING_END_EVENT)
            return object;
        char *key = key_read(reader, object);
        json_t *value = key ? member_read(reader, where, depth, key, &one) : NULL;
        extent->bytes += key ? strlen(key) : 0;
        int rc = value ? json_object_set_new(object, key, value) : 0;
        free(key);
        if (!value)
            break;
        if (rc != 0) {
            no_memory(reader);
            break;
        }
        extent_include(extent, &one);
    }
    json_decref(object);
    return NULL;
}

/* ---- values ---- */

static json_t *alias_read(struct yaml_reader *reader, int depth, struct extent *extent)
{
    const struct anchor *anchor = anchor_find(reader, (const char *)reader->event.data.alias.anchor);

    if (!anchor) {
        refuse(reader, "there is no such anchor before it");
        return NULL;
    }
    *extent = anchor->extent;
    if (depth_check(reader, depth, extent->levels) != 0 || charge(reader, extent->nodes, extent->bytes) != 0)
        return NULL;
    return json_incref(anchor->value);
}

/* What the newest event that begins a value says of its anchor and tag; copied, as the event goes. -1 with err. */
static int marks_read(struct yaml_reader *reader, char **anchor)
{
    const yaml_event_t *event = &reader->event;
    const yaml_char_t *name = NULL, *tag = NULL;

    if (event->type == YAML_SCALAR_EVENT) {
        name = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        name = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        name = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    *anchor = NULL;
    bool text = tag && event->type == YAML_SCALAR_EVENT &&
                (strcmp((const char *)tag, YAML_STR_TAG) == 0 || strcmp((const char *)tag, "!") == 0);
    if (tag && !text)
        return refuse(reader, "tags but !!str are not taken");
    if (name && !(*anchor = strdup((const char *)name)))
        return no_memory(reader);
    return 0;
}

/* The value that the newest event begins, at this depth (of the outermost: 1); NULL with err. */
static json_t *value_read(struct yaml_reader *reader, enum where where, int depth, struct extent *extent)
{
    json_t *value = NULL;
    char *anchor;

    if (reader->event.type == YAML_ALIAS_EVENT)
        return alias_read(reader, depth, extent);
    if (marks_read(reader, &anchor) != 0)
        return NULL;
    yaml_event_type_t type = reader->event.type;
    *extent = (struct extent){.nodes = 1, .bytes = type == YAML_SCALAR_EVENT ? reader->event.data.scalar.length : 0, .levels = 1};
    if (depth_check(reader, depth, 1) == 0 && charge(reader, 1, extent->bytes) == 0) {
        if (type == YAML_SCALAR_EVENT)
            value = scalar_read(reader, where);
        else if (type == YAML_SEQUENCE_START_EVENT)
            value = list_read(reader, where, depth, extent);
        else
            value = object_read(reader, where, depth, extent);
    }
    if (value && anchor && anchor_add(reader, anchor, value, extent) != 0) {
        json_decref(value);
        value = NULL;
    }
    free(anchor);
    return value;
}

static int documents_read(struct yaml_reader *reader, json_t *documents)
{
    while (next(reader) == 0) {
        struct extent extent = {0};
        if (reader->event.type == YAML_STREAM_END_EVENT)
            return 0;
        if (reader->event.type != YAML_DOCUMENT_START_EVENT)
            continue;
        anchors_clear(reader);
        json_t *value = next(reader) == 0 ? value_read(reader, OUTERMOST, 1, &extent) : NULL;
        if (!value)
            return -1;
        if (json_array_append_new(documents, value) != 0)
            return no_memory(reader);
    }
    return -1;
}

json_t *yaml_load(const char *data, size_t size, bool (*is_text)(const char *member), struct err *err)
{
    struct yaml_reader reader = {.is_text = is_text, .err = err};
    json_t *documents = json_array();

    if (size > YAML_BYTES) {
        err_set(err, ERR_LIMIT, "it is larger than 4 MiB");
        goto error;
    }
    reader.anchors = calloc(YAML_ANCHORS, sizeof *reader.anchors);
    if (!documents || !reader.anchors || !yaml_parser_initialize(&reader.parser)) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        goto error;
    }
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)data, size);
    int rc = documents_read(&reader, documents);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    if (rc != 0)
        goto error;
    anchors_clear(&reader);
    free(reader.anchors);
    return documents;
error:
    anchors_clear(&reader);
    free(reader.anchors);
    json_decref(documents);
    return NULL;
}
