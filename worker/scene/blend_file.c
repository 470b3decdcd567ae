#include "worker/scene/blend_file.h"

#include <endian.h>
#include <stdlib.h>

#include "proto/messages.h"

struct head { /* of a block */
    char code[5];
    uint64_t len, old;
    uint32_t number;
};

/* Things that are kept, those whose data is (DATA blocks stand behind what they belong to), and blocks of neither sort. */
static const char *const kept_codes[] = {"SC", "OB", "IM", "LI", "VF", "SO", "MC", "VO",   "CF",   "TX",
                                         "NT", "MA", "WO", "LA", "CA", "PA", "ID", "GLOB", "REND", NULL};

static uint32_t word(const struct blend_file *file, const char *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return file->swap ? __builtin_bswap32(value) : value;
}

static uint64_t longword(const struct blend_file *file, const char *at)
{
    uint64_t value;
    memcpy(&value, at, 8);
    return file->swap ? __builtin_bswap64(value) : value;
}

/* ---- headers ---- */

static int digits(const char *text, unsigned len)
{
    int value = 0;
    for (unsigned i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + text[i] - '0';
    }
    return value;
}

static int head_new(struct blend_file *file, struct source *source, const char *text, struct err *err)
{
    char more[5];
    int format = digits(text + 10, 2);
    if (digits(text + 7, 2) != 17 || text[9] != '-' || format != 1 || source_take(source, more, sizeof(more), err) < 0 ||
        more[0] != 'v' || digits(more + 1, 4) < 0)
        return err_set(err, ERR_INVALID, "its header is of a sort that is not known yet");
    file->pointer = 8;
    file->large = true;
    file->version = (unsigned)digits(more + 1, 4);
    file->swap = __BYTE_ORDER == __BIG_ENDIAN;
    return 0;
}

static int file_head(struct blend_file *file, struct source *source, struct err *err)
{
    char text[12];
    if (source_take(source, text, sizeof(text), err) < 0)
        return -1;
    if (memcmp(text, "BLENDER", 7) != 0)
        return err_set(err, ERR_INVALID, "it is no file of Blender");
    if (text[7] != '-' && text[7] != '_')
        return head_new(file, source, text, err);
    if ((text[8] != 'v' && text[8] != 'V') || digits(text + 9, 3) < 0)
        return err_set(err, ERR_INVALID, "it is damaged: its header makes no sense");
    file->pointer = text[7] == '-' ? 8 : 4;
    file->swap = (text[8] == 'V') != (__BYTE_ORDER == __BIG_ENDIAN);
    file->version = (unsigned)digits(text + 9, 3);
    return 0;
}

static int block_head(const struct blend_file *file, struct source *source, struct head *head, struct err *err)
{
    char bytes[32];
    size_t size = file->large ? 32 : file->pointer == 8 ? 24 : 20;
    if (source_take(source, bytes, size, err) < 0)
        return -1;
    *head = (struct head){0};
    /* Written as a number: with the other byte order the two letters of an ID stand at its end. */
    bool behind = bytes[0] == '\0' && bytes[1] == '\0';
    memcpy(head->code, behind ? bytes + 2 : bytes, behind ? 2 : 4);
    if (file->large) {
        head->number = word(file, bytes + 4);
        head->old = longword(file, bytes + 8);
        head->len = longword(file, bytes + 16);
    } else {
        head->len = word(file, bytes + 4);
        head->old = file->pointer == 8 ? longword(file, bytes + 8) : word(file, bytes + 8);
        head->number = word(file, bytes + 8 + file->pointer);
    }
    if (head->len > INT64_MAX || (!file->large && head->len > INT32_MAX))
        return err_set(err, ERR_INVALID, "it is damaged: a block says that it has less than no length");
    return 0;
}

/* ---- blocks ---- */

static bool code_kept(const char *code)
{
    for (const char *const *kept = kept_codes; *kept; kept++)
        if (strcmp(*kept, code) == 0)
            return true;
    return false;
}

static bool block_room(struct blend_file *file)
{
    if (file->count < file->size)
        return true;
    uint32_t size = file->size ? file->size * 2 : 256;
    struct blend_block *blocks = realloc(file->blocks, size * sizeof(*blocks));
    if (!blocks)
        return false;
    file->blocks = blocks;
    file->size = size;
    return true;
}

static int block_keep(struct blend_file *file, struct source *source, const struct head *head, struct err *err)
{
    char *data = block_room(file) ? malloc((size_t)head->len + 1) : NULL;
    if (!data)
        return err_set(err, ERR_NO_MEMORY, "no memory for the file's blocks");
    if (source_take(source, data, (size_t)head->len, err) < 0) {
        free(data);
        return -1;
    }
    struct blend_block *block = &file->blocks[file->count++];
    *block = (struct blend_block){.number = head->number, .old = head->old, .len = (uint32_t)head->len, .data = data};
    memcpy(block->code, head->code, sizeof(block->code));
    file->kept += (size_t)head->len;
    return 0;
}

static int dna_take(struct blend_file *file, struct source *source, const struct head *head, struct err *err)
{
    if (file->dna || head->len > DNA_BYTES)
        return err_set(err, ERR_INVALID, "it is damaged: its DNA is there twice, or far too large");
    char *data = malloc((size_t)head->len + 1);
    if (!data)
        return err_set(err, ERR_NO_MEMORY, "no memory for the file's DNA");
    if (source_take(source, data, (size_t)head->len, err) < 0) {
        free(data);
        return -1;
    }
    file->dna = dna_new(data, (size_t)head->len, file->pointer, file->swap, err);
    return file->dna ? 0 : -1;
}

static int blocks_read(struct blend_file *file, struct source *source, struct err *err)
{
    bool owned = false; /* DATA belongs to something that is kept */
    struct head head;
    for (;;) {
        if (block_head(file, source, &head, err) < 0)
            return -1;
        if (strcmp(head.code, "ENDB") == 0)
            return file->dna ? 0 : err_set(err, ERR_INVALID, "it is damaged: it has no DNA, which says how it is to be read");
        bool data = strcmp(head.code, "DATA") == 0, thing = !data && code_kept(head.code);
        if (!data)
            owned = thing;
        bool wanted = data ? owned && head.len <= BLEND_BLOCK : thing && head.len <= BLEND_ID;
        bool room = file->count < BLEND_BLOCKS && file->kept + head.len <= BLEND_KEPT;
        file->left_out += wanted && !room;
        int rc = strcmp(head.code, "DNA1") == 0 ? dna_take(file, source, &head, err)
                 : wanted && room               ? block_keep(file, source, &head, err)
                                                : source_skip(source, head.len, err);
        if (rc < 0)
            return -1;
    }
}

static int by_old(const void *a, const void *b)
{
    const struct blend_block *const *one = a, *const *other = b;
    return (*one)->old < (*other)->old ? -1 : (*one)->old > (*other)->old;
}

int blend_file_read(struct blend_file *file, struct source *source, struct err *err)
{
    *file = (struct blend_file){0};
    if (file_head(file, source, err) < 0 || blocks_read(file, source, err) < 0)
        return -1;
    file->by_old = malloc((file->count + 1) * sizeof(struct blend_block *));
    if (!file->by_old)
        return err_set(err, ERR_NO_MEMORY, "no memory for the file's blocks");
    for (uint32_t i = 0; i < file->count; i++)
        file->by_old[i] = &file->blocks[i];
    qsort(file->by_old, file->count, sizeof(struct blend_block *), by_old);
    return 0;
}

void blend_file_close(struct blend_file *file)
{
    for (uint32_t i = 0; i < file->count; i++)
        free(file->blocks[i].data);
    free(file->blocks);
    free(file->by_old);
    dna_free(file->dna);
    *file = (struct blend_file){0};
}

/* ---- what is in them ---- */

struct blend_thing blend_of(const struct blend_block *block)
{
    return (struct blend_thing){block, block ? (int)block->number : -1, 0};
}

uint32_t blend_count(const struct blend_file *file, struct blend_thing thing)
{
    uint32_t size = thing.block ? dna_size(file->dna, (uint32_t)thing.number) : 0;
    return size ? thing.block->len / size : 0;
}

/* Where a field is; NULL if there is none such, or the block is too short for it. */
static const char *field_at(const struct blend_file *file, struct blend_thing thing, const char *path, struct dna_field *field)
{
    if (!thing.block || thing.index >= blend_count(file, thing) || !dna_path(file->dna, thing.number, path, field))
        return NULL;
    uint64_t offset = (uint64_t)thing.index * dna_size(file->dna, (uint32_t)thing.number) + field->offset;
    return offset + (uint64_t)field->size * field->count <= thing.block->len ? thing.block->data + offset : NULL;
}

static uint64_t natural(const struct blend_file *file, const char *at, uint32_t size)
{
    uint16_t two;
    switch (size) {
    case 1:
        return *(const unsigned char *)at;
    case 2:
        memcpy(&two, at, 2);
        return file->swap ? __builtin_bswap16(two) : two;
    case 4:
        return word(file, at);
    case 8:
        return longword(file, at);
    }
    return 0;
}

static double number_of(const struct blend_file *file, const char *at, const struct dna_field *field)
{
    uint64_t bits = natural(file, at, field->size);
    unsigned unused = field->size < 8 ? 64 - 8 * field->size : 0;
    float real;
    double twice;
    if (field->kind == DNA_SIGNED)
        return (double)((int64_t)(bits << unused) >> unused);
    if (field->kind != DNA_REAL)
        return (double)bits;
    uint32_t half = (uint32_t)bits;
    memcpy(&real, &half, 4);
    memcpy(&twice, &bits, 8);
    return field->size == 4 ? (double)real : twice;
}

double blend_number(const struct blend_file *file, struct blend_thing thing, const char *path, double fallback)
{
    struct dna_field field;
    const char *at = field_at(file, thing, path, &field);
    return at && field.kind != DNA_STRUCT && field.kind != DNA_POINTER ? number_of(file, at, &field) : fallback;
}

bool blend_has(const struct blend_file *file, struct blend_thing thing, const char *path)
{
    struct dna_field field;
    return field_at(file, thing, path, &field) != NULL;
}

struct str blend_text(const struct blend_file *file, struct blend_thing thing, const char *path)
{
    struct dna_field field;
    const char *at = field_at(file, thing, path, &field);
    if (!at || field.size != 1)
        return (struct str){"", 0};
    return (struct str){at, (uint32_t)strnlen(at, field.count)};
}

uint64_t blend_pointer(const struct blend_file *file, struct blend_thing thing, const char *path)
{
    struct dna_field field;
    const char *at = field_at(file, thing, path, &field);
    return at && field.kind == DNA_POINTER ? natural(file, at, field.size) : 0;
}

struct blend_thing blend_at(const struct blend_file *file, uint64_t old)
{
    struct blend_block key = {.old = old}, *wanted = &key;
    struct blend_block **found = old ? bsearch(&wanted, file->by_old, file->count, sizeof(struct blend_block *), by_old) : NULL;
    return blend_of(found ? *found : NULL);
}

struct blend_thing blend_follow(const struct blend_file *file, struct blend_thing thing, const char *path)
{
    return blend_at(file, blend_pointer(file, thing, path));
}

struct str blend_string(const struct blend_file *file, struct blend_thing thing, const char *path)
{
    const struct blend_block *block = blend_follow(file, thing, path).block;
    return block ? (struct str){block->data, (uint32_t)strnlen(block->data, block->len)} : (struct str){"", 0};
}
