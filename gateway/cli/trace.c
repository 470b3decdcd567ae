/* `gantry trace`: the farm's messages, live.
 *
 * Each process offers a socket in the runtime folder (proto/trace.h). One SUB socket connects to all of them; the folder is looked at
 * again and again, so that processes which start later are seen too. A socket file whose process is gone is left alone. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#include "gateway/cli/args.h"
#include "gateway/cli/show.h"
#include "proto/clock.h"
#include "proto/ident.h"
#include "proto/messages.h"
#include "proto/trace.h"

#define SOURCES_MAX 64
#define LOOK_MS 250
#define ARENA_LIMIT ((size_t)64 << 20)

struct trace_source {
    char name[64]; /* trace-store-123.ipc */
    bool seen;     /* at this look */
    bool joined;   /* it has said that we are heard: from here on every message comes */
};

struct tracer {
    const struct cli *cli;
    void *context, *socket;
    char folder[256];
    struct trace_source sources[SOURCES_MAX];
    size_t count;
    struct arena *arena;
    struct buf text;
    long long run_id; /* 0: any */
    long long left;   /* messages still to be shown; -1: any number */
};

/* ---- sources ---- */

static bool source_lives(const char *name)
{
    const char *dash = strrchr(name, '-');
    long pid = dash != NULL ? strtol(dash + 1, NULL, 10) : 0;

    return pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

static struct trace_source *source_find(struct tracer *tracer, const char *name)
{
    for (size_t i = 0; i < tracer->count; i++) {
        if (strcmp(tracer->sources[i].name, name) == 0) {
            return &tracer->sources[i];
        }
    }
    return NULL;
}

static void source_endpoint(const struct tracer *tracer, const char *name, char *out, size_t size)
{
    snprintf(out, size, "ipc://%s/%s", tracer->folder, name);
}

static void source_see(struct tracer *tracer, const char *name)
{
    char endpoint[400];
    struct trace_source *source = source_find(tracer, name);

    if (source == NULL && tracer->count < SOURCES_MAX && strlen(name) < sizeof source->name) {
        source_endpoint(tracer, name, endpoint, sizeof endpoint);
        if (zmq_connect(tracer->socket, endpoint) != 0) {
            return;
        }
        source = &tracer->sources[tracer->count++];
        *source = (struct trace_source){0};
        snprintf(source->name, sizeof source->name, "%s", name);
    }
    if (source != NULL) {
        source->seen = true;
    }
}

static void source_joined(struct tracer *tracer, const struct trace_header *header)
{
    char name[64];

    snprintf(name, sizeof name, "trace-%s-%s.ipc", header->service, header->peer);
    struct trace_source *source = source_find(tracer, name);
    if (source != NULL && !source->joined) {
        source->joined = true;
        fprintf(stderr, "gantry: watching %s-%s\n", header->service, header->peer);
    }
}

/* Connects to what is new, lets go of what is gone. -1 when the folder cannot be read. */
static int sources_look(struct tracer *tracer)
{
    DIR *folder = opendir(tracer->folder);
    struct dirent *entry;
    char endpoint[400];

    if (folder == NULL) {
        return -1;
    }
    for (size_t i = 0; i < tracer->count; i++) {
        tracer->sources[i].seen = false;
    }
    while ((entry = readdir(folder)) != NULL) {
        size_t len = strlen(entry->d_name);
        if (len > 10 && strncmp(entry->d_name, "trace-", 6) == 0 && strcmp(entry->d_name + len - 4, ".ipc") == 0 &&
            source_lives(entry->d_name)) {
            source_see(tracer, entry->d_name);
        }
    }
    closedir(folder);
    for (size_t i = tracer->count; i > 0; i--) {
        if (!tracer->sources[i - 1].seen) {
            source_endpoint(tracer, tracer->sources[i - 1].name, endpoint, sizeof endpoint);
            zmq_disconnect(tracer->socket, endpoint);
            tracer->sources[i - 1] = tracer->sources[--tracer->count];
        }
    }
    return 0;
}

/* ---- filters ---- */

static bool list_has(const struct uint_list *list, uint64_t id)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->items[i] == id) {
            return true;
        }
    }
    return false;
}

/* True when this field of that owner holds the ids of runs. */
static bool field_is_run(const struct shape *shape, const struct field *field)
{
    if (strcmp(field->name, "id") == 0 || strcmp(field->name, "ids") == 0) {
        return shape == &shape_rec_run || strncmp(shape->name, "run_", 4) == 0;
    }
    return strcmp(field->name, "run_id") == 0 || strcmp(field->name, "run_ids") == 0 || strcmp(field->name, "restart_of") == 0 ||
           (shape == &shape_msg_doorbell && strcmp(field->name, "runs") == 0);
}

/* Whether a message, or what is nested in it, names the run. */
static bool names_run(const struct shape *shape, const char *value, uint64_t id)
{
    if (shape == &shape_rec_op) { /* a record on its way to the store */
        const struct rec_op *op = (const void *)value;
        return op->id == id && (op->type == TYPE_RUN || op->op == OP_LOG);
    }
    for (size_t i = 0; i < shape->count; i++) {
        const struct field *field = &shape->fields[i];
        const char *member = value + field->offset;
        bool found = false;
        if (field->kind == CODEC_UINT) {
            found = field_is_run(shape, field) && *(const uint64_t *)(const void *)member == id;
        } else if (field->kind == CODEC_UINTS) {
            found = field_is_run(shape, field) && list_has((const void *)member, id);
        } else if (field->kind == CODEC_NEST) {
            found = names_run(field->record, member, id);
        } else if (field->kind == CODEC_LIST) {
            const struct rec_op_list *list = (const void *)member; /* every list has this form */
            for (uint32_t item = 0; item < list->count && !found; item++) {
                found = names_run(field->record, (const char *)list->items + (size_t)item * field->record->size, id);
            }
        }
        if (found) {
            return true;
        }
    }
    return false;
}

static bool type_wanted(const struct tracer *tracer, const struct shape *shape)
{
    size_t at = 0;
    const char *type;
    bool any = true;

    while ((type = args_each(tracer->cli->args, "type", &at)) != NULL) {
        if (strcasecmp(type, shape->name) == 0) {
            return true;
        }
        any = false;
    }
    return any;
}

/* ---- showing ---- */

static void message_json(const struct trace_header *header, const struct msg *msg, const char *text)
{
    char time[CLOCK_ISO_SIZE];
    json_t *line = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s%, s:s}", "timestamp", clock_iso(header->wall_ms, 1, time),
                             "service", header->service, "direction", header->direction == '>' ? "sent" : "received", "link",
                             header->link, "peer", header->peer, "type", msg->shape->name, "corr", (json_int_t)msg->corr,
                             "request_id", msg->rid.ptr != NULL ? msg->rid.ptr : "", (size_t)msg->rid.len, "message", text);
    if (line != NULL) {
        show_dump(line, JSON_COMPACT, stdout);
    }
    json_decref(line);
}

static void message_line(const struct trace_header *header, const struct msg *msg, const char *text)
{
    char time[CLOCK_ISO_SIZE];

    clock_iso(header->wall_ms, 1, time);
    printf("%.12s %-9s %c %-9s %s%s%s", time + 11, header->service, header->direction, header->link, header->peer,
           header->peer[0] != '\0' ? " " : "", text);
    if (msg->corr != 0) {
        printf(" #%" PRIu64, msg->corr);
    }
    if (msg->rid.len > 0) {
        printf(" req=%.*s", (int)msg->rid.len, msg->rid.ptr);
    }
    putchar('\n');
}

static void message_show(struct tracer *tracer, const struct trace_header *header, struct str frame)
{
    struct err err = {0};
    struct msg msg;

    arena_reset(tracer->arena);
    buf_reset(&tracer->text);
    if (msg_decode(tracer->arena, frame, &msg, &err) != 0) {
        if (!args_has(tracer->cli->args, "type") && tracer->run_id == 0) {
            fprintf(stderr, "gantry: %s %c %s: a message that cannot be read: %s\n", header->service, header->direction,
                    header->link, err.text);
        }
        return;
    }
    if (!type_wanted(tracer, msg.shape) ||
        (tracer->run_id > 0 && !names_run(msg.shape, (const char *)&msg.u, (uint64_t)tracer->run_id))) {
        return;
    }
    codec_print(&tracer->text, msg.shape, &msg.u);
    if (buf_add(&tracer->text, "", 1) != 0) {
        return;
    }
    if (tracer->cli->json) {
        message_json(header, &msg, tracer->text.data);
    } else {
        message_line(header, &msg, tracer->text.data);
    }
    fflush(stdout);
    if (tracer->left > 0) {
        tracer->left--;
    }
}

/* Takes one traced message; -1 when none is there. */
static int message_take(struct tracer *tracer)
{
    const char *service = args_text(tracer->cli->args, "service");
    struct trace_header header;
    zmq_msg_t frame;
    int more = 0;
    size_t size = sizeof more;

    int got = zmq_recv(tracer->socket, &header, sizeof header, ZMQ_DONTWAIT);
    if (got < 0) {
        return -1;
    }
    zmq_getsockopt(tracer->socket, ZMQ_RCVMORE, &more, &size);
    if (got != (int)sizeof header || !more) {
        return 0;
    }
    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, tracer->socket, 0) >= 0) {
        header.service[sizeof header.service - 1] = header.link[sizeof header.link - 1] = header.peer[sizeof header.peer - 1] =
            '\0';
        if (header.direction == TRACE_JOINED) {
            source_joined(tracer, &header);
        } else if (service == NULL || strcmp(service, header.service) == 0) {
            message_show(tracer, &header, (struct str){zmq_msg_data(&frame), (uint32_t)zmq_msg_size(&frame)});
        }
    }
    zmq_msg_close(&frame);
    return 0;
}

static bool type_known(const char *name)
{
    for (size_t i = 0; i < messages_count; i++) {
        if (strcasecmp(messages_all[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static int options_read(struct tracer *tracer, struct err *err)
{
    const struct args *args = tracer->cli->args;
    const char *type;
    size_t at = 0;

    while ((type = args_each(args, "type", &at)) != NULL) {
        if (!type_known(type)) {
            return err_set(err, ERR_BAD_REQUEST, "there is no message of type \"%s\": docs/messages.md lists them", type);
        }
    }
    return args_number(args, "run", 1, INT64_MAX, 0, &tracer->run_id, err) != 0
               ? -1
               : args_number(args, "count", 1, INT64_MAX, -1, &tracer->left, err);
}

static int tracer_open(struct tracer *tracer, struct err *err)
{
    int interval = 1000, zero = 0;

    const char *data = settings_text(tracer->cli->settings, SET_DATA);

    if (access(data, F_OK) != 0) {
        return err_set(err, ERR_NOT_FOUND, "there is no farm's data in \"%s\": --data DIR names the folder of `gantry up`", data);
    }
    if (ident_runtime_dir(data, tracer->folder, sizeof tracer->folder, err) != 0) {
        return -1;
    }
    tracer->arena = arena_new(ARENA_LIMIT);
    tracer->context = zmq_ctx_new();
    tracer->socket = tracer->context != NULL ? zmq_socket(tracer->context, ZMQ_SUB) : NULL;
    if (tracer->arena == NULL || tracer->socket == NULL) {
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    zmq_setsockopt(tracer->socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(tracer->socket, ZMQ_RECONNECT_IVL, &interval, sizeof interval);
    zmq_setsockopt(tracer->socket, ZMQ_SUBSCRIBE, "", 0);
    return 0;
}

static void tracer_close(struct tracer *tracer)
{
    if (tracer->socket != NULL) {
        zmq_close(tracer->socket);
    }
    if (tracer->context != NULL) {
        zmq_ctx_term(tracer->context);
    }
    arena_free(tracer->arena);
    buf_free(&tracer->text);
}

int trace_command(struct cli *cli)
{
    struct tracer tracer = {.cli = cli, .left = -1};
    struct err err = {0};
    uint64_t looked = 0;
    int code = EXIT_FINE;

    if (options_read(&tracer, &err) != 0) {
        code = show_usage(&err);
    } else if (tracer_open(&tracer, &err) != 0) {
        code = show_error(&err);
    }
    while (code == EXIT_FINE && tracer.left != 0) {
        if (clock_mono_ms() - looked >= LOOK_MS) {
            if (sources_look(&tracer) != 0) {
                err_set(&err, ERR_IO, "%s: %s", tracer.folder, strerror(errno));
                code = show_error(&err);
            } else if (looked == 0 && tracer.count == 0) {
                fprintf(stderr, "gantry: no process of the farm on %s runs (--data DIR names another); waiting for one\n",
                        settings_text(cli->settings, SET_DATA));
            }
            looked = clock_mono_ms();
        }
        zmq_pollitem_t item = {.socket = tracer.socket, .events = ZMQ_POLLIN};
        if (zmq_poll(&item, 1, LOOK_MS) > 0) {
            for (int i = 0; i < 1000 && tracer.left != 0 && message_take(&tracer) == 0; i++) {}
        }
    }
    tracer_close(&tracer);
    return code;
}
