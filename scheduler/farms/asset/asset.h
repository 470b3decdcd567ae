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
#define ASSETS_MAX 2000000            /* of each kind: files, paths */
#define SCENES_MAX 10000              /* the oldest goes */

struct asset {
    uint64_t id;
    struct str key; /* of the bytes below */
    unsigned char md5[ASSET_MD5];
    uint64_t size, used_at;
    uint32_t names; /* paths that stand for it */
};

struct asset_name {
    uint64_t id;
    struct str path; /* of the bytes behind it */
    struct asset *asset;
    struct text *unionid; /* NULL: nobody's */
    char bytes[];
};

/* What a path stands for: assets/<md5>, or one that was bound at an upload. NULL: nothing, or there is no such farm. */
struct asset *asset_named(const struct core *core, struct str path);
void md5_hex(const unsigned char md5[ASSET_MD5], char out[ASSET_HEX]);

/* ---- what the files of this folder share ---- */

struct scene { /* one that was read */
    uint64_t id;
    struct str key;
    unsigned char md5[ASSET_MD5];
    struct scene *newer;
};

struct scene_run { /* one that is being read */
    uint64_t run_id;
    struct str key;
    unsigned char md5[ASSET_MD5];
};

struct assets {
    struct farm farm;
    struct index ids, files; /* of struct asset: by id, by md5 */
    struct index names;      /* of struct asset_name, by path */
    struct index scenes;     /* of struct scene, by md5 */
    struct scene *oldest, *newest;
    struct index runs, reading; /* of struct scene_run: by run, by md5 */
};

struct assets *assets_of(const struct core *core); /* NULL: there is no such farm */
struct asset *asset_find(const struct assets *assets, struct str md5);
bool md5_read(struct str hex, unsigned char out[ASSET_MD5]); /* 32 digits, of either case */

int asset_load(struct assets *assets, const struct rec_asset *record, struct err *err);
int asset_use_load(struct assets *assets, const struct rec_asset_use *record);
int asset_name_load(struct assets *assets, const struct rec_asset_name *record, struct err *err);
core_handler asset_on_add, asset_on_check, asset_on_find;

int scene_load(struct assets *assets, const struct rec_scene *record, struct err *err);
int scenes_loaded(struct assets *assets, struct core *core, struct err *err);
void scene_ended(struct assets *assets, struct core *core, const struct rec_run *run);
void scenes_free(struct assets *assets);
core_handler scene_on_analyse, scene_on_ask;

#endif
