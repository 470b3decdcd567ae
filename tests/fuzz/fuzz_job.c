/* What gantry-run is told: read or refused; what is read packs to bytes that read the same. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "worker/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static size_t check_texts(char **one, char **two)
{
    size_t count = 0;
    for (; one[count]; count++)
        check(two[count] && strcmp(one[count], two[count]) == 0);
    check(!two[count]);
    return count;
}

static bool same(const char *one, const char *two)
{
    return strcmp(one ? one : "", two ? two : "") == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct job job, again;
    size_t len = 0;
    char *bytes = malloc(size ? size : 1);
    if (!bytes)
        return 0;
    if (size)
        memcpy(bytes, data, size);
    if (job_unpack(bytes, size, &job) == 0) {
        char *packed = job_pack(&job, &len);
        check(packed && job_unpack(packed, len, &again) == 0);
        check(check_texts(job.argv, again.argv) > 0);
        check_texts(job.env, again.env);
        check(same(job.cwd, again.cwd) && same(job.user, again.user));
        check(job.cpu_seconds == again.cpu_seconds && job.memory_mb == again.memory_mb && job.files == again.files &&
              job.timeout_ms == again.timeout_ms && job.grace_ms == again.grace_ms);
        job_clear(&again);
        free(packed);
        job_clear(&job);
    } else {
        check(!job.argv && !job.env);
    }
    free(bytes);
    return 0;
}
