#include "store/redo.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/messages.h"
#include "store/key.h"

#define MAGIC "GTYREDO1"
#define MAGIC_BYTES 8
#define HASH 16
#define HASHED_AT (MAGIC_BYTES + HASH) /* what the hash is of begins here */
#define HEAD (HASHED_AT + 4 * 8)
#define ALIGN ((uint64_t)4096)
#define BYTES_MOST ((uint64_t)1 << 30)
#define KEY crypto_generichash_KEYBYTES
/* What is to be done, behind what is wrong. Nobody but people can say whether the rest is worth more than what only the log has. */
#define DAMAGED                                                                                                                  \
    ": acknowledged batches may be in it only; restore a backup (gantry restore), or move it away to go on without them, and "   \
    "run gantry fsck"

struct half {
    uint64_t epoch, last; /* of what is in it; last 0: nothing that counts */
};

struct redo {
    int fd;
    unsigned char key[KEY];
    uint64_t half_bytes;
    struct half halves[2];
    unsigned current;
    uint64_t at; /* in the current half */
    struct buf block;
};

/* ---- the file ---- */

static bool disk_full(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

static int io_error(struct err *err, const char *what)
{
    return err_set(err, disk_full(errno) ? ERR_UNAVAILABLE : ERR_IO, "cannot %s the redo log: %s", what, strerror(errno));
}

static int write_all(int fd, const char *data, uint64_t len, uint64_t at)
{
    while (len > 0) {
        ssize_t done = pwrite(fd, data, len, (off_t)at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return -1;
        data += done;
        at += (uint64_t)done;
        len -= (uint64_t)done;
    }
    return 0;
}

/* The head: what begins the file. One that was made before heads had a hash has zeros in its place. */
static void head_hash(const char *head, unsigned char out[HASH])
{
    crypto_generichash(out, HASH, (const unsigned char *)head, MAGIC_BYTES + KEY, NULL, 0);
}

static int head_write(int fd, const unsigned char key[KEY])
{
    char head[ALIGN] = MAGIC;
    memcpy(head + MAGIC_BYTES, key, KEY);
    head_hash(head, (unsigned char *)head + MAGIC_BYTES + KEY);
    return write_all(fd, head, sizeof head, 0) == 0 && fsync(fd) == 0 ? 0 : -1;
}

/* The key and zeros, all really written: later writes change no more of the file than their bytes. */
static int file_make(int fd, uint64_t bytes, struct err *err)
{
    char zeros[ALIGN * 16] = {0};
    unsigned char key[KEY];
    int rc = posix_fallocate(fd, 0, (off_t)(ALIGN + bytes));
    if (rc != 0) {
        errno = rc;
        return io_error(err, "make");
    }
    for (uint64_t at = 0; at < bytes; at += sizeof zeros) {
        uint64_t some = bytes - at < sizeof zeros ? bytes - at : sizeof zeros;
        if (write_all(fd, zeros, some, ALIGN + at) != 0)
            return io_error(err, "make");
    }
    randombytes_buf(key, KEY);
    if (ftruncate(fd, (off_t)(ALIGN + bytes)) != 0 || fsync(fd) != 0 || head_write(fd, key) != 0)
        return io_error(err, "make");
    return 0;
}

enum head {
    HEAD_WHOLE,
    HEAD_OLD,  /* it has no hash */
    HEAD_NONE, /* the file died while it was made: there is nothing in it yet */
    HEAD_WRONG,
};

/* 1: the file has no byte that is not zero; -1 with err. */
static int file_blank(int fd, struct err *err)
{
    char bytes[ALIGN * 16];
    uint64_t at = 0;
    for (;;) {
        ssize_t got = pread(fd, bytes, sizeof bytes, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return io_error(err, "read");
        if (got == 0)
            return 1;
        if (!sodium_is_zero((const unsigned char *)bytes, (size_t)got))
            return 0;
        at += (uint64_t)got;
    }
}

/* Of a head that is whole or old, key and size are taken. HEAD_WRONG comes with err. */
static enum head head_read(struct redo *redo, const char *path, struct err *err)
{
    struct stat st;
    char head[MAGIC_BYTES + KEY + HASH] = {0};
    unsigned char hash[HASH];
    if (fstat(redo->fd, &st) != 0 || pread(redo->fd, head, sizeof head, 0) < 0)
        return io_error(err, "read"), HEAD_WRONG;
    uint64_t size = st.st_size > (off_t)ALIGN ? (uint64_t)st.st_size - ALIGN : 0;
    bool sized = size >= 2 * ALIGN && size <= BYTES_MOST && size % (2 * ALIGN) == 0;
    const unsigned char *said = (const unsigned char *)head + MAGIC_BYTES + KEY;
    bool old = sodium_is_zero(said, HASH);
    head_hash(head, hash);
    if (sized && memcmp(head, MAGIC, MAGIC_BYTES) == 0 && (old || memcmp(hash, said, HASH) == 0)) {
        memcpy(redo->key, head + MAGIC_BYTES, KEY);
        redo->half_bytes = size / 2;
        return old ? HEAD_OLD : HEAD_WHOLE;
    }
    int blank = file_blank(redo->fd, err);
    if (blank == 0)
        err_set(err, ERR_INVALID, "the redo log %s is damaged (its %s)" DAMAGED, path, sized ? "head" : "length");
    return blank > 0 ? HEAD_NONE : HEAD_WRONG;
}

static int file_open(struct redo *redo, const char *path, uint64_t bytes, struct err *err)
{
    redo->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (redo->fd < 0)
        return io_error(err, "open");
    enum head head = head_read(redo, path, err);
    if (head == HEAD_NONE) {
        if (file_make(redo->fd, bytes, err) != 0) {
            unlink(path);
            return -1;
        }
        head = head_read(redo, path, err);
    }
    if (head == HEAD_OLD && head_write(redo->fd, redo->key) != 0 && !disk_full(errno)) /* it can do without */
        return io_error(err, "write");
    return head == HEAD_WHOLE || head == HEAD_OLD ? 0 : -1;
}

struct redo *redo_open(const char *path, uint64_t bytes, struct err *err)
{
    struct redo *redo = calloc(1, sizeof *redo);
    if (!redo) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    redo->fd = -1;
    if (file_open(redo, path, bytes, err) != 0) {
        redo_free(redo);
        return NULL;
    }
    return redo;
}

void redo_free(struct redo *redo)
{
    if (!redo)
        return;
    if (redo->fd >= 0)
        close(redo->fd);
    buf_free(&redo->block);
    free(redo);
}

uint64_t redo_bytes(const struct redo *redo)
{
    return ALIGN + 2 * redo->half_bytes;
}

/* ---- reading ---- */

struct block {
    uint64_t epoch, first, count, bytes;
    const char *frames;
};

/* With a key that nobody else has: a client's bytes, left over from an older block, cannot be made to look like a block. */
static void block_hash(const struct redo *redo, const char *block, uint64_t bytes, unsigned char out[HASH])
{
    crypto_generichash(out, HASH, (const unsigned char *)block + HASHED_AT, HEAD - HASHED_AT + bytes, redo->key, KEY);
}

/* The whole block at the beginning of data; false: there is none. */
static bool block_read(const struct redo *redo, const char *data, uint64_t len, struct block *block)
{
    unsigned char hash[HASH];
    if (len < HEAD || memcmp(data, MAGIC, MAGIC_BYTES) != 0)
        return false;
    *block = (struct block){.epoch = key_read_u64(data + HASHED_AT),
                            .first = key_read_u64(data + HASHED_AT + 8),
                            .count = key_read_u64(data + HASHED_AT + 16),
                            .bytes = key_read_u64(data + HASHED_AT + 24),
                            .frames = data + HEAD};
    if (block->bytes > len - HEAD || block->count == 0 || block->count > block->bytes || block->first == 0)
        return false;
    block_hash(redo, data, block->bytes, hash);
    return memcmp(hash, data + MAGIC_BYTES, HASH) == 0;
}

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

struct replay {
    uint64_t epoch, applied;
    int (*each)(void *self, struct str frame, struct err *err);
    void *self;
};

static int block_replay(struct replay *replay, const struct block *block, struct err *err)
{
    const char *at = block->frames, *end = block->frames + block->bytes;
    for (uint64_t i = 0; i < block->count; i++) {
        uint64_t len = end - at >= 8 ? key_read_u64(at) : UINT64_MAX;
        if (end - at < 8 || len > (uint64_t)(end - at) - 8)
            return err_set(err, ERR_INVALID, "the redo log has a block that contradicts itself");
        uint64_t seq = block->first + i;
        if (seq > replay->applied) {
            if (replay->each(replay->self, (struct str){at + 8, (uint32_t)len}, err) != 0)
                return -1;
            replay->applied = seq;
        }
        at += 8 + len;
    }
    return 0;
}

static int block_out_of_order(const struct replay *replay, const struct block *block, struct err *err)
{
    return err_set(
        err, ERR_INVALID,
        "the database has batch %lu of epoch %lu, its redo log goes on from %lu of %lu: is it an older copy? Then remove "
        "the file redo beside it; else the log is damaged: gantry restore, or gantry fsck without it",
        (unsigned long)replay->applied, (unsigned long)replay->epoch, (unsigned long)block->first, (unsigned long)block->epoch);
}

/* What is whole in a half and not in the database yet, in order. Between such blocks may stand what is older, or torn. */
static int half_replay(const struct redo *redo, const char *data, struct replay *replay, struct half *half, struct err *err)
{
    struct block block;
    *half = (struct half){0};
    for (uint64_t at = 0, next; at < redo->half_bytes; at = next) {
        bool whole = block_read(redo, data + at, redo->half_bytes - at, &block);
        next = at + (whole ? aligned(HEAD + block.bytes) : ALIGN);
        if (!whole || block.epoch < replay->epoch)
            continue;
        if (block.epoch > replay->epoch || block.first > replay->applied + 1)
            return block_out_of_order(replay, &block, err);
        if (block_replay(replay, &block, err) != 0)
            return -1;
        if (block.first + block.count - 1 > half->last)
            *half = (struct half){block.epoch, block.first + block.count - 1};
    }
    return 0;
}

/* Which half begins earlier. */
static unsigned half_older(const struct redo *redo, const char *data)
{
    struct block blocks[2];
    for (unsigned i = 0; i < 2; i++)
        if (!block_read(redo, data + i * redo->half_bytes, redo->half_bytes, &blocks[i]))
            blocks[i] = (struct block){0};
    bool second = blocks[1].epoch != blocks[0].epoch ? blocks[1].epoch < blocks[0].epoch : blocks[1].first < blocks[0].first;
    return second ? 1 : 0;
}

int redo_replay(struct redo *redo, uint64_t epoch, uint64_t applied, int (*each)(void *self, struct str frame, struct err *err),
                void *self, struct err *err)
{
    struct replay replay = {epoch, applied, each, self};
    uint64_t size = redo->half_bytes * 2;
    char *data = malloc(size);
    int rc = 0;
    if (!data)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    for (uint64_t at = 0; rc == 0 && at < size;) {
        ssize_t got = pread(redo->fd, data + at, size - at, (off_t)(ALIGN + at));
        if (got > 0)
            at += (uint64_t)got;
        else if (got == 0 || errno != EINTR)
            rc = io_error(err, "read");
    }
    unsigned older = rc == 0 ? half_older(redo, data) : 0;
    for (unsigned i = 0; rc == 0 && i < 2; i++) {
        unsigned half = older ^ i;
        rc = half_replay(redo, data + half * redo->half_bytes, &replay, &redo->halves[half], err);
    }
    redo->current = older; /* the other one holds what was written last */
    redo->at = redo->half_bytes;
    free(data);
    return rc;
}

static int frame_count(void *self, struct str frame, struct err *err)
{
    uint64_t *count = self;
    (void)frame, (void)err;
    ++*count;
    return 0;
}

int redo_last(const char *path, uint64_t epoch, uint64_t applied, uint64_t *last, struct err *err)
{
    struct redo redo = {.fd = open(path, O_RDONLY | O_CLOEXEC)};
    uint64_t count = 0;
    int rc = 0;
    *last = applied;
    if (redo.fd < 0)
        return errno == ENOENT ? 0 : io_error(err, "open");
    enum head head = head_read(&redo, path, err);
    if (head == HEAD_WRONG)
        rc = -1;
    else if (head != HEAD_NONE)
        rc = redo_replay(&redo, epoch, applied, frame_count, &count, err);
    *last = applied + count;
    close(redo.fd);
    return rc;
}

/* ---- writing ---- */

static bool half_applied(const struct half *half, uint64_t epoch, uint64_t applied)
{
    return half->last == 0 || half->epoch != epoch || half->last <= applied;
}

/* A place for a block in *half and *at; false: there is none now. What the database does not have yet goes on without a gap. */
static bool block_place(const struct redo *redo, uint64_t epoch, uint64_t first, uint64_t bytes, uint64_t applied, unsigned *half,
                        uint64_t *at)
{
    const struct half *current = &redo->halves[redo->current], *other = &redo->halves[redo->current ^ 1];
    *half = redo->current;
    *at = 0;
    if (bytes > redo->half_bytes)
        return false;
    if (half_applied(current, epoch, applied) && half_applied(other, epoch, applied))
        return true;
    if (current->epoch != epoch || current->last + 1 != first)
        return false;
    if (redo->half_bytes - redo->at >= bytes) {
        *at = redo->at;
        return true;
    }
    *half = redo->current ^ 1;
    return half_applied(other, epoch, applied);
}

static int block_make(struct redo *redo, uint64_t epoch, uint64_t first, const struct str *frames, uint32_t count, uint64_t bytes)
{
    static const char zeros[ALIGN] = {0};
    unsigned char head[HEAD] = MAGIC, len[8];
    struct buf *block = &redo->block;
    buf_reset(block);
    if (buf_reserve(block, aligned(HEAD + bytes)) != 0)
        return -1;
    key_write_u64(head + HASHED_AT, epoch);
    key_write_u64(head + HASHED_AT + 8, first);
    key_write_u64(head + HASHED_AT + 16, count);
    key_write_u64(head + HASHED_AT + 24, bytes);
    buf_add(block, head, sizeof head);
    for (uint32_t i = 0; i < count; i++) {
        key_write_u64(len, frames[i].len);
        buf_add(block, len, sizeof len);
        buf_add(block, frames[i].ptr, frames[i].len);
    }
    block_hash(redo, block->data, bytes, (unsigned char *)block->data + MAGIC_BYTES);
    return buf_add(block, zeros, aligned(block->len) - block->len);
}

int redo_write(struct redo *redo, uint64_t epoch, uint64_t first, const struct str *frames, uint32_t count, uint64_t applied,
               struct err *err)
{
    uint64_t bytes = 0, at;
    unsigned half;
    for (uint32_t i = 0; i < count; i++)
        bytes += 8 + (uint64_t)frames[i].len;
    if (!block_place(redo, epoch, first, aligned(HEAD + bytes), applied, &half, &at))
        return err_set(err, ERR_LIMIT, "the redo log has no room for this now");
    if (block_make(redo, epoch, first, frames, count, bytes) != 0) {
        buf_free(&redo->block);
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    if (write_all(redo->fd, redo->block.data, redo->block.len, ALIGN + half * redo->half_bytes + at) != 0)
        return io_error(err, "write");
    if (fdatasync(redo->fd) != 0)
        return err_set(err, ERR_IO, "cannot sync the redo log: %s", strerror(errno));
    redo->halves[half] = (struct half){epoch, first + count - 1};
    redo->current = half;
    redo->at = at + redo->block.len;
    return 0;
}
