/* Packets between a frame's process and its keeper: whatever comes is a text without a NUL or none, and what is wanted is within its bounds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/render/keep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void look(const char *text)
{
    struct keep_want want;
    char again[KEEP_TEXT];
    if (!keep_want_read(text, &want))
        return;
    snprintf(again, sizeof(again), "want %s %lu %lu", want.key, (unsigned long)want.chunk, (unsigned long)want.seconds);
    check(strcmp(again, text) == 0 && want.chunk > 0 && want.seconds > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[KEEP_TEXT];
    struct keep_ends ends;
    int line[2];
    if (size == 0 || size > 2 * KEEP_TEXT || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) < 0)
        return 0;
    if (send(line[0], data, size, MSG_NOSIGNAL) == (ssize_t)size) {
        int rc = keep_receive(line[1], text, &ends);
        check(rc == (size < KEEP_TEXT && !memchr(data, '\0', size) ? 1 : -1) && ends.process == -1);
        if (rc == 1)
            look(text);
    }
    close(line[0]);
    close(line[1]);
    return 0;
}
