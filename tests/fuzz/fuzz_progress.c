/* What a program writes to its progress descriptor, and ffmpeg to stderr. The first byte says where the input is cut in two. */
#include <math.h>
#include <stdlib.h>

#include "proto/str.h"
#include "worker/capture.h"
#include "worker/progress.h"

static void on_line(void *self, const char *text, size_t len)
{
    if (len > CAPTURE_LINE || !str_utf8((struct str){text, (uint32_t)len}))
        abort();
    progress_stderr(self, text, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct progress progress;
    if (size == 0)
        return 0;
    size_t cut = data[0] % size;
    const char *text = (const char *)data + 1;
    progress_init(&progress);
    struct capture *capture = capture_new(on_line, &progress);
    if (!capture)
        return 0;
    capture_feed(capture, text, cut, 1000);
    capture_feed(capture, text + cut, size - 1 - cut, 2500);
    capture_finish(capture);
    capture_free(capture);
    progress_feed(&progress, text, cut);
    progress_feed(&progress, text + cut, size - 1 - cut);
    if (!isfinite(progress.percent) || progress.percent < -1 || progress.percent > 100 || !str_utf8(str_of(progress.note)))
        abort();
    return 0;
}
