#include "gateway/serve.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/reply.h"

/* Digits up to the first other character; false when there are none, or too many. */
static bool digits(const char **at, const char *end, uint64_t *out)
{
    const char *from = *at;

    *out = 0;
    for (; *at < end && **at >= '0' && **at <= '9' && *at - from < 18; (*at)++)
        *out = *out * 10 + (uint64_t)(**at - '0');
    return *at > from;
}

enum range { RANGE_NONE, RANGE_PART, RANGE_BEYOND };

/* "bytes=FIRST-LAST", "bytes=FIRST-", "bytes=-LAST": one range. What is no such is not there, as RFC 9110 has it. */
static enum range range_read(struct str text, struct file_part *file)
{
    static const char word[] = "bytes=";
    const char *at = text.ptr + (sizeof word - 1), *end = text.ptr + text.len;
    uint64_t first = 0, last = 0;

    if (text.len < sizeof word || memcmp(text.ptr, word, sizeof word - 1) != 0)
        return RANGE_NONE;
    bool has_first = digits(&at, end, &first);
    if (at == end || *at++ != '-')
        return RANGE_NONE;
    bool has_last = digits(&at, end, &last);
    if (at != end || (!has_first && !has_last) || (has_first && has_last && last < first))
        return RANGE_NONE;
    if (!has_first) {
        first = last < file->total ? file->total - last : 0;
        if (last == 0)
            return RANGE_BEYOND;
        last = file->total;
    }
    if (first >= file->total)
        return RANGE_BEYOND;
    if (!has_last || last >= file->total)
        last = file->total - 1;
    file->offset = first;
    file->length = last - first + 1;
    return RANGE_PART;
}

void serve_file(struct request *request, int fd, const char *tag, const char *content_type)
{
    const struct request_headers *headers = &request->headers;
    struct file_part *file = &request->file;
    struct stat stat;

    if (fstat(fd, &stat) != 0) {
        close(fd);
        reply_problem_kind(request, PROBLEM_INTERNAL);
        return;
    }
    *file = (struct file_part){.fd = fd, .length = (uint64_t)stat.st_size, .total = (uint64_t)stat.st_size};
    if (tag)
        snprintf(file->tag, sizeof file->tag, "\"%s\"", tag);
    else
        snprintf(file->tag, sizeof file->tag, "\"%llx-%llx\"", (unsigned long long)stat.st_size,
                 (unsigned long long)stat.st_mtim.tv_sec * 1000000000U + (unsigned long long)stat.st_mtim.tv_nsec);
    bool changed = headers->if_range.len > 0 && !str_is(headers->if_range, file->tag);
    if (!changed && range_read(headers->range, file) == RANGE_BEYOND) {
        close(fd);
        reply_problem_kind(request, PROBLEM_RANGE);
        return;
    }
    file->there = true;
    reply_file(request, content_type);
}
