/* What a backup says of itself, whatever its end is: it is read, or refused with words.
 *
 * Input: how many pages' bytes are before it and whether its end is sealed (the right length and hash: else no record would ever be
 * read), and the record; or the file as it is. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/key.h"
#include "store/manifest.h"

#define PAGES_MOST 16u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static int file_of(const void *data, size_t size)
{
    int fd = memfd_create("backup", MFD_CLOEXEC);
    if (fd >= 0 && write(fd, data, size) == (ssize_t)size)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* What was read can be written, and is read again. */
static void write_again(struct arena *arena, const struct rec_backup *backup)
{
    char pages[PAGES_MOST] = {0};
    struct rec_backup again;
    struct err err = {0};
    int fd = file_of(pages, backup->bytes);
    if (fd < 0)
        return;
    must(manifest_write(fd, backup, &err) == 0);
    must(manifest_read("backup", fd, arena, &again, &err) == 0);
    must(again.at == backup->at && again.schema == backup->schema && again.epoch == backup->epoch &&
         again.counts.count == backup->counts.count && str_eq(again.version, backup->version) &&
         str_eq(again.hash, backup->hash));
    close(fd);
}

static void look(int fd)
{
    static struct arena *arena;
    struct rec_backup backup;
    struct err err = {0};
    if (!arena && !(arena = arena_new((size_t)4 << 20)))
        return;
    arena_reset(arena);
    if (manifest_read("backup", fd, arena, &backup, &err) != 0)
        must(err.code != 0 && err.text[0]);
    else if (backup.bytes <= PAGES_MOST)
        write_again(arena, &backup);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || sodium_init() < 0)
        return 0;
    bool sealed = data[0] & 0x80;
    unsigned pages = data[0] % (PAGES_MOST + 1);
    unsigned char *file = calloc(1, size + PAGES_MOST + 48);
    if (!file)
        return 0;
    size_t len = 0;
    if (sealed) {
        unsigned char *end = file + pages + size - 1;
        memcpy(file + pages, data + 1, size - 1);
        memcpy(end, "GANTRY BACKUP 1\n", 16);
        key_write_u64(end + 16, size - 1);
        key_write_u64(end + 24, pages);
        crypto_generichash(end + 32, 16, data + 1, size - 1, NULL, 0);
        len = pages + size - 1 + 48;
    } else {
        memcpy(file, data + 1, size - 1);
        len = size - 1;
    }
    int fd = file_of(file, len);
    if (fd >= 0) {
        look(fd);
        close(fd);
    }
    free(file);
    return 0;
}
