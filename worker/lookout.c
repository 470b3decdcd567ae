#include "worker/lookout.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/log.h"
#include "worker/video/mount.h"

#define AGAIN_MS 60000 /* between two tries to watch a folder */
#define ARENA_MAX ((size_t)1 << 16)

static void hear(struct lookout_post *post, struct str frame)
{
    struct arena *arena = arena_new(ARENA_MAX);
    struct msg msg;
    if (arena && msg_decode(arena, frame, &msg, NULL) == 0 && msg.shape->id == MSG_LIBRARY_HINT)
        link_hint(post->lookout->link, &msg.u.library_hint);
    arena_free(arena);
}

static void on_channel(void *self, const char *data, size_t len)
{
    struct lookout_post *post = self;
    struct channel_frame frame;
    size_t used;
    if (channel_feed(&post->channel, data, len) < 0)
        return;
    while (channel_next(&post->channel, &frame, &used)) {
        if (frame.word == CHANNEL_TELL)
            hear(post, frame.content);
        channel_drop(&post->channel, used);
    }
}

static void on_output(void *self, enum log_stream stream, const char *data, size_t len)
{
    struct lookout_post *post = self;
    (void)stream;
    size_t cut = str_clean(post->line, sizeof(post->line) - 1, (struct str){data, (uint32_t)len});
    post->line[cut] = '\0';
    post->line[strcspn(post->line, "\n")] = '\0';
}

static void on_ended(void *self, const struct process_end *end)
{
    struct lookout_post *post = self;
    post->process = NULL;
    channel_clear(&post->channel);
    log_info("GTY-LIBRARY-WATCH", "root=%s is not watched for now: %s", post->root, post->line[0] ? post->line : end->failure);
}

static void post_start(struct lookout_post *post)
{
    static const struct process_events events = {.output = on_output, .channel = on_channel, .ended = on_ended};
    struct lookout *lookout = post->lookout;
    char root[4200], prefix[4200], extensions[1100], *env[] = {NULL};
    struct err err = {0};
    struct str here = mount_of(str_of(settings_text(lookout->settings, SET_LIBRARY)),
                               str_of(settings_text(lookout->settings, SET_TRANSCODE_PREFIX)), str_of(post->root));
    snprintf(root, sizeof(root), "root=%s", post->root);
    snprintf(prefix, sizeof(prefix), "prefix=%.*s", (int)here.len, here.ptr);
    snprintf(extensions, sizeof(extensions), "extensions=%s", settings_text(lookout->settings, SET_LIBRARY_EXTENSIONS));
    char *argv[] = {(char *)lookout->self, (char *)"--watch", root, prefix, extensions, NULL};
    struct job job = {.argv = argv, .env = env, .cwd = "/", .grace_ms = 1000, .channel = true};
    post->line[0] = '\0';
    post->process = process_start(lookout->processes, &job, &events, post, &err);
    if (!post->process)
        log_warn("GTY-LIBRARY-WATCH", "root=%s is not watched for now: %s", post->root, err.text);
}

static void on_timer(void *arg)
{
    struct lookout *lookout = arg;
    for (unsigned i = 0; i < lookout->count; i++)
        if (!lookout->posts[i].process)
            post_start(&lookout->posts[i]);
}

static bool serves(const struct setup *setup)
{
    for (uint32_t i = 0; i < setup->type_count; i++)
        if (str_is(setup->types[i], "scan"))
            return true;
    return false;
}

int lookout_open(struct lookout *lookout, struct loop *loop, struct processes *processes, struct link *link,
                 const struct setup *setup, const struct settings *settings, struct err *err)
{
    *lookout = (struct lookout){
        .loop = loop, .processes = processes, .link = link, .self = setup->self, .settings = settings, .timer = -1};
    const char *roots = serves(setup) ? settings_text(settings, SET_LIBRARY) : "";
    for (const char *at = roots; *at && lookout->count < LOOKOUT_ROOTS; at += *at == ':') {
        size_t step = strcspn(at, ":"), len = step;
        while (len > 1 && at[len - 1] == '/') /* as the farm names it */
            len--;
        char *root = len ? strndup(at, len) : NULL;
        at += step;
        if (len && !root)
            return err_set(err, ERR_NO_MEMORY, "no memory");
        if (root)
            lookout->posts[lookout->count++] = (struct lookout_post){.lookout = lookout, .root = root};
    }
    if (lookout->count == 0)
        return 0;
    lookout->timer = loop_every(loop, AGAIN_MS, on_timer, lookout);
    if (lookout->timer < 0)
        return err_set(err, ERR_NO_MEMORY, "no memory");
    on_timer(lookout);
    return 0;
}

void lookout_close(struct lookout *lookout)
{
    for (unsigned i = 0; i < lookout->count; i++) {
        process_forget(lookout->posts[i].process);
        channel_clear(&lookout->posts[i].channel);
        free(lookout->posts[i].root);
    }
    if (lookout->count)
        loop_cancel(lookout->loop, lookout->timer);
    lookout->count = 0;
}
