#include "worker/video/found.h"

#include <stdlib.h>
#include <string.h>

#include "worker/video/recipe.h"

#define BYTES_MAX ((size_t)512 << 10) /* of a batch, about */
#define DETAIL_MAX ((size_t)32 << 10)
#define ARENA_MAX ((size_t)16 << 20)

int found_begin(struct found *found, const char *rules, const char *vr, uint64_t rules_id, struct err *err)
{
    *found = (struct found){.vr = vr, .rules_id = rules_id};
    found->rules = malloc(sizeof(*found->rules));
    found->arena = arena_new(ARENA_MAX);
    if (!found->rules || !found->arena)
        return err_set(err, ERR_NO_MEMORY, "no memory for a scan");
    return rules_read(rules, found->rules, err);
}

void found_clear(struct found *found)
{
    free(found->rules);
    arena_free(found->arena);
    found->rules = NULL;
    found->arena = NULL;
}

void found_reset(struct found *found)
{
    found->count = 0;
    found->bytes = 0;
    arena_reset(found->arena);
}

bool found_full(const struct found *found)
{
    return found->count == FOUND_MAX || found->bytes >= BYTES_MAX;
}

static struct str keep(struct found *found, struct str text)
{
    found->bytes += text.len;
    return arena_str(found->arena, text);
}

static void judge(struct found *found, struct rec_video_found *row, const struct probe *probe)
{
    const struct probe_stream *film = probe_film(probe);
    const char *why = recipe_refusal(probe); /* whatever the rules say */
    row->codec = keep(found, str_of(film->codec));
    row->container = keep(found, str_cut(str_of(probe->format), strcspn(probe->format, ",")));
    row->bitrate_k = probe_video_bitrate(probe) / 1000;
    row->fps = film->fps;
    row->width = film->width < 1 << 20 ? film->width : 0;
    row->height = film->height < 1 << 20 ? film->height : 0;
    row->duration_ms = probe->duration < 1e12 ? (uint64_t)(probe->duration * 1000) : 0;
    row->is_vr = vr_is(found->vr, probe, row->path.ptr);
    row->wanted = !why && rules_judge(found->rules, probe, row->path.ptr, row->is_vr).wanted;
    if (why)
        row->reason = str_of(why);
    SET_HAS(row, rec_video_found, wanted);
}

static void detail(struct found *found, struct rec_video_found *row, const struct probe *probe)
{
    struct buf map = {.limit = DETAIL_MAX};
    if (probe_detail(probe, &map) == 0) {
        row->detail = keep(found, buf_str(&map));
        if (row->detail.ptr)
            SET_HAS(row, rec_video_found, detail);
    }
    buf_free(&map);
}

int found_add(struct found *found, const struct rec_video_found *given, const struct probe *probe, struct err *err)
{
    struct rec_video_found *row = &found->items[found->count];
    *row = *given;
    row->path = keep(found, given->path);
    row->rules = found->rules_id;
    if (probe->hashed)
        row->hash = keep(found, (struct str){(const char *)probe->hash, PROBE_HASH});
    if (!row->path.ptr || (probe->hashed && !row->hash.ptr))
        return err_set(err, ERR_NO_MEMORY, "no memory for what was found");
    if (probe->error[0])
        row->error = keep(found, str_of(probe->error));
    else {
        judge(found, row, probe);
        detail(found, row, probe);
    }
    found->count++;
    found->bytes += 128;
    return 0;
}
