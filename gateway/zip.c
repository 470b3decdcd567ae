/* libarchive hands over what it writes; that is kept until it is asked for, a piece of a file at a time. */
#include "gateway/zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/open_beneath.h"

#define PIECE ((size_t)64 << 10)
#define ZEROS ((size_t)1 << 20)
#define RESERVE ((size_t)32 << 10)

struct zip {
    int folder, fd;
    const struct zip_file *files;
    uint32_t count, at; /* the file that is written, or the next */
    struct archive *archive;
    struct archive_entry *entry;
    bool begun;    /* the file's header is written */
    uint64_t left; /* bytes of the file that are still to come */
    bool closed;   /* the directory of the archive is written */
    bool counting; /* only how long it is, is wanted */
    uint64_t counted;
    struct buf out;
    size_t sent; /* of out */
    char piece[PIECE];
};

/* ---- libarchive ---- */

static la_ssize_t on_write(struct archive *archive, void *arg, const void *data, size_t size)
{
    struct zip *zip = arg;

    if (zip->counting) {
        zip->counted += size;
    } else if (buf_add(&zip->out, data, size) != 0) {
        archive_set_error(archive, ENOMEM, "out of memory");
        return -1;
    }
    return (la_ssize_t)size;
}

static bool well(int rc)
{
    return rc == ARCHIVE_OK || rc == ARCHIVE_WARN;
}

static bool writer_open(struct zip *zip)
{
    struct archive *archive = zip->archive;

    /* Without checksums, whose values do not change its length, counting reads no byte. */
    return archive && zip->entry && well(archive_write_set_format_zip(archive)) &&
           well(archive_write_zip_set_compression_store(archive)) &&
           well(archive_write_set_format_option(archive, "zip", "fakecrc32", zip->counting ? "1" : NULL)) &&
           well(archive_write_set_bytes_per_block(archive, 0)) && well(archive_write_open(archive, zip, NULL, on_write, NULL));
}

static struct zip *zip_make(int folder, const struct zip_file *files, uint32_t count, bool counting)
{
    struct zip *zip = calloc(1, sizeof *zip);

    if (!zip)
        return NULL;
    zip->folder = folder;
    zip->fd = -1;
    zip->files = files;
    zip->count = count;
    zip->counting = counting;
    zip->archive = archive_write_new();
    zip->entry = archive_entry_new();
    if (writer_open(zip))
        return zip;
    zip_free(zip);
    return NULL;
}

struct zip *zip_new(int folder, const struct zip_file *files, uint32_t count)
{
    return zip_make(folder, files, count, false);
}

void zip_free(struct zip *zip)
{
    if (!zip)
        return;
    if (zip->fd >= 0)
        close(zip->fd);
    zip->counting = true; /* what it writes as it ends is not wanted */
    archive_entry_free(zip->entry);
    if (zip->archive)
        archive_write_free(zip->archive);
    buf_free(&zip->out);
    free(zip);
}

/* libarchive ends the process where it finds no memory for a name: so that some is there is looked at before it is given one. */
static bool memory_there(void)
{
    void *volatile some = malloc(RESERVE);

    free(some);
    return some != NULL;
}

/* ---- a file ---- */

static bool file_open(struct zip *zip, const struct zip_file *file)
{
    struct stat stat;

    zip->fd = open_beneath(zip->folder, file->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, true);
    if (zip->fd < 0)
        return false;
    if (fstat(zip->fd, &stat) != 0)
        return false;
    if (S_ISREG(stat.st_mode) && (uint64_t)stat.st_size == file->size)
        return true;
    errno = ESTALE;
    return false;
}

static bool file_begin(struct zip *zip)
{
    const struct zip_file *file = &zip->files[zip->at];

    if (!zip->counting && file->path && !file_open(zip, file))
        return false;
    errno = ENOMEM;
    if (!memory_there())
        return false;
    archive_entry_clear(zip->entry);
    archive_entry_set_pathname(zip->entry, file->name);
    archive_entry_set_filetype(zip->entry, AE_IFREG);
    archive_entry_set_perm(zip->entry, 0644);
    archive_entry_set_size(zip->entry, (la_int64_t)file->size);
    archive_entry_set_mtime(zip->entry, file->at, 0);
    zip->begun = true;
    zip->left = file->size;
    return well(archive_write_header(zip->archive, zip->entry));
}

static bool data_add(struct zip *zip, const void *data, size_t size)
{
    errno = ENOMEM;
    if (archive_write_data(zip->archive, data, size) != (la_ssize_t)size)
        return false;
    zip->left -= size;
    return true;
}

static bool file_piece(struct zip *zip)
{
    static const char zeros[ZEROS];
    const struct zip_file *file = &zip->files[zip->at];
    size_t most = zip->counting ? ZEROS : PIECE, want = zip->left < most ? (size_t)zip->left : most;

    if (zip->counting)
        return data_add(zip, zeros, want);
    if (!file->path)
        return data_add(zip, file->text.ptr + (file->size - zip->left), want);
    ssize_t got = read(zip->fd, zip->piece, want);
    if (got > 0)
        return data_add(zip, zip->piece, (size_t)got);
    if (got < 0 && errno == EINTR)
        return true;
    errno = got < 0 ? errno : ESTALE;
    return false;
}

static bool file_end(struct zip *zip)
{
    if (zip->fd >= 0)
        close(zip->fd);
    zip->fd = -1;
    zip->begun = false;
    zip->at++;
    errno = ENOMEM;
    return well(archive_write_finish_entry(zip->archive));
}

/* ---- all of it ---- */

/* One step further; false with errno. */
static bool step(struct zip *zip)
{
    if (zip->at == zip->count) {
        zip->closed = true;
        errno = ENOMEM;
        return well(archive_write_close(zip->archive));
    }
    if (!zip->begun)
        return file_begin(zip);
    return zip->left ? file_piece(zip) : file_end(zip);
}

uint64_t zip_length(const struct zip_file *files, uint32_t count)
{
    struct zip *zip = zip_make(-1, files, count, true);
    bool whole = zip != NULL;

    while (whole && !zip->closed)
        whole = step(zip);
    uint64_t length = whole ? zip->counted : 0;
    zip_free(zip);
    return length;
}

ssize_t zip_read(struct zip *zip, char *out, size_t max)
{
    while (zip->sent == zip->out.len) {
        buf_reset(&zip->out);
        zip->sent = 0;
        if (zip->closed)
            return 0;
        if (!step(zip))
            return -1;
    }
    size_t size = zip->out.len - zip->sent < max ? zip->out.len - zip->sent : max;
    memcpy(out, zip->out.data + zip->sent, size);
    zip->sent += size;
    return (ssize_t)size;
}
