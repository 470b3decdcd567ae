/* A table of which videos need transcoding: whatever it is, it is read or refused with words, and what was read judges a video. */
#include <stdlib.h>

#include "worker/video/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rules rules;
    static char text[RULES_TEXT_MAX + 16];
    static struct probe probe = {.count = 2, .duration = 10, .size = 1 << 20, .bitrate = 1000000};
    struct err err = {0};
    size = size < sizeof(text) ? size : sizeof(text) - 1;
    memcpy(text, data, size);
    text[size] = '\0';
    probe.streams[0] = (struct probe_stream){.codec = "hevc", .width = 1920, .height = 1080, .fps = 25};
    probe.streams[1] = (struct probe_stream){.kind = PROBE_AUDIO, .codec = "aac", .channels = 2};
    if (rules_read(text, &rules, &err) == 0) {
        rules_judge(&rules, &probe, "folder/name.mkv", false);
        probe.video = -1;
        rules_judge(&rules, &probe, "", true);
        probe.video = 0;
    } else if (err.text[0] == '\0')
        abort();
    return 0;
}
