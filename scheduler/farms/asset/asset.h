/* What the blob store holds, by the MD5 of its files; the paths that stand for them; and what was read of scenes.
 *
 * The files are the gateway's: it writes one, makes it durable, and then says so here. What is known of each is in its record; memory has
 * what is needed to find it. Not every farm has this one: a folder and a line in farms.def.
 */
#ifndef GANTRY_SCHEDULER_FARMS_ASSET_ASSET_H
#define GANTRY_SCHEDULER_FARMS_ASSET_ASSET_H

#include "scheduler/core_state.h"
#include "scheduler/farms/farm.h"

#define ASSET_MD5 16
#define ASSET_HEX (2 * ASSET_MD5 + 1) /* with its NUL */
#define ASSET_KEY 2048                /* bytes of a path, and whose it is */
#define ASSETS_MAX 2000000            /* of each kind: files, paths */
#define SCENES_MAX 10000              /* the oldest goes */
#define SCENE_PAGES_MAX 100000        /* of what scenes need, 128 files each; the oldest scene's go */

struct asset {
    uint64_t id;
    struct str key; /* of the bytes below */
    unsigned char md5[ASSET_MD5];
    uint64_t size, used_at;
    struct asset_name *names; /* paths that stand for it */
    uint32_t name_count;
};

/* The same path may stand for another file with each unionid: what somebody binds is his alone, and what nobody's name is on is for all. */
struct asset_name {
    uint64_t id;
    struct str path; /* as a place (proto/place.h); of the bytes behind it, as is: */
    struct str key;  /* the path, a NUL, and whose it is */
    struct asset *asset;
    struct asset_name *prev, *next;     /* of the same file */
    struct asset_group *group;          /* NULL: there is no number in its name */
    struct asset_name *before, *behind; /* of the same group */
    struct text *unionid;               /* NULL: nobody's */
    char bytes[];
};

struct asset_group { /* paths of one owner that differ in the numbers of their last names alone */
    struct str key;  /* of the bytes below: such a path with `#` for each number, a NUL, and whose it is */
    struct asset_name *first, *last;
    char bytes[];
};

/* What a path stands for to this unionid: assets/<md5>, or one that was bound at an upload, his own before nobody's. NULL: nothing, or there
 * is no such farm. */
struct asset *asset_named(const struct core *core, struct str path, struct str unionid);
/* The file of this MD5, as 32 hexadecimal digits. NULL likewise. */
struct asset *asset_hashed(const struct core *core, struct str hex);

struct asset_look {            /* files that a scene names */
    struct str unionid, scene; /* whose it is; its own path */
    bool blender;              /* `//x` is relative */
    uint32_t
        steps; /* paths that are held against patterns yet, beside the first for each: a scene of many costs no more than that */
    bool cut;  /* set: they did not reach as far as a file, which may be there */
};
#define ASSET_STEPS 1000        /* of a page */
#define ASSET_LOOK_STEPS 100000 /* of a question about many paths: sequences side by side are all one group */
/* The file at a path as the scene has it: bound by where it is (proto/place.h) or, a relative one, by just that; of those that a pattern stands for
 * the first that is found. NULL: it is not there. */
struct asset *asset_look(const struct core *core, struct asset_look *look, struct str path);
#define ASSET_LOOKS 256 /* paths in one question */

struct asset_page {                /* of the files that a pattern stands for; texts are borrowed until something changes */
    struct str names[ASSET_LOOKS]; /* their last ones; the same may come again behind one's own: as nobody's */
    char md5s[ASSET_LOOKS * ASSET_MD5];
    uint32_t count;
    char after[ASSET_KEY]; /* the next page is asked for with this; empty: there is none */
};
/* Those behind `after`: empty, or as the page before has it. */
void asset_list(const struct core *core, struct asset_look *look, struct str pattern, struct str after, struct asset_page *page);

/* Has this file of the blob store, in that folder of the gateway's, read as a scene if it never was and some worker can; else nothing happens. */
void scene_want(struct core *core, const struct asset *asset, struct str blobs);
void md5_hex(const unsigned char md5[ASSET_MD5], char out[ASSET_HEX]);

struct scene_version { /* 2024 is 2024.0; both 0: not known */
    unsigned major, minor;
};

struct scene_version
scene_version_read(struct str text); /* "3.4.1": what is behind the second number says nothing about what can be opened */
/* Of the program that saved the scene with this MD5, in hexadecimal: known once the scene was read. */
struct scene_version scene_made(const struct core *core, struct str md5);

/* It is used just now, which is noted unless it was a moment ago: room for a record of ASSET_USE_BYTES has been reserved. */
void asset_use(struct core *core, struct asset *asset);
#define ASSET_USE_BYTES 32

/* ---- what the files of this folder share ---- */

struct scene { /* one that was read */
    uint64_t id;
    struct str key;
    unsigned char md5[ASSET_MD5];
    struct scene *newer;
};

struct scene_list { /* which files one needs; they themselves are records only */
    uint64_t id;
    struct str key;
    unsigned char md5[ASSET_MD5];
    struct scene_list *newer;
    uint64_t left_out;
    uint32_t pages;
    bool whole;                /* all were told */
    struct scene_version made; /* of the program that saved it */
};

struct scene_run { /* one that is being read */
    uint64_t run_id;
    struct str key;
    unsigned char md5[ASSET_MD5];
};

struct assets {
    struct farm farm;
    struct index ids, files; /* of struct asset: by id, by md5 */
    struct index names;      /* of struct asset_name, by its key */
    struct index groups;     /* of struct asset_group, by its key */
    struct index scenes;     /* of struct scene, by md5 */
    struct scene *oldest, *newest;
    struct index runs, reading; /* of struct scene_run: by run, by md5 */
    struct index lists;         /* of struct scene_list, by md5 */
    struct scene_list *first_list, *last_list;
    uint64_t pages; /* of all lists */
    uint64_t seed;  /* for tables that are made for a moment */
};

struct assets *assets_of(const struct core *core); /* NULL: there is no such farm */
struct asset *asset_find(const struct assets *assets, struct str md5);
/* A path as it is known here: as a place, or, if it is none, as it is. room: PLACE_MAX bytes. */
struct str asset_place(struct str path, char *room);
/* The key of such a path, into out (ASSET_KEY bytes); empty: too long for any. */
struct str asset_key(struct str place, struct str unionid, char *out);
const char *asset_last(const char *place);                   /* the name behind its last slash */
bool md5_read(struct str hex, unsigned char out[ASSET_MD5]); /* 32 digits, of either case */

/* Those that this pattern, a place, may stand for; NULL: there are none. */
const struct asset_group *group_find(const struct assets *assets, const char *place, struct str unionid);
/* The name's group, which it is in only once it has joined. -1: no memory. */
int group_want(struct assets *assets, struct asset_name *name);
void group_join(struct assets *assets, struct asset_name *name);
void group_leave(struct assets *assets, struct asset_name *name);
void group_drop(struct asset_name *name); /* it has left, or never joined: a group without names goes */

/* Out of every table, with its record. Room for one deletion; of a file for two, and for one of each of its paths. */
void asset_name_forget(struct assets *assets, struct core *core, struct asset_name *name);
void asset_forget(struct assets *assets, struct core *core, struct asset *asset);

int asset_load(struct assets *assets, const struct rec_asset *record, struct err *err);
int asset_use_load(struct assets *assets, const struct rec_asset_use *record);
int asset_name_load(struct assets *assets, const struct rec_asset_name *record, struct err *err);
core_handler asset_on_add, asset_on_check, asset_on_find, asset_on_look, asset_on_sweep, asset_on_held;

int scene_load(struct assets *assets, const struct rec_scene *record, struct err *err);
int scenes_loaded(struct assets *assets, struct core *core, struct err *err);
void scene_ended(struct assets *assets, struct core *core, const struct rec_run *run);
void scenes_free(struct assets *assets);
core_handler scene_on_analyse, scene_on_ask;

int scene_list_load(struct assets *assets, const struct rec_scene_needs *record, struct err *err);
const struct scene_list *scene_list_find(const struct assets *assets, struct str md5); /* NULL, or one that is whole */
void scene_lists_free(struct assets *assets);
core_handler scene_on_tell;

#endif
