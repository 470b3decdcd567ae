/* The look at a database's pages before they are mapped: whatever is in the file, it is judged and not touched. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/kv_page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct findings findings = {0};
    struct kv_pages pages;
    char path[64];
    int fd = memfd_create("database", MFD_CLOEXEC);
    if (fd < 0)
        return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, data, size) == (ssize_t)size && kv_pages_check(path, UINT64_MAX, &pages, &findings, &err) != 0 && !err.text[0])
        abort();
    close(fd);
    return 0;
}
