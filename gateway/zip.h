/* Files below a folder as one ZIP archive that is made while it is sent: nothing of it is on disk, and memory is flat.
 *
 * libarchive writes it. Nothing is packed, as pictures already are: so its length follows from names and sizes, and is known before the first
 * byte. Beyond 4 GB it is ZIP64. Names in the archive are ASCII.
 */
#ifndef GANTRY_GATEWAY_ZIP_H
#define GANTRY_GATEWAY_ZIP_H

#include <stdint.h>
#include <sys/types.h>

#include "proto/str.h"

struct zip_file {
    const char *name; /* in the archive */
    const char *path; /* below the folder; NULL: it is this text */
    struct str text;
    uint64_t size; /* bytes; of the text or the file */
    int64_t at;    /* its time, seconds since 1970 */
};

/* The bytes that an archive of these has. 0: no memory, or a name that cannot be. Safe to call from any thread. */
uint64_t zip_length(const struct zip_file *files, uint32_t count);

struct zip;

/* folder: open (O_PATH), and files: both borrowed until zip_free. NULL: no memory. */
struct zip *zip_new(int folder, const struct zip_file *files, uint32_t count);
void zip_free(struct zip *zip); /* takes NULL */

/* The next bytes, at most max. 0: the end. -1 with errno: a file is gone, or has another size than was said; or no memory. */
ssize_t zip_read(struct zip *zip, char *out, size_t max);

#endif
