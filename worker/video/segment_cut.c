#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/video/made.h"
#include "worker/video/prober.h"
#include "worker/video/segment.h"
#include "worker/video/words.h"

#define LIST "segments" /* in the run's own folder: for ffmpeg's concat demuxer */

/* ---- cut ---- */

/* Where what is made of one frame depends on its neighbours', or on their pace, a part of the film is not what it is in the whole. */
static const char *refusal(const struct transcode *it, const struct probe *source, const struct wish *wish)
{
    const struct probe_stream *film = probe_film(source);
    if (film->interlaced)
        return "it is interlaced";
    if (wish->rate && film->fps > wish->rate * 1.03)
        return "its rate is lowered";
    if (strchr(it->final, '\n')) /* the list has a line for each */
        return "its name has several lines";
    return NULL;
}

/* What the farm is told. 1; 0: it cannot be cut. */
static int places_of(struct transcode *it, const struct probe *source, const struct wish *wish, uint64_t starts[CUTS_MAX],
                     struct rec_transcode_cut *cut)
{
    static struct cut_places places;
    struct err why = {0};
    const char *no = refusal(it, source, wish);
    uint64_t most_ms = words_number(it->words, "segment_ms");
    uint64_t every = cuts_length((uint64_t)(source->duration * 1000), most_ms);
    if (!no && prober_keys(words_or(it->words, "probe", "gantry-probe"), it->source, every, &places, &why) < 0)
        no = why.text;
    int64_t length = no ? 0 : (int64_t)((double)every / 1000 * (double)places.base_den / (double)places.base_num);
    uint32_t count = no ? 0 : cuts_plan(&places, length, starts);
    if (count < 2) {
        printf("it is made whole: %s\n", no ? no : "it has no key frame to be cut at");
        return 0;
    }
    *cut = (struct rec_transcode_cut){.id = it->run,
                                      .starts = {starts, count},
                                      .length = (uint64_t)places.length,
                                      .first = places.keys[0],
                                      .base_num = (uint64_t)places.base_num,
                                      .base_den = (uint64_t)places.base_den,
                                      .offset_us = places.offset_us};
    return 1;
}

static int ask(struct transcode *it, const struct rec_transcode_cut *told, struct rec_transcode_cut *cut)
{
    static struct msg answer; /* cut borrows from it, and from its memory, until this program ends */
    static struct arena *arena;
    struct msg_transcode_cut question = {.run_id = it->run, .attempt = it->attempt};
    if (!arena && !(arena = arena_new((size_t)1 << 20)))
        return err_set(it->err, ERR_NO_MEMORY, "no memory to ask the farm");
    if (told) {
        question.cut = *told;
        SET_HAS(&question, msg_transcode_cut, cut);
    }
    if (farm_ask(&it->line, arena, &shape_msg_transcode_cut, &question, &answer, it->err) < 0)
        return -1;
    if (answer.shape->id != MSG_TRANSCODE_CUT_KNOWN)
        return err_set(it->err, ERR_PROTOCOL, "the farm says a %s where segments were asked for", answer.shape->name);
    *cut = answer.u.transcode_cut_known.cut;
    return HAS(&answer.u.transcode_cut_known, msg_transcode_cut_known, cut) ? 1 : 0;
}

int segment_cut(struct transcode *it, const struct probe *source, const struct wish *wish, struct rec_transcode_cut *cut)
{
    static uint64_t starts[CUTS_MAX];
    struct rec_transcode_cut told;
    struct recipe choices = {0};
    struct stat info;
    if (!words_number(it->words, "segment_ms"))
        return 0;
    if (it->attempt > 1)
        return ask(it, NULL, cut);
    bool taken = lstat(it->final, &info) == 0 && !(it->replace && strcmp(it->final, it->source) == 0) &&
                 !made_stands(words_or(it->words, "made", ""), it->final, &info);
    if (taken || !places_of(it, source, wish, starts, &told))
        return 0; /* what stands at its place is told of as ever */
    int rc = recipe_make(&choices, source, wish, it->source, it->temporary);
    if (rc == 0) {
        told.codec = str_of(choices.codec);
        told.preset = str_of(choices.preset);
        told.crf = choices.crf;
        printf("it can be cut into %u segments\n", told.starts.count);
        fflush(stdout);
        rc = ask(it, &told, cut);
    }
    recipe_clear(&choices);
    return rc;
}

/* ---- joined ---- */

/* A line `file '…'`; quotes are written as ffmpeg's own shell-like syntax wants them. */
static void list_file(FILE *list, const char *path)
{
    fputs("file 'file:", list);
    for (; *path; path++)
        *path == '\'' ? fputs("'\\''", list) : fputc(*path, list);
    fputs("'\n", list);
}

static int64_t moment_us(const struct rec_transcode_cut *cut, uint64_t at)
{
    return (int64_t)((double)at * 1e6 * (double)cut->base_num / (double)cut->base_den + 0.5);
}

/* Each is looked at: all must have the same headers, as one decoder is to read them. How long each lasts is told as the difference of
 * two moments, so that no rounding adds up. */
static int list_write(struct transcode *it, const struct probe *source, const struct rec_transcode_cut *cut, FILE *list)
{
    static struct probe first, made;
    char path[PATH_MAX], codec[17];
    str_copy(codec, sizeof(codec), cut->codec);
    fputs("ffconcat version 1.0\n", list);
    for (uint32_t i = 0; i < cut->starts.count; i++) {
        bool last = i + 1 == cut->starts.count;
        int64_t from = moment_us(cut, cut->starts.items[i]);
        int64_t to = last ? (int64_t)(source->duration * 1e6) - cut->offset_us : moment_us(cut, cut->starts.items[i + 1]);
        if (segment_path(it, it->run, i + 1, path) < 0)
            return -1;
        if (access(path, R_OK) < 0)
            return err_set(it->err, ERR_NOT_FOUND, "segment %u is not here, or cannot be read: %.100s: %s", i + 1, path,
                           strerror(errno));
        if (segment_verify(it, path, codec, (double)(to - from) / 1e6, last, i ? &made : &first) < 0)
            return -1;
        if (i && strcmp(probe_film(&made)->headers, probe_film(&first)->headers) != 0)
            return err_set(it->err, ERR_CONFLICT, "segment %u was made by another encoder than the first, and cannot be joined",
                           i + 1);
        list_file(list, path);
        if (!last)
            fprintf(list, "duration %.6f\n", (double)(to - from) / 1e6);
    }
    return 0;
}

int segment_recipe(struct transcode *it, const struct probe *source, const struct rec_transcode_cut *cut, const char *target,
                   struct recipe *recipe)
{
    char folder[PATH_MAX - sizeof(LIST) - 1], path[PATH_MAX];
    static char preset[33]; /* recipe borrows it */
    struct wish wish = transcode_wish(it);
    FILE *list = NULL;
    if (getcwd(folder, sizeof(folder))) {
        snprintf(path, sizeof(path), "%s/" LIST, folder);
        list = fopen(path, "we");
    }
    if (!list)
        return err_set(it->err, ERR_IO, "the list of segments cannot be written: %s", strerror(errno));
    int rc = list_write(it, source, cut, list);
    if (fclose(list) != 0 && rc == 0)
        rc = err_set(it->err, ERR_IO, "the list of segments cannot be written: %s", strerror(errno));
    if (rc < 0)
        return -1;
    str_copy(preset, sizeof(preset), cut->preset);
    wish.engine = (enum recipe_engine)cut->encoder;
    wish.av1 = str_is(cut->codec, "av1");
    wish.crf = (unsigned)cut->crf;
    wish.preset = preset;
    wish.rate = 0;
    if (recipe_join(recipe, source, &wish, path, cut->offset_us, it->source, target) < 0)
        return err_set(it->err, ERR_INVALID, "no command line can be made of these settings");
    return 0;
}
