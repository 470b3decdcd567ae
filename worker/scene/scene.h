/* What a scene file says of itself: how it is rendered, and which files it needs.
 *
 * Filled in by the reader of its format (blend.h, maya_ascii.h, maya_binary.h, unreal.h), completed by locate.h, written by report.h.
 * Texts come from files that anybody may have made: they are cut and cleaned to well-formed UTF-8 here, and live in the scene's arena.
 * Everything is bounded: what is beyond a bound is counted, and told.
 */
#ifndef GANTRY_WORKER_SCENE_SCENE_H
#define GANTRY_WORKER_SCENE_SCENE_H

#include <stdint.h>

#include "proto/arena.h"

#define SCENE_TEXT ((size_t)4096)      /* bytes of one text */
#define SCENE_MEMORY ((size_t)8 << 20) /* bytes of all texts */
#define SCENE_ASSETS 32768             /* files that are listed */
#define SCENE_NAMES 1024               /* cameras, plug-ins, notes of each kind */
#define SCENE_MD5 33                   /* hex and its NUL */

enum scene_format { SCENE_UNKNOWN, SCENE_BLEND, SCENE_MAYA_ASCII, SCENE_MAYA_BINARY, SCENE_UPROJECT, SCENE_UMAP };

enum asset_kind {
    ASSET_TEXTURE,
    ASSET_LIBRARY,   /* another .blend */
    ASSET_REFERENCE, /* another scene, asset or package */
    ASSET_CACHE,
    ASSET_FONT,
    ASSET_SOUND,
    ASSET_MOVIE,
    ASSET_VOLUME,
    ASSET_PROXY, /* geometry that the renderer loads */
    ASSET_LIGHT, /* a light's profile */
    ASSET_SCRIPT,
    ASSET_COLOR, /* configuration of colours */
    ASSET_KINDS
};

struct scene_asset {
    struct str path; /* as the scene has it */
    struct str node; /* what names it; empty if nothing does */
    struct str file; /* where it was found; empty if it was not */
    enum asset_kind kind;
    bool packed;        /* is inside the scene's file */
    bool exists;        /* packed or found */
    bool folder;        /* is a folder */
    uint64_t size;      /* bytes; of all files where path is a pattern */
    uint32_t files;     /* that a pattern (<UDIM>, ####) stands for; 0: it is none */
    const char *reason; /* why it is missing: file_not_found, … ; a literal */
};

/* A number that a file may not have. assumed: the program's own default, as files hold only what differs from that. */
struct scene_number {
    double value;
    bool has, assumed;
};

struct scene_pair {
    struct str name, value;
};

struct scene_pairs {
    struct scene_pair *items; /* owned */
    uint32_t count, size, left_out;
};

struct scene {
    struct arena *arena;
    enum scene_format format;
    struct str version;      /* of the program that wrote it: "3.4", "2024" */
    const char *compression; /* none, gzip, zstd; literals */
    uint64_t size;           /* bytes of the file */
    char md5[SCENE_MD5];     /* of the file; empty until it was read */
    void *codeset;           /* iconv_t: texts are in that; NULL: UTF-8 */

    struct str name; /* of the scene in the file */
    struct str renderer, image_format, output;
    struct scene_number start_frame, end_frame, frame_step, fps, width, height, percentage;
    struct scene_pairs render_cameras, cameras; /* by name */
    struct scene_pairs sampling;                /* name, number as text */
    struct scene_pairs plugins;                 /* name, version */
    struct scene_pairs notes;                   /* what was not read: each a sentence in name */
    struct scene_pairs assumed;                 /* fields that are a program\'s default, but for the numbers above */

    struct scene_asset *assets; /* owned */
    uint32_t count, room, left_out;
    uint32_t *index; /* of assets by hash; owned */
    uint32_t index_size;
    bool starved; /* some allocation failed: nothing it says is whole */
};

/* A zeroed scene is made ready. -1 with err: no memory. */
int scene_open(struct scene *scene, struct err *err);
void scene_close(struct scene *scene); /* takes a zeroed one */

/* From here on texts are in this code page of Windows' (936, 1252, 65001, …). One that is not known is noted. */
void scene_codeset(struct scene *scene, unsigned page);

/* A copy in the arena, cut and cleaned; empty (with starved, or left out) where there is no room. */
struct str scene_text(struct scene *scene, const char *bytes, size_t len);
struct str scene_utf8(struct scene *scene, const char *bytes,
                      size_t len); /* of what is not from the file: UTF-8 whatever its code page */

/* Each does nothing for an empty name, and for one that is there. */
void scene_pair_add(struct scene *scene, struct scene_pairs *pairs, const char *name, size_t name_len, const char *value,
                    size_t value_len);
void scene_name_add(struct scene *scene, struct scene_pairs *pairs, struct str name);
void scene_sampling(struct scene *scene, const char *name, double value);
void scene_sampling_assume(struct scene *scene, const char *name, double value); /* unless it is there */
void scene_assume(struct scene *scene, const char *field);
void scene_note(struct scene *scene, const char *format, ...) __attribute__((format(printf, 2, 3)));

void scene_number_set(struct scene_number *number, double value);    /* values that are not finite are passed over */
void scene_number_assume(struct scene_number *number, double value); /* unless it is there */

/* Adds a file that the scene names; the same path of the same kind is one asset. Empty paths are passed over. */
void scene_asset_add(struct scene *scene, enum asset_kind kind, struct str path, struct str node, bool packed);

const char *scene_format_name(enum scene_format format);
const char *asset_kind_name(enum asset_kind kind);

#endif
