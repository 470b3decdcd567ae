/* GET /tasks/{id}/results.zip: what all completed frames of a task were rendered to.
 *
 * The frames' records come from the store, a page at a time; of each only its path is kept. The helper thread then looks which files are there
 * and how long they are, so that the archive's length is known before it is sent. Whoever asks is told of files that are gone; one that goes
 * or changes while it is sent breaks the answer off, as what was promised cannot come any more.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/gateway.h"
#include "gateway/surfaces/render_files.h"
#include "gateway/zip.h"
#include "proto/arena.h"
#include "proto/clock.h"
#include "proto/log.h"
#include "proto/open_beneath.h"

#define PAGE 1000
#define ROW_MEMORY ((size_t)4 << 20) /* of a record that is decoded */
#define NAME "renders/"
#define NAME_BYTES 272 /* that, a name of a file, and its NUL */
#define ENDING 8       /* characters of what a name ends with */

struct results {             /* request->sink.self */
    struct file_job job;     /* the first */
    struct request *request; /* NULL: it is gone, and the job frees this */
    bool working;
    uint64_t task, start;
    uint64_t *ids; /* of the completed frames */
    uint32_t count, asked;
    char folder[BLOB_PATH];
    int fd;           /* that folder, while the archive is sent */
    struct buf paths; /* of each frame in their order, NUL-terminated; empty: it has none */
    struct str lead;  /* of the file that names what is missing */
    struct buf names, missing;
    struct zip_file *files;
    uint32_t file_count;
    uint64_t length;
    int cause;
    size_t held;         /* of the gateway's budget */
    struct arena *arena; /* of the record that is decoded */
    struct zip *zip;
};

/* ---- life ---- */

static void results_free(struct results *results)
{
    zip_free(results->zip);
    if (results->fd >= 0)
        close(results->fd);
    buf_free(&results->paths);
    buf_free(&results->names);
    buf_free(&results->missing);
    free(results->files);
    free(results->ids);
    arena_free(results->arena);
    free(results);
}

static void on_closed(void *self)
{
    struct results *results = self;

    budget_release(&results->request->gateway->budget, &results->held);
    results->request = NULL;
    if (!results->working)
        results_free(results);
}

static struct results *results_new(struct request *request, uint32_t most)
{
    struct results *results = request->gateway->files ? calloc(1, sizeof *results) : NULL;

    if (!results)
        return NULL;
    results->request = request;
    results->fd = -1;
    results->ids = calloc(most, sizeof *results->ids);
    results->arena = arena_new(ROW_MEMORY);
    request->sink = (struct sink){.closed = on_closed, .self = results};
    return results->ids && results->arena ? results : NULL; /* freed with the request */
}

/* ---- in the helper thread: which files are there ---- */

/* What a name ends with, ".png", where that is plain; else nothing. */
static const char *ending(const char *base)
{
    const char *dot = strrchr(base, '.');
    size_t len = 0;

    while (dot && len < ENDING && isalnum((unsigned char)dot[1 + len]))
        len++;
    return len > 0 && dot[1 + len] == '\0' ? dot : "";
}

/* Its name in the archive: the file's own, where that is plain, else one by its number. */
static void name_add(struct results *results, const char *path, uint64_t number)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    bool plain = base[0] && base[0] != '.' && strlen(base) < NAME_BYTES - sizeof NAME;

    for (const char *at = base; *at; at++)
        plain = plain && *at > ' ' && *at < 0x7f && !strchr("\\:*?\"<>|", *at);
    if (plain)
        buf_printf(&results->names, NAME "%s", base);
    else
        buf_printf(&results->names, NAME "frame.%04llu%s", (unsigned long long)number, ending(base));
    buf_add(&results->names, "", 1);
}

static bool look(const struct results *results, const char *path, struct stat *stat)
{
    int fd = *path ? open_beneath(results->fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, true) : -1;
    bool there = fd >= 0 && fstat(fd, stat) == 0 && S_ISREG(stat->st_mode);

    if (fd >= 0)
        close(fd);
    return there;
}

static void note_missing(struct results *results, uint64_t number, const char *path)
{
    if (results->missing.len == 0) {
        buf_add(&results->missing, results->lead.ptr, results->lead.len);
        buf_text(&results->missing, "\n\n");
    }
    buf_printf(&results->missing, "%llu  %s\n", (unsigned long long)number, path);
}

static void files_look(struct results *results)
{
    const char *path = results->paths.data;
    struct stat stat;

    for (uint32_t i = 0; i < results->count; i++, path += strlen(path) + 1) {
        uint64_t number = results->start + (results->ids[i] & ((UINT64_C(1) << RENDER_FRAME_BITS) - 1));
        if (!look(results, path, &stat)) {
            note_missing(results, number, path);
            continue;
        }
        /* Names move while they are added: they are set behind the loop. */
        results->files[results->file_count++] =
            (struct zip_file){.path = path, .size = (uint64_t)stat.st_size, .at = stat.st_mtim.tv_sec};
        name_add(results, path, number);
    }
    const char *name = results->names.data;
    for (uint32_t i = 0; i < results->file_count && !results->names.failed; i++, name += strlen(name) + 1)
        results->files[i].name = name;
}

static void work(struct file_job *job)
{
    struct results *results = (struct results *)(void *)job;

    results->fd = open(results->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (results->fd < 0 && errno != ENOENT) {
        results->cause = errno;
        return;
    }
    files_look(results);
    if (results->missing.len > 0)
        results->files[results->file_count++] = (struct zip_file){.name = "MISSING.txt",
                                                                  .text = buf_str(&results->missing),
                                                                  .size = results->missing.len,
                                                                  .at = (int64_t)(clock_wall_ms() / 1000)};
    if (results->names.failed || results->missing.failed)
        results->cause = ENOMEM;
    else if ((results->length = zip_length(results->files, results->file_count)) == 0)
        results->cause = ENOMEM;
}

/* ---- sent ---- */

static long on_read(void *self, char *out, size_t max)
{
    struct results *results = self;
    ssize_t got = zip_read(results->zip, out, max);

    if (got < 0)
        log_warn("GTY-RESULTS-CUT", "task=%llu a file of its results is gone or has changed while it was sent: %s",
                 (unsigned long long)results->task, strerror(errno));
    return got > 0 ? (long)got : -1;
}

static void done(struct file_job *job)
{
    struct results *results = (struct results *)(void *)job;
    struct request *request = results->request;

    results->working = false;
    if (!request) {
        results_free(results);
        return;
    }
    if (results->cause && results->cause != ENOMEM) {
        render_refuse_disk(request, results->cause);
        return;
    }
    results->zip = results->cause ? NULL : zip_new(results->fd, results->files, results->file_count);
    if (!results->zip) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    const struct stream stream = {.read = on_read, .self = results, .length = results->length};
    reply_header(request, "Content-Disposition", "attachment; filename=\"task-%llu.zip\"", (unsigned long long)results->task);
    reply_stream(request, "application/zip", &stream);
}

/* ---- asked of the store ---- */

static void look_begin(struct results *results)
{
    struct request *request = results->request;
    size_t names = (size_t)results->count * sizeof(NAME "frame.0001.png"), files = results->count + 1u;

    results->files = calloc(files, sizeof *results->files);
    results->lead = str_of(text_of(TEXT_RENDER_GONE, request->lang));
    if (!results->files || results->paths.failed || !render_output_folder(request, results->folder) ||
        !budget_hold(&request->gateway->budget, &results->held,
                     results->paths.size + results->paths.len + names + files * sizeof *results->files +
                         results->count * sizeof *results->ids)) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    results->job = (struct file_job){.work = work, .done = done};
    results->working = true;
    files_do(request->gateway->files, &results->job);
}

/* The path of a frame's result, with its NUL; that alone for one that has none. False: no memory. */
static bool path_add(struct results *results, const struct rec_row *row)
{
    struct rec_render_frame frame;
    struct err err = {0};

    arena_reset(results->arena);
    bool read = row && rec_decode_render_frame(results->arena, row->value, &frame, &err) == 0;
    bool memory = !row || read || err.code != ERR_NO_MEMORY;

    if (row && !read && memory)
        log_error("GTY-ROW-DAMAGED", "id=%llu %s", (unsigned long long)row->id, err.text);
    if (read && !memchr(frame.output_path.ptr ? frame.output_path.ptr : "", '\0', frame.output_path.len))
        buf_add(&results->paths, frame.output_path.ptr, frame.output_path.len);
    buf_add(&results->paths, "", 1);
    return memory && !results->paths.failed;
}

static void page_ask(struct results *results);

static void on_page(struct request *request, const struct msg *msg)
{
    struct results *results = request->sink.self;
    const struct rec_row_list *rows = &msg->u.query_rows.rows;
    uint32_t page = results->count - results->asked < PAGE ? results->count - results->asked : PAGE, at = 0;

    for (uint32_t i = 0; i < page; i++) {
        bool there =
            at < rows->count && rows->items[at].id == results->ids[results->asked + i]; /* those that are not are left out */
        if (!path_add(results, there ? &rows->items[at++] : NULL)) {
            reply_problem_kind(request, PROBLEM_OVERLOADED);
            return;
        }
    }
    results->asked += page;
    if (results->asked < results->count)
        page_ask(results);
    else
        look_begin(results);
}

static void page_ask(struct results *results)
{
    uint32_t left = results->count - results->asked;
    struct msg_get get = {.type = TYPE_RENDER_FRAME, .ids = {results->ids + results->asked, left < PAGE ? left : PAGE}};

    ask_send(results->request, ASK_STORE, &shape_msg_get, &get, on_page);
}

/* Those that are completed, by their numbers. */
static void ids_fill(struct results *results, const struct rec_render_task *task)
{
    const unsigned char *run = (const unsigned char *)task->frames.ptr;
    uint64_t place = 0;

    for (uint32_t at = 0; at + 3 <= task->frames.len; at += 3) {
        uint64_t many = (uint64_t)run[at] << 8 | run[at + 1];
        for (uint64_t i = 0; (run[at + 2] & 7u) == FRAME_COMPLETED && i < many && results->count < task->total_frames; i++)
            results->ids[results->count++] = task->id << RENDER_FRAME_BITS | (place + i);
        place += many;
    }
}

static void on_task(struct request *request, const struct msg *msg)
{
    const struct rec_render_task *task = render_one_read(request, msg);
    struct problem problem;

    if (!task)
        return;
    struct results *results = results_new(request, (uint32_t)task->total_frames);
    if (!results) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    results->task = task->id;
    results->start = task->start_frame;
    ids_fill(results, task);
    if (results->count > 0) {
        page_ask(results);
        return;
    }
    problem_set(&problem, PROBLEM_CONFLICT, "id", "render_results");
    reply_problem(request, &problem);
}

void render_results(struct request *request)
{
    if (reply_stream_begin(request))
        render_one_ask(request, on_task);
}
