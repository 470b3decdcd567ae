#include "store/manifest.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/buf.h"
#include "store/key.h"

#define MAGIC "GANTRY BACKUP 1\n"
#define END_BYTES 48
#define RECORD_MOST ((uint64_t)1 << 20)

static int write_all(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t done = write(fd, at, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return -1;
        at += done;
        len -= (size_t)done;
    }
    return 0;
}

int manifest_write(int fd, const struct rec_backup *backup, struct err *err)
{
    struct buf buf = {0};
    unsigned char end[END_BYTES] = MAGIC;
    int rc = rec_encode_backup(&buf, backup, err);
    if (rc == 0) {
        key_write_u64(end + 16, buf.len);
        key_write_u64(end + 24, backup->bytes);
        crypto_generichash(end + 32, 16, (const unsigned char *)buf.data, buf.len, NULL, 0);
        if (lseek(fd, (off_t)backup->bytes, SEEK_SET) < 0 || write_all(fd, buf.data, buf.len) != 0 ||
            write_all(fd, end, sizeof end) != 0)
            rc = err_set(err, ERR_IO, "cannot write the backup: %s", strerror(errno));
    }
    buf_free(&buf);
    return rc;
}

int manifest_read(const char *path, int fd, struct arena *arena, struct rec_backup *backup, struct err *err)
{
    unsigned char end[END_BYTES], hash[16];
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    uint64_t size = (uint64_t)st.st_size;
    if (!S_ISREG(st.st_mode) || size < sizeof end ||
        pread(fd, end, sizeof end, (off_t)(size - sizeof end)) != (ssize_t)sizeof end || memcmp(end, MAGIC, 16) != 0)
        return err_set(err, ERR_INVALID, "%s is not a backup of Gantry's, or its end is missing", path);
    uint64_t len = key_read_u64(end + 16), pages = key_read_u64(end + 24);
    if (len > RECORD_MOST || pages > size || len + pages + sizeof end != size)
        return err_set(err, ERR_INVALID, "%s is damaged: its length is not what it says", path);
    char *bytes = arena_alloc(arena, len + 1);
    if (!bytes)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    if (pread(fd, bytes, len, (off_t)pages) != (ssize_t)len)
        return err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    crypto_generichash(hash, sizeof hash, (const unsigned char *)bytes, len, NULL, 0);
    struct err why = {0};
    if (memcmp(hash, end + 32, sizeof hash) != 0 ||
        rec_decode_backup(arena, (struct str){bytes, (uint32_t)len}, backup, &why) != 0 || backup->bytes != pages)
        return err_set(err, ERR_INVALID, "%s is damaged: what it says of itself is not whole %s", path, why.text);
    return 0;
}

const char *manifest_time(uint64_t at_ms, char *out)
{
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm tm;
    if (!gmtime_r(&seconds, &tm) || strftime(out, MANIFEST_TIME, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        snprintf(out, MANIFEST_TIME, "?");
    return out;
}
