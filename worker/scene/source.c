#include "worker/scene/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "proto/messages.h"
#include "worker/scene/digest.h"

#define BLOCK ((size_t)256 << 10)

enum packing { PLAIN, GZIP, ZSTD };

struct source {
    int fd; /* -1: memory */
    const char *memory;
    size_t memory_left;
    struct digest *digest;
    char *blocks[DIGEST_BLOCKS];
    unsigned block; /* that is read into next */
    uint64_t raw;   /* bytes of the file read */
    bool raw_over;
    const char *in; /* packed bytes not yet unpacked */
    size_t in_left;
    enum packing packing;
    bool member_over; /* gzip: one has ended, and another may follow */
    bool unpacked_over;
    z_stream zlib;
    ZSTD_DStream *zstd;
    size_t zstd_wants; /* 0: a frame has ended */
    char *out;
    uint64_t unpacked;
    const char *at; /* what the caller has not taken */
    size_t left;
    uint64_t taken;
};

/* ---- the file ---- */

static ssize_t some_read(struct source *source, char *into, size_t len)
{
    if (source->fd >= 0)
        return read(source->fd, into, len);
    size_t got = len < source->memory_left ? len : source->memory_left;
    if (got)
        memcpy(into, source->memory, got);
    source->memory += got;
    source->memory_left -= got;
    return (ssize_t)got;
}

/* Fills source->in with the next block. 1; 0: the end; -1 with err. */
static int block_read(struct source *source, struct err *err)
{
    unsigned number = source->block;
    size_t have = 0;
    if (source->raw_over)
        return 0;
    if (!source->blocks[number] && !(source->blocks[number] = malloc(BLOCK)))
        return err_set(err, ERR_NO_MEMORY, "no memory to read a file");
    digest_wait(source->digest, number);
    while (have < BLOCK) {
        ssize_t got = some_read(source, source->blocks[number] + have, BLOCK - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(err, ERR_IO, "it cannot be read: %s", strerror(errno));
        if (got == 0) {
            source->raw_over = true;
            break;
        }
        have += (size_t)got;
    }
    source->in = source->blocks[number];
    source->in_left = have;
    source->raw += have;
    if (have == 0)
        return 0;
    digest_add(source->digest, number, source->in, have);
    source->block = (number + 1) % DIGEST_BLOCKS;
    return 1;
}

/* ---- opening ---- */

static int packing_open(struct source *source, struct err *err)
{
    const unsigned char *head = (const unsigned char *)source->in;
    if (source->in_left >= 3 && head[0] == 0x1f && head[1] == 0x8b && head[2] == 8)
        source->packing = GZIP;
    else if (source->in_left >= 4 && memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0)
        source->packing = ZSTD;
    if (source->packing == PLAIN)
        return 0;
    bool well = (source->out = malloc(BLOCK)) != NULL;
    if (source->packing == GZIP)
        well = well && inflateInit2(&source->zlib, 15 + 16) == Z_OK;
    else
        well = well && (source->zstd = ZSTD_createDStream()) &&
               !ZSTD_isError(ZSTD_DCtx_setParameter(source->zstd, ZSTD_d_windowLogMax, SOURCE_WINDOW_LOG));
    return well ? 0 : err_set(err, ERR_NO_MEMORY, "no memory to unpack a file");
}

static struct source *open_any(int fd, const void *memory, size_t len, struct err *err)
{
    struct source *source = calloc(1, sizeof(*source));
    if (!source) {
        err_set(err, ERR_NO_MEMORY, "no memory to read a file");
        return NULL;
    }
    source->fd = fd;
    source->memory = memory;
    source->memory_left = len;
    source->zstd_wants = 1;
    source->digest = digest_new();
    if (!source->digest)
        err_set(err, ERR_NO_MEMORY, "no memory to read a file");
    else if (block_read(source, err) >= 0 && packing_open(source, err) == 0)
        return source;
    source_free(source);
    return NULL;
}

struct source *source_new(int fd, struct err *err)
{
    return open_any(fd, NULL, 0, err);
}

struct source *source_of(const void *data, size_t len, struct err *err)
{
    return open_any(-1, data, len, err);
}

void source_free(struct source *source)
{
    if (!source)
        return;
    digest_free(source->digest); /* before the blocks that it looks at */
    for (unsigned i = 0; i < DIGEST_BLOCKS; i++)
        free(source->blocks[i]);
    if (source->packing == GZIP)
        inflateEnd(&source->zlib);
    ZSTD_freeDStream(source->zstd);
    free(source->out);
    free(source);
}

const char *source_compression(const struct source *source)
{
    static const char *const names[] = {"none", "gzip", "zstd"};
    return names[source->packing];
}

/* ---- unpacking ---- */

/* Puts bytes into out. Answers how many; 0 with *over at the end; -1 with err. */
static ssize_t gzip_some(struct source *source, bool *over, struct err *err)
{
    if (source->member_over) {
        if (source->in_left < 2 || (unsigned char)source->in[0] != 0x1f || (unsigned char)source->in[1] != 0x8b) {
            *over = true; /* whatever follows, it is not ours */
            return 0;
        }
        inflateReset(&source->zlib);
        source->member_over = false;
    }
    source->zlib.next_in = (Bytef *)source->in;
    source->zlib.avail_in = (uInt)source->in_left;
    source->zlib.next_out = (Bytef *)source->out;
    source->zlib.avail_out = (uInt)BLOCK;
    int rc = inflate(&source->zlib, Z_NO_FLUSH);
    source->in += source->in_left - source->zlib.avail_in;
    source->in_left = source->zlib.avail_in;
    if (rc == Z_MEM_ERROR)
        return err_set(err, ERR_NO_MEMORY, "no memory to unpack a file");
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
        return err_set(err, ERR_INVALID, "it is damaged: what is packed in it cannot be unpacked");
    source->member_over = rc == Z_STREAM_END;
    return (ssize_t)(BLOCK - source->zlib.avail_out);
}

static ssize_t zstd_some(struct source *source, struct err *err)
{
    ZSTD_inBuffer in = {source->in, source->in_left, 0};
    ZSTD_outBuffer out = {source->out, BLOCK, 0};
    size_t rc = ZSTD_decompressStream(source->zstd, &out, &in);
    if (ZSTD_isError(rc))
        return err_set(err, ERR_INVALID, "it is damaged: what is packed in it cannot be unpacked (%s)", ZSTD_getErrorName(rc));
    source->in += in.pos;
    source->in_left -= in.pos;
    source->zstd_wants = rc;
    return (ssize_t)out.pos;
}

static bool ended_well(const struct source *source)
{
    return source->packing == GZIP ? source->member_over : source->zstd_wants == 0;
}

static int unpack(struct source *source, const char **data, size_t *len, struct err *err)
{
    while (!source->unpacked_over) {
        bool over = false;
        int more = source->in_left == 0 ? block_read(source, err) : 1;
        if (more < 0)
            return -1;
        if (more == 0 && ended_well(source))
            break;
        ssize_t made = source->packing == GZIP ? gzip_some(source, &over, err) : zstd_some(source, err);
        if (made < 0)
            return -1;
        source->unpacked += (uint64_t)made;
        if (source->unpacked > SOURCE_FREE && source->unpacked / SOURCE_RATIO > source->raw)
            return err_set(err, ERR_INVALID, "it was given up: it unpacks to over %d times its size", SOURCE_RATIO);
        if (over)
            break;
        if (made > 0) {
            *data = source->out;
            *len = (size_t)made;
            return 1;
        }
        if (more == 0)
            return err_set(err, ERR_INVALID, "it is cut short: what is packed in it has no end");
    }
    source->unpacked_over = true;
    return 0;
}

/* ---- for readers ---- */

static int fill(struct source *source, struct err *err)
{
    if (source->packing != PLAIN)
        return unpack(source, &source->at, &source->left, err);
    int rc = source->in_left ? 1 : block_read(source, err);
    source->at = source->in;
    source->left = source->in_left;
    source->in_left = 0;
    return rc;
}

int source_next(struct source *source, const char **data, size_t *len, struct err *err)
{
    int rc = source->left ? 1 : fill(source, err);
    if (rc != 1)
        return rc;
    *data = source->at;
    *len = source->left;
    source->at += source->left;
    source->taken += source->left;
    source->left = 0;
    return 1;
}

void source_back(struct source *source, size_t len)
{
    source->at -= len;
    source->left += len;
    source->taken -= len;
}

static int pass(struct source *source, char *out, uint64_t len, struct err *err)
{
    while (len) {
        int rc = source->left ? 1 : fill(source, err);
        if (rc < 0)
            return -1;
        if (rc == 0)
            return err_set(err, ERR_INVALID, "it is cut short, or a length in it is wrong");
        size_t some = len < source->left ? (size_t)len : source->left;
        if (out) {
            memcpy(out, source->at, some);
            out += some;
        }
        source->at += some;
        source->left -= some;
        source->taken += some;
        len -= some;
    }
    return 0;
}

int source_take(struct source *source, void *out, size_t len, struct err *err)
{
    return pass(source, out, len, err);
}

int source_skip(struct source *source, uint64_t len, struct err *err)
{
    return pass(source, NULL, len, err);
}

uint64_t source_at(const struct source *source)
{
    return source->taken;
}

int source_end(struct source *source, char md5[33], uint64_t *size, struct err *err)
{
    unsigned char sum[DIGEST_SIZE];
    int rc;
    while ((rc = block_read(source, err)) > 0)
        ;
    if (rc < 0)
        return -1;
    if (digest_end(source->digest, sum) < 0)
        return err_set(err, ERR_INTERNAL, "its MD5 could not be made");
    for (unsigned i = 0; i < DIGEST_SIZE; i++)
        snprintf(md5 + 2 * i, 3, "%02x", sum[i]);
    *size = source->raw;
    return 0;
}
