#include "worker/scene/dna.h"

#include <endian.h>
#include <stdlib.h>

#include "proto/messages.h"

#define NAMES_MAX 100000
#define TYPES_MAX 20000
#define STRUCTS_MAX 20000
#define FIELDS_MAX 2000 /* of a struct */
#define NAME_MAX_LEN 255

struct dna {
    char *data;
    size_t len;
    unsigned pointer;
    bool swap;
    const char **names, **types;
    uint32_t name_count, type_count, struct_count;
    const char *lengths;  /* of types, 16 bits each */
    const char **structs; /* type, number of fields, (type, name)…; 16 bits each */
};

struct walk { /* through the block */
    struct dna *dna;
    size_t at;
};

static uint16_t half(const struct dna *dna, const char *at)
{
    uint16_t value;
    memcpy(&value, at, 2);
    return dna->swap ? __builtin_bswap16(value) : value;
}

static bool word(struct walk *walk, uint32_t *value)
{
    if (walk->dna->len - walk->at < 4)
        return false;
    memcpy(value, walk->dna->data + walk->at, 4);
    if (walk->dna->swap)
        *value = __builtin_bswap32(*value);
    walk->at += 4;
    return true;
}

static bool tag(struct walk *walk, const char *name)
{
    walk->at = (walk->at + 3) & ~(size_t)3;
    if (walk->at > walk->dna->len || walk->dna->len - walk->at < 4 || memcmp(walk->dna->data + walk->at, name, 4) != 0)
        return false;
    walk->at += 4;
    return true;
}

static bool texts(struct walk *walk, const char *name, uint32_t most, const char ***out, uint32_t *count)
{
    if (!tag(walk, name) || !word(walk, count) || *count == 0 || *count > most)
        return false;
    *out = malloc(*count * sizeof(**out));
    if (!*out)
        return false;
    for (uint32_t i = 0; i < *count; i++) {
        const char *text = walk->dna->data + walk->at, *end = memchr(text, '\0', walk->dna->len - walk->at);
        if (!end || end - text > NAME_MAX_LEN)
            return false;
        (*out)[i] = text;
        walk->at += (size_t)(end - text) + 1;
    }
    return true;
}

static bool structs(struct walk *walk)
{
    struct dna *dna = walk->dna;
    if (!tag(walk, "STRC") || !word(walk, &dna->struct_count) || dna->struct_count == 0 || dna->struct_count > STRUCTS_MAX)
        return false;
    dna->structs = malloc(dna->struct_count * sizeof(*dna->structs));
    if (!dna->structs)
        return false;
    for (uint32_t i = 0; i < dna->struct_count; i++) {
        const char *at = dna->data + walk->at;
        if (dna->len - walk->at < 4 || half(dna, at) >= dna->type_count)
            return false;
        size_t fields = half(dna, at + 2);
        if (fields > FIELDS_MAX || (dna->len - walk->at - 4) / 4 < fields)
            return false;
        for (size_t j = 0; j < fields; j++)
            if (half(dna, at + 4 + 4 * j) >= dna->type_count || half(dna, at + 6 + 4 * j) >= dna->name_count)
                return false;
        dna->structs[i] = at;
        walk->at += 4 + 4 * fields;
    }
    return true;
}

static bool read_all(struct dna *dna)
{
    struct walk walk = {dna, 0};
    if (!tag(&walk, "SDNA") || !texts(&walk, "NAME", NAMES_MAX, &dna->names, &dna->name_count) ||
        !texts(&walk, "TYPE", TYPES_MAX, &dna->types, &dna->type_count) || !tag(&walk, "TLEN") ||
        (dna->len - walk.at) / 2 < dna->type_count)
        return false;
    dna->lengths = dna->data + walk.at;
    walk.at += 2 * (size_t)dna->type_count;
    return structs(&walk);
}

struct dna *dna_new(char *data, size_t len, unsigned pointer, bool swap, struct err *err)
{
    struct dna *dna = calloc(1, sizeof(*dna));
    if (!dna) {
        free(data);
        err_set(err, ERR_NO_MEMORY, "no memory for the file's DNA");
        return NULL;
    }
    *dna = (struct dna){.data = data, .len = len, .pointer = pointer, .swap = swap};
    if (read_all(dna))
        return dna;
    err_set(err, ERR_INVALID, "it is damaged: its DNA, which says how it is to be read, makes no sense");
    dna_free(dna);
    return NULL;
}

void dna_free(struct dna *dna)
{
    if (!dna)
        return;
    free(dna->names);
    free(dna->types);
    free(dna->structs);
    free(dna->data);
    free(dna);
}

/* ---- looking things up ---- */

static uint32_t type_size(const struct dna *dna, uint32_t type)
{
    return half(dna, dna->lengths + 2 * (size_t)type);
}

int dna_find(const struct dna *dna, const char *name)
{
    for (uint32_t i = 0; i < dna->struct_count; i++)
        if (strcmp(dna->types[half(dna, dna->structs[i])], name) == 0)
            return (int)i;
    return -1;
}

uint32_t dna_size(const struct dna *dna, uint32_t number)
{
    return number < dna->struct_count ? type_size(dna, half(dna, dna->structs[number])) : 0;
}

/* "*next", "(*f)()", "mat[4][4]": whether it is a pointer, how many there are, and what it is called. */
static bool name_read(const char *name, bool *pointer, uint64_t *count, const char **begin, size_t *len)
{
    *pointer = *name == '*' || *name == '(';
    while (*name == '*' || *name == '(')
        name++;
    *begin = name;
    *len = strcspn(name, "[)(");
    *count = 1;
    for (name = strchr(name, '['); name; name = strchr(name + 1, '[')) {
        *count *= strtoul(name + 1, NULL, 10);
        if (*count == 0 || *count > UINT16_MAX)
            return false;
    }
    return true;
}

static enum dna_kind kind_of(const char *type)
{
    static const struct {
        const char *name;
        enum dna_kind kind;
    } plain[] = {{"char", DNA_SIGNED},     {"uchar", DNA_UNSIGNED}, {"short", DNA_SIGNED},   {"ushort", DNA_UNSIGNED},
                 {"int", DNA_SIGNED},      {"long", DNA_SIGNED},    {"ulong", DNA_UNSIGNED}, {"float", DNA_REAL},
                 {"double", DNA_REAL},     {"int8_t", DNA_SIGNED},  {"int64_t", DNA_SIGNED}, {"uint64_t", DNA_UNSIGNED},
                 {"uint8_t", DNA_UNSIGNED}};
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        if (strcmp(plain[i].name, type) == 0)
            return plain[i].kind;
    return DNA_STRUCT;
}

/* One name of a path, in one struct. type: of the field. */
static bool field_find(const struct dna *dna, uint32_t number, const char *wanted, size_t wanted_len, struct dna_field *field,
                       uint32_t *type)
{
    const char *at = dna->structs[number];
    uint64_t offset = 0, size = dna_size(dna, number);
    for (uint32_t i = 0, fields = half(dna, at + 2); i < fields; i++) {
        const char *name;
        size_t len;
        bool pointer;
        uint64_t count;
        *type = half(dna, at + 4 + 4 * (size_t)i);
        if (!name_read(dna->names[half(dna, at + 6 + 4 * (size_t)i)], &pointer, &count, &name, &len))
            return false;
        uint64_t each = pointer ? dna->pointer : type_size(dna, *type);
        if (offset + each * count > size)
            return false; /* what is said of its parts is not what is said of it */
        if (len == wanted_len && memcmp(name, wanted, len) == 0) {
            *field = (struct dna_field){.kind = pointer ? DNA_POINTER : kind_of(dna->types[*type]),
                                        .offset = (uint32_t)offset,
                                        .size = (uint32_t)each,
                                        .count = (uint32_t)count};
            return each > 0;
        }
        offset += each * count;
    }
    return false;
}

bool dna_path(const struct dna *dna, int number, const char *path, struct dna_field *field)
{
    uint32_t offset = 0, type = 0;
    while (number >= 0) {
        size_t len = strcspn(path, ".");
        if (!field_find(dna, (uint32_t)number, path, len, field, &type))
            return false;
        field->offset += offset;
        if (path[len] == '\0')
            return true;
        if (field->kind != DNA_STRUCT)
            return false;
        offset = field->offset;
        path += len + 1;
        number = dna_find(dna, dna->types[type]);
    }
    return false;
}
