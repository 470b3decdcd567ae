/* Pictures of a task's frames onto this machine. Each comes beside its place, under a name that tells its MD5, so that what has come of it is gone
 * on with at the next try; it gets its own name once it is whole. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/outage.h"
#include "gateway/cli/progress.h"
#include "gateway/cli/render_frames.h"
#include "gateway/cli/render_task.h"
#include "gateway/cli/show.h"
#include "gateway/cli/stop.h"
#include "gateway/cli/term.h"
#include "proto/clock.h"
#include "proto/ident.h"
#include "proto/messages.h"

#define PATIENCE_MS UINT64_C(600000) /* without anything that comes */
#define MD5_HEX 32

struct fetch {
    struct cli *cli;
    const char *folder;
    struct progress bar;
    struct outage outage;
    uint64_t began_ms;
    long long total, done, kept; /* frames; kept: of those done, they were here */
    bool force;                  /* what else is there by their names goes */
};

/* A picture on its way. */
struct picture {
    struct fetch *fetch;
    long long id;
    char base[NAME_MAX + 1], part[PATH_MAX], place[PATH_MAX];
    const char *md5; /* of the farm; "" where it knows none */
    uint64_t size;
    int fd;
    uint64_t have;   /* bytes of it that are here */
    EVP_MD_CTX *ctx; /* over them */
    uint64_t forward_ms;
    int cause; /* errno of a write that failed */
    bool over; /* more came than the farm said */
};

/* ---- what is here ---- */

static bool ctx_begin(struct picture *picture)
{
    picture->have = 0;
    return EVP_DigestInit_ex(picture->ctx, EVP_md5(), NULL) == 1;
}

/* Takes what is in the open file for the beginning of the picture. */
static bool have_read(struct picture *picture, int fd)
{
    char bytes[65536];
    ssize_t got;

    if (!ctx_begin(picture) || lseek(fd, 0, SEEK_SET) < 0) {
        return false;
    }
    while ((got = read(fd, bytes, sizeof bytes)) != 0) {
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 || EVP_DigestUpdate(picture->ctx, bytes, (size_t)got) != 1) {
            return false;
        }
        picture->have += (uint64_t)got;
    }
    return true;
}

/* Whether what is here is the picture, as far as the farm says what that is. */
static bool is_it(struct picture *picture)
{
    unsigned char md5[EVP_MAX_MD_SIZE];
    char hex[MD5_HEX + 1];

    if (picture->have != picture->size || EVP_DigestFinal_ex(picture->ctx, md5, NULL) != 1) {
        return false;
    }
    sodium_bin2hex(hex, sizeof hex, md5, MD5_HEX / 2);
    return picture->md5[0] == '\0' || strcmp(hex, picture->md5) == 0;
}

static bool is_here(struct picture *picture)
{
    int fd = open(picture->place, O_RDONLY | O_CLOEXEC);
    struct stat info;
    bool same = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && (uint64_t)info.st_size == picture->size &&
                have_read(picture, fd) && is_it(picture);

    if (fd >= 0) {
        close(fd);
    }
    return same;
}

/* ---- it comes ---- */

static void bar_draw(const struct picture *picture, uint64_t more)
{
    struct fetch *fetch = picture->fetch;
    char words[NAME_MAX + 80], name[80];
    double part = picture->size > 0 ? (double)(picture->have + more) / (double)picture->size : 0;

    term_fit(picture->base, 40, name, sizeof name);
    snprintf(words, sizeof words, "fetching %lld/%lld %s", fetch->done + 1, fetch->total, name);
    progress_set(&fetch->bar, fetch->total > 0 ? 100 * ((double)fetch->done + (part < 1 ? part : 1)) / (double)fetch->total : -1,
                 (double)(clock_mono_ms() - fetch->began_ms) / 1000, words);
}

static int on_bytes(void *arg, long status, const char *bytes, size_t len)
{
    struct picture *picture = arg;

    if (status == 200 && picture->have > 0 && picture->forward_ms == 0) { /* it is another than the one that has begun to come */
        if (ftruncate(picture->fd, 0) != 0 || lseek(picture->fd, 0, SEEK_SET) < 0 || !ctx_begin(picture)) {
            picture->cause = errno;
            return -1;
        }
    }
    picture->forward_ms = clock_mono_ms();
    picture->over = len > picture->size || picture->have > picture->size - len;
    if (picture->over) {
        return -1;
    }
    for (size_t at = 0; at < len;) {
        ssize_t put = write(picture->fd, bytes + at, len - at);
        if (put < 0 && errno != EINTR) {
            picture->cause = errno;
            return -1;
        }
        at += put > 0 ? (size_t)put : 0;
    }
    picture->have += len;
    bar_draw(picture, 0);
    return EVP_DigestUpdate(picture->ctx, bytes, len) == 1 ? 0 : -1;
}

static int ask_once(struct picture *picture, struct err *err)
{
    char path[64], range[64], tag[96];
    struct client_transfer transfer = {.method = "GET", .path = path, .take = on_bytes, .arg = picture};

    snprintf(path, sizeof path, "/files/download/%lld", picture->id);
    if (picture->have > 0) {
        snprintf(range, sizeof range, "Range: bytes=%" PRIu64 "-", picture->have);
        snprintf(tag, sizeof tag, "If-Range: \"%s\"", picture->md5);
        transfer.headers[0] = range;
        transfer.headers[1] = tag;
    }
    picture->forward_ms = 0; /* nothing of this answer has come */
    int rc = client_move(picture->fetch->cli->client, &transfer, NULL, err);
    if (picture->over) {
        return err_set(err, ERR_INVALID, "%.150s is longer than the farm says: it is not kept", picture->base);
    }
    return picture->cause != 0 ? err_set(err, ERR_IO, "%.150s: %s", picture->part, strerror(picture->cause)) : rc;
}

/* Until it is whole; goes on where it broke off. */
static int ask_all(struct picture *picture, struct err *err)
{
    uint64_t since = clock_mono_ms(), wait = 100;

    while (picture->have < picture->size || picture->size == 0) {
        struct err why = {0};
        int rc = ask_once(picture, &why);
        if (rc == 0 || picture->forward_ms > 0) {
            outage_tell(&picture->fetch->outage, NULL);
        }
        if (rc == 0) {
            return 0;
        }
        since = picture->forward_ms > since ? picture->forward_ms : since;
        if (why.code != ERR_UNAVAILABLE || stop_signal != 0 || clock_mono_ms() - since > PATIENCE_MS) {
            return err_set(err, why.code, "%s", why.text);
        }
        outage_tell(&picture->fetch->outage, &why);
        client_pause(wait);
        wait = wait < 1000 ? wait * 2 : 2000;
    }
    return 0;
}

/* Frames of all tasks have the same names. */
static bool is_in_the_way(const struct picture *picture)
{
    struct stat info;

    return !picture->fetch->force && lstat(picture->place, &info) == 0;
}

static int bring(struct picture *picture, struct err *err)
{
    if (is_in_the_way(picture)) {
        return err_set(err, ERR_CONFLICT, "%.150s is another picture; it is left as it is without --force", picture->place);
    }
    picture->fd = open(picture->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (picture->fd < 0 || !have_read(picture, picture->fd)) {
        return err_set(err, ERR_IO, "%.150s: %s", picture->part, strerror(errno));
    }
    if (picture->have > picture->size || picture->md5[0] == '\0') { /* of no picture that could be told */
        if (ftruncate(picture->fd, 0) != 0 || lseek(picture->fd, 0, SEEK_SET) < 0 || !ctx_begin(picture)) {
            return err_set(err, ERR_IO, "%.150s: %s", picture->part, strerror(errno));
        }
    }
    if (ask_all(picture, err) != 0) {
        if (picture->have == 0 || picture->over || err->code == ERR_NOT_FOUND ||
            err->code == ERR_CONFLICT) { /* nothing to go on with */
            unlink(picture->part);
        }
        return -1;
    }
    if (!is_it(picture)) {
        unlink(picture->part);
        return err_set(err, ERR_INVALID, "%s is not what the farm says it is (MD5): it is not kept", picture->base);
    }
    if (fdatasync(picture->fd) != 0 || rename(picture->part, picture->place) != 0) {
        return err_set(err, ERR_IO, "%.150s: %s", picture->place, strerror(errno));
    }
    return 0;
}

/* ---- one frame ---- */

/* What it is called here: as on the farm, where that is a plain name. */
static void base_of(const json_t *frame, char out[NAME_MAX + 1])
{
    const char *path = show_text(frame, "output_path"), *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path;
    size_t len = strlen(base);
    bool plain = len > 0 && len < NAME_MAX - MD5_HEX - 8 && base[0] != '.' && base[0] != '-';

    for (size_t i = 0; i < len; i++) {
        plain = plain && (unsigned char)base[i] >= ' ' && base[i] != 0x7f;
    }
    if (plain) {
        snprintf(out, NAME_MAX + 1, "%s", base);
    } else {
        snprintf(out, NAME_MAX + 1, "frame.%04lld", show_number(frame, "frame_number"));
    }
}

static int frame_bring(struct fetch *fetch, const json_t *frame, struct err *err)
{
    const char *md5 = json_string_value(json_object_get(frame, "output_hash"));
    struct picture picture = {.fetch = fetch, .id = show_number(frame, "id"), .fd = -1, .ctx = EVP_MD_CTX_new()};
    bool known = md5 != NULL && strlen(md5) == MD5_HEX && strspn(md5, "0123456789abcdef") == MD5_HEX;
    int rc = -1;

    picture.md5 = known ? md5 : "";
    picture.size = (uint64_t)show_number(frame, "output_size");
    base_of(frame, picture.base);
    int place = snprintf(picture.place, sizeof picture.place, "%s/%s", fetch->folder, picture.base);
    int part = snprintf(picture.part, sizeof picture.part, "%s/.%s.%s.part", fetch->folder, picture.base, picture.md5);
    if (picture.ctx == NULL || place < 0 || place >= PATH_MAX || part < 0 || part >= PATH_MAX) {
        err_set(err, ERR_NO_MEMORY, "out of memory, or the folder's name is too long");
    } else if (is_here(&picture)) {
        fetch->kept++;
        rc = 0;
    } else {
        bar_draw(&picture, 0);
        rc = bring(&picture, err);
    }
    if (picture.fd >= 0) {
        close(picture.fd);
    }
    EVP_MD_CTX_free(picture.ctx);
    return rc;
}

/* ---- all of them ---- */

/* Whether it makes sense to go on with others. */
static bool goes_on(const struct err *err)
{
    return stop_signal == 0 && (err->code == ERR_NOT_FOUND || err->code == ERR_CONFLICT || err->code == ERR_INVALID);
}

static int page_bring(struct fetch *fetch, const json_t *page)
{
    int code = EXIT_FINE;
    const json_t *frame;
    size_t index;

    json_array_foreach(json_object_get(page, "items"), index, frame)
    {
        struct err err = {0};
        if (frame_bring(fetch, frame, &err) == 0) {
            fetch->done++;
            continue;
        }
        progress_hide(&fetch->bar);
        term_line(stderr, false, "gantry: frame %lld: %s", show_number(frame, "frame_number"), err.text);
        if (!goes_on(&err)) {
            return -1;
        }
        code = EXIT_TROUBLE;
    }
    return code;
}

/* EXIT_FINE, EXIT_TROUBLE when some are not here, -1 with err, or told, when it broke off. */
static int pages_bring(struct fetch *fetch, long long id, struct err *err)
{
    int code = EXIT_FINE;
    size_t count = RENDER_PAGE;

    for (int page = 1; count == RENDER_PAGE && page <= RENDER_COUNT_MOST / RENDER_PAGE; page++) {
        json_t *data = NULL;
        if (client_get(fetch->cli->client, &data, err, "/tasks/%lld/frames?status=completed&page=%d&page_size=%d", id, page,
                       RENDER_PAGE) != 0) {
            return -1;
        }
        count = json_array_size(json_object_get(data, "items"));
        fetch->total = show_number(data, "total");
        int one = page_bring(fetch, data);
        json_decref(data);
        if (one < 0) {
            return -1;
        }
        code = one != EXIT_FINE ? one : code;
    }
    return code;
}

int render_fetch(struct cli *cli, long long id, const char *folder)
{
    struct fetch fetch = {.cli = cli, .folder = folder, .began_ms = clock_mono_ms(), .force = args_has(cli->args, "force")};
    struct err err = {0};

    if (ident_make_dirs(folder, 0755, &err) != 0) {
        return show_error(&err);
    }
    stop_catch();
    client_set_interrupt(cli->client, &stop_signal);
    client_set_patience(cli->client, 2000, 30000);
    progress_init(&fetch.bar, stderr);
    fetch.outage.bar = &fetch.bar;
    client_on_retry(cli->client, outage_tell, &fetch.outage);
    int code = pages_bring(&fetch, id, &err);
    client_on_retry(cli->client, NULL, NULL);
    progress_hide(&fetch.bar);
    if (stop_signal != 0) {
        fprintf(stderr, "gantry: %lld of %lld pictures are in %s; gantry render download %lld goes on\n", fetch.done, fetch.total,
                folder, id);
        return stop_code();
    }
    if (code < 0) {
        return err.text[0] != '\0' ? show_error(&err) : EXIT_TROUBLE;
    }
    term_line(stderr, false, "gantry: %lld picture%s in %s, %lld of them fetched now", fetch.done, fetch.done == 1 ? "" : "s",
              folder, fetch.done - fetch.kept);
    return code;
}

int render_download(struct cli *cli)
{
    const char *folder = args_at(cli->args, 1);
    struct err err = {0};
    long long id;

    client_set_base(cli->client, RENDER_BASE);
    if (render_task_id(cli->args, 0, &id, &err) != 0) {
        return show_usage(&err);
    }
    return render_fetch(cli, id, folder != NULL ? folder : ".");
}
