/* The list of a bucket, as a store or who stands in its place sends it: what is read of it are files below the prefix, and its token is escaped. The
 * first byte says which of two prefixes that is. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/s3_ask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%";

/* Whether the answer has the name of this file, its MD5 in either case. */
static bool is_named(struct str answer, const char *prefix, const unsigned char *md5)
{
    char hex[BLOB_HEX], key[64];

    blob_hex(md5, hex);
    int len = snprintf(key, sizeof key, "<Key>%sassets/%s<", prefix, hex);
    for (uint32_t at = 0; at + (uint32_t)len <= answer.len; at++)
        if (strncasecmp(answer.ptr + at, key, (size_t)len) == 0)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct s3_page page;

    if (size == 0 || size > UINT32_MAX)
        return 0;
    const struct str answer = {(const char *)data + 1, (uint32_t)size - 1};
    const char *prefix = data[0] % 2 ? "farm-a/" : "";
    int rc = s3_list_read(prefix, answer, &page);
    if (page.count > S3_PAGE || strlen(page.next) >= sizeof page.next)
        abort();
    if (rc == 0 && strspn(page.next, plain) != strlen(page.next))
        abort();
    for (unsigned i = 0; i < page.count; i++)
        if (!is_named(answer, prefix, page.md5s + (size_t)i * BLOB_MD5))
            abort();
    return 0;
}
