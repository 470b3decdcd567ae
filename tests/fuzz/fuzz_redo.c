/* The redo log, whatever is in the file: it is read whole, in order and within its bounds, or refused and left as it is.
 *
 * Input: what is sealed (bit 0: the head, bit 1: blocks), the database's epoch and last sequence, and pieces: where in the file
 * (in 512 bytes), how long, and the bytes. What is sealed gets its right hash: else nothing would ever pass for whole. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/key.h"
#include "store/redo.h"

#define ALIGN 4096u
#define FILE_BYTES (ALIGN + 4 * ALIGN) /* the head, and two halves of two blocks */
#define MAGIC "GTYREDO1"
#define KEY_AT 8
#define KEY 32
#define HASH 16
#define HASHED_AT 24 /* of a block */
#define HEADER 56

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned char file[FILE_BYTES], after[FILE_BYTES];

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void pieces_place(const uint8_t *data, size_t size)
{
    memset(file, 0, sizeof file);
    while (size >= 3) {
        size_t at = (size_t)data[0] * 512 % FILE_BYTES, len = data[1] + (size_t)data[2] * 256;
        data += 3;
        size -= 3;
        len = len < size ? len : size;
        size_t room = FILE_BYTES - at;
        memcpy(file + at, data, len < room ? len : room);
        data += len;
        size -= len;
    }
}

static void head_seal(void)
{
    memcpy(file, MAGIC, KEY_AT);
    crypto_generichash(file + KEY_AT + KEY, HASH, file, KEY_AT + KEY, NULL, 0);
}

static void blocks_seal(void)
{
    for (size_t at = ALIGN; at < FILE_BYTES; at += ALIGN) {
        uint64_t bytes = key_read_u64(file + at + 48), room = FILE_BYTES - at - HEADER;
        if (memcmp(file + at, MAGIC, KEY_AT) == 0 && bytes <= room)
            crypto_generichash(file + at + 8, HASH, file + at + HASHED_AT, HEADER - HASHED_AT + bytes, file + KEY_AT, KEY);
    }
}

struct seen {
    uint64_t frames, sum;
};

static int on_frame(void *self, struct str frame, struct err *err)
{
    struct seen *seen = self;
    (void)err;
    seen->frames++;
    for (uint32_t i = 0; i < frame.len; i++)
        seen->sum += (unsigned char)frame.ptr[i];
    return 0;
}

/* What is written behind what was read is read behind it. */
static void write_on(struct redo *redo, const char *path, uint64_t epoch, uint64_t last)
{
    const struct str frame = STR_LIT("another");
    struct err err = {0};
    struct seen seen = {0};
    if (redo_write(redo, epoch, last + 1, &frame, 1, last, &err) != 0) {
        must(err.code == ERR_LIMIT);
        return;
    }
    struct redo *again = redo_open(path, 2 * ALIGN, &err);
    must(again && redo_replay(again, epoch, last, on_frame, &seen, &err) == 0);
    must(seen.frames == 1);
    redo_free(again);
}

static void look(const char *path, int fd, uint64_t epoch, uint64_t applied)
{
    struct err err = {0};
    struct seen seen = {0};
    uint64_t last = 0;
    struct redo *redo = redo_open(path, 2 * ALIGN, &err);
    if (!redo) {
        must(err.code != 0 && err.text[0]);
        must(pread(fd, after, sizeof after, 0) == sizeof after && memcmp(file, after, sizeof file) == 0);
        must(redo_last(path, epoch, applied, &last, &err) != 0);
        return;
    }
    bool read = redo_replay(redo, epoch, applied, on_frame, &seen, &err) == 0;
    must(read || err.text[0]);
    struct err again = {0};
    must((redo_last(path, epoch, applied, &last, &again) == 0) == read);
    must(!read || last == applied + seen.frames);
    if (read && epoch > 0 && last < UINT64_MAX - 1)
        write_on(redo, path, epoch, last);
    redo_free(redo);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    if (size < 3 || sodium_init() < 0)
        return 0;
    int fd = memfd_create("redo", MFD_CLOEXEC);
    if (fd < 0)
        return 0;
    pieces_place(data + 3, size - 3);
    if (data[0] & 1)
        head_seal();
    if (data[0] & 2)
        blocks_seal();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, file, sizeof file) == (ssize_t)sizeof file)
        look(path, fd, data[1], data[2]);
    close(fd);
    return 0;
}
