#include "worker/scene/maya_binary.h"

#include <endian.h>
#include <stdlib.h>

#include "proto/messages.h"
#include "worker/scene/maya.h"

struct group {
    char type[4];
    uint64_t end; /* where it ends in the file */
};

struct reading {
    struct maya maya;
    struct scene *scene;
    struct source *source;
    bool wide; /* FOR8 */
    unsigned depth;
    struct group groups[MAYA_DEPTH];
    bool unknown;    /* the node's type is none that is known: its attributes are judged by their names */
    uint64_t unread; /* attributes of sorts that are not known */
    char chunk[MAYA_CHUNK + 1];
};

struct chunk {
    char tag[4];
    uint64_t size;
};

static bool is(const char tag[4], const char *name)
{
    return memcmp(tag, name, 4) == 0;
}

static uint64_t aligned(const struct reading *self, uint64_t size)
{
    uint64_t unit = self->wide ? 8 : 4;
    return (size + unit - 1) / unit * unit;
}

static int chunk_head(struct reading *self, struct chunk *chunk, struct err *err)
{
    unsigned char bytes[16];
    if (source_take(self->source, bytes, self->wide ? 16 : 8, err) < 0)
        return -1;
    memcpy(chunk->tag, bytes, 4);
    if (self->wide) {
        memcpy(&chunk->size, bytes + 8, 8);
        chunk->size = be64toh(chunk->size);
    } else {
        uint32_t size;
        memcpy(&size, bytes + 4, 4);
        chunk->size = be32toh(size);
    }
    return chunk->size <= INT64_MAX / 2
               ? 0
               : err_set(err, ERR_INVALID, "it is damaged: a chunk says that it has less than no length");
}

/* ---- what chunks say ---- */

/* The text that begins at *at, which moves behind its NUL. */
static struct str text_next(const char **at, const char *end)
{
    struct str text = {*at, (uint32_t)strnlen(*at, (size_t)(end - *at))};
    *at += text.len;
    *at += *at < end;
    return text;
}

/* Behind flags, of which there may be one or none. */
static const char *flags_pass(const char *at, const char *end)
{
    while (at < end && (unsigned char)*at < ' ')
        at++;
    return at;
}

static void head_chunk(struct reading *self, const char *tag, const char *at, const char *end)
{
    struct str first = text_next(&at, end);
    if (is(tag, "VERS"))
        maya_requires(&self->maya, STR_LIT("maya"), first);
    else if (is(tag, "PLUG"))
        maya_requires(&self->maya, first, text_next(&at, end));
    else if (is(tag, "TUNI"))
        maya_time_unit(&self->maya, first);
}

static void node_begin(struct reading *self, const char *type, const char *at, const char *end)
{
    static const struct {
        const char *tag, *type;
    } known[] = {{"DCAM", "camera"}, {"RTFT", "file"}};
    struct str name = text_next(&at, end), found = {"", 0};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (is(type, known[i].tag))
            found = str_of(known[i].type);
    maya_node(&self->maya, found, name.ptr, name.len);
    self->unknown = found.len == 0;
    if (self->unknown)
        self->maya.node = scene_text(self->scene, name.ptr, name.len);
}

static bool looks_like_path(struct str text)
{
    bool folder = false, dot = false;
    for (uint32_t i = 0; i < text.len; i++) {
        folder = folder || text.ptr[i] == '/' || text.ptr[i] == '\\';
        dot = dot || (text.ptr[i] == '.' && i + 1 < text.len);
        if ((unsigned char)text.ptr[i] < ' ')
            return false;
    }
    return folder && dot;
}

/* name NUL flag, and what is set. */
static void attribute(struct reading *self, const char *tag, const char *at, const char *end)
{
    struct str name = text_next(&at, end);
    const char *bracket = name.len ? memchr(name.ptr, '[', name.len) : NULL;
    if (bracket)
        name.len = (uint32_t)(bracket - name.ptr);
    at += at < end; /* its flag */
    const struct maya_row *row = self->unknown ? maya_row_anywhere(name) : maya_row(&self->maya, name);
    if (!row)
        return;
    if (is(tag, "STR ") && maya_row_is_text(row)) {
        struct str text = text_next(&at, end);
        if (!self->unknown || looks_like_path(text))
            maya_text(&self->maya, row, text.ptr, text.len);
    } else if (is(tag, "DBLE") && !maya_row_is_text(row) && end - at >= 8) {
        uint64_t bits;
        double value;
        memcpy(&bits, at, 8);
        bits = be64toh(bits);
        memcpy(&value, &bits, 8);
        maya_number(&self->maya, row, value);
    } else
        self->unread++;
}

static void chunk_look(struct reading *self, const char *tag, const char *at, const char *end)
{
    const char *group = self->groups[self->depth - 1].type;
    if (is(group, "HEAD"))
        head_chunk(self, tag, at, end);
    else if (is(group, "FREF") || is(tag, "FREF")) {
        struct str path = is(tag, "FREF") ? text_next(&at, end) : (struct str){"", 0};
        maya_reference(&self->maya, path.ptr, path.len, "", 0);
    } else if (is(tag, "CREA"))
        node_begin(self, group, flags_pass(at, end), end);
    else if (is(tag, "SLCT")) {
        at = flags_pass(at, end);
        maya_select(&self->maya, text_next(&at, end));
        self->unknown = false;
    } else if (is(tag, "STR ") || is(tag, "DBLE"))
        attribute(self, tag, at, end);
}

/* ---- the tree of them ---- */

static bool is_group(const struct reading *self, const char tag[4])
{
    return is(tag, self->wide ? "FOR8" : "FOR4") || is(tag, self->wide ? "LIS8" : "LIS4");
}

static int group_begin(struct reading *self, const struct chunk *chunk, uint64_t end, struct err *err)
{
    char type[8];
    if (self->depth == MAYA_DEPTH)
        return err_set(err, ERR_INVALID, "it is damaged: its groups are over %d deep", MAYA_DEPTH);
    if (chunk->size < (self->wide ? 8u : 4u))
        return err_set(err, ERR_INVALID, "it is damaged: a group is too short for its name");
    if (source_take(self->source, type, self->wide ? 8 : 4, err) < 0)
        return -1;
    struct group *group = &self->groups[self->depth++];
    memcpy(group->type, type, 4);
    group->end = end;
    return 0;
}

static int chunk_read(struct reading *self, const struct chunk *chunk, uint64_t end, struct err *err)
{
    size_t len = chunk->size < MAYA_CHUNK ? (size_t)chunk->size : MAYA_CHUNK;
    if (source_take(self->source, self->chunk, len, err) < 0)
        return -1;
    self->chunk[len] = '\0';
    chunk_look(self, chunk->tag, self->chunk, self->chunk + len);
    return source_skip(self->source, end - source_at(self->source), err);
}

/* One chunk, or the beginning of a group. */
static int step(struct reading *self, struct err *err)
{
    struct chunk chunk;
    uint64_t outer = self->groups[self->depth - 1].end;
    if (outer - source_at(self->source) < (self->wide ? 16u : 8u))
        return source_skip(self->source, outer - source_at(self->source), err);
    if (chunk_head(self, &chunk, err) < 0)
        return -1;
    uint64_t end = source_at(self->source) + aligned(self, chunk.size);
    if (end > outer && source_at(self->source) + chunk.size <= outer)
        end = outer; /* the last one is not filled up */
    if (end > outer)
        return err_set(err, ERR_INVALID, "it is damaged: a chunk is longer than the group that it is in");
    return is_group(self, chunk.tag) ? group_begin(self, &chunk, end, err) : chunk_read(self, &chunk, end, err);
}

static int file_read(struct reading *self, struct err *err)
{
    struct chunk chunk;
    char first[4];
    if (source_take(self->source, first, 4, err) < 0)
        return -1;
    source_back(self->source, 4);
    self->wide = is(first, "FOR8");
    if ((!self->wide && !is(first, "FOR4")) || chunk_head(self, &chunk, err) < 0)
        return err->code ? -1 : err_set(err, ERR_INVALID, "it is no Maya binary file");
    if (group_begin(self, &chunk, source_at(self->source) + chunk.size, err) < 0)
        return -1;
    if (!is(self->groups[0].type, "Maya"))
        return err_set(err, ERR_INVALID, "it is no Maya binary file");
    while (self->depth) {
        if (self->groups[self->depth - 1].end == source_at(self->source))
            self->depth--;
        else if (step(self, err) < 0)
            return -1;
    }
    return 0;
}

int maya_binary_read(struct source *source, struct scene *scene, struct err *err)
{
    struct reading *self = calloc(1, sizeof(*self));
    struct err none = {0};
    if (!self)
        return err_set(err, ERR_NO_MEMORY, "no memory to read a scene");
    scene->format = SCENE_MAYA_BINARY;
    scene->compression = source_compression(source);
    self->scene = scene;
    self->source = source;
    maya_begin(&self->maya, scene);
    int rc = file_read(self, err ? err : &none);
    maya_end(&self->maya);
    scene_note(
        scene,
        "Maya's binary format is not public: types of nodes are mostly unknown, so files are told by the names of attributes, "
        "and cameras that are not Maya's own are not listed");
    if (self->unread)
        scene_note(scene, "%llu values that matter are kept in ways that are not known", (unsigned long long)self->unread);
    free(self);
    return rc;
}
