/* The part of a worker that serves the transcode farm: scans, and transcodes that are put beside their source or in its place. */
#include <stdlib.h>

#include "tests/sim/worker.h"

#define CORR 9 /* of all it asks: answers say themselves what they are about */

/* Every one has a CPU; some have a graphics card, too, and more than one slot for transcodes. */
struct str transcoder_labels(uint32_t who)
{
    static const char cpu[] = "\x82\xb2transcode.encoders\xa3"
                              "cpu\xaftranscode.slots\xa1"
                              "1";
    static const char both[] = "\x82\xb2transcode.encoders\xa9"
                               "nvenc,cpu\xaftranscode.slots\xa1"
                               "2";
    return who % 2 ? (struct str){both, sizeof both - 1} : (struct str){cpu, sizeof cpu - 1};
}

void transcoder_ask(uint32_t who, struct hand *hand)
{
    union walk_message message;
    const struct shape *shape = walk_question(hand->scan, hand->run, hand->attempt, &message);
    worker_say(who, shape, &message, CORR);
    hand->next_at = sim.now + LOG_AGAIN_MS;
}

/* That the file it has worked on is another now. */
void transcoder_tell(uint32_t who, struct hand *hand)
{
    const struct film *film = film_named(hand->name);
    if (!film) { /* it has been moved or removed: a scan finds out */
        hand->tells = false;
        return;
    }
    struct rec_video_found row = film_found(film, hand->video, true, 0);
    struct msg_library_found found = {
        .run_id = hand->run, .attempt = hand->attempt, .seq = 1, .root = STR_LIT(FILM_ROOT), .videos = {&row, 1}, .walked = 1};
    worker_say(who, &shape_msg_library_found, &found, CORR);
    hand->next_at = sim.now + LOG_AGAIN_MS;
}

struct str transcoder_result(const struct hand *hand)
{
    static char text[96];
    if (hand->skips)
        return STR_LIT("{\"skipped\":\"Dolby Vision would be lost\"}");
    const struct film *film = film_named(hand->name);
    snprintf(text, sizeof text, "{\"dest\":\"/out/%lu\",\"size_after\":%lu}", (unsigned long)hand->run,
             (unsigned long)(film && film_was_made(film->content) ? film->size : 1));
    return str_of(text);
}

/* The source is there as it was when the farm looked at it. */
bool transcoder_source_stands(const struct hand *hand)
{
    const struct film *film = film_named(hand->name);
    return film && film->content == hand->content;
}

/* What it is to do in the library, if that is what it is. */
void transcoder_take(struct hand *hand, const struct rec_assignment *given)
{
    struct token token;
    struct str text;
    hand->film = str_is(given->spec.task_type, "transcode");
    if (str_is(given->spec.task_type, "scan"))
        hand->scan = walk_new();
    if (!hand->film)
        return;
    if (!map_text(given->parameters, STR_LIT("path"), &text) || !map_find(given->parameters, "video_id", &token))
        broken(hand->run, "a transcode does not say of what");
    hand->name = film_name_of(text);
    hand->video = token.u.natural;
    if (map_find(given->parameters, "size", &token))
        hand->size = token.u.natural;
    const struct film *film = film_named(hand->name);
    uint64_t mtime = map_find(given->parameters, "mtime_ns", &token) ? token.u.natural : 0;
    hand->content = film && film->size == hand->size && film->mtime == mtime ? film->content : 0;
    hand->skips = one_in(20);
    sim.newest_film = hand->run;
}
