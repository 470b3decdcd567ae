#include "worker/render/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/messages.h"

#define DOOR "door"
#define ENDS 3
#define CHUNK_MAX 1000000u
#define SECONDS_MAX 86400u

/* A long name of a folder does not fit in an address: then by way of a descriptor, which has to stay open meanwhile. */
static bool address_make(const char *folder, struct sockaddr_un *address, int *held)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    *held = -1;
    if (snprintf(address->sun_path, sizeof(address->sun_path), "%s/" DOOR, folder) < (int)sizeof(address->sun_path))
        return true;
    *held = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/" DOOR, *held);
    return *held >= 0;
}

static int at_door(const char *folder, int (*act)(int, const struct sockaddr *, socklen_t))
{
    struct sockaddr_un address;
    int held, fd = -1, saved;
    if (address_make(folder, &address, &held)) {
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (fd >= 0 && act(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
            saved = errno;
            close(fd);
            fd = -1;
            errno = saved;
        }
    }
    saved = errno;
    if (held >= 0)
        close(held);
    errno = saved;
    return fd;
}

int keep_listen(const char *folder, struct err *err)
{
    int fd = at_door(folder, bind);
    if (fd >= 0 && listen(fd, 8) == 0)
        return fd;
    err_set(err, ERR_IO, "no socket in %.150s: %s", folder, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

int keep_dial(const char *folder)
{
    return at_door(folder, connect);
}

int keep_send(int line, const struct keep_ends *ends, const char *format, ...)
{
    char text[KEEP_TEXT];
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(ENDS * sizeof(int))];
    } control = {0};
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0 || len >= KEEP_TEXT)
        return -1;
    struct iovec piece = {text, (size_t)len};
    struct msghdr packet = {.msg_iov = &piece, .msg_iovlen = 1};
    if (ends) {
        const int fds[ENDS] = {ends->process, ends->in, ends->out};
        control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(fds)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.head), fds, sizeof(fds));
        packet.msg_control = &control;
        packet.msg_controllen = sizeof(control);
    }
    ssize_t put;
    do
        put = sendmsg(line, &packet, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    return put < 0 ? -1 : 0;
}

static void ends_take(struct msghdr *packet, struct keep_ends *ends)
{
    int fds[ENDS];
    const struct cmsghdr *head = CMSG_FIRSTHDR(packet);
    if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(fds)))
        return;
    memcpy(fds, CMSG_DATA(head), sizeof(fds));
    *ends = (struct keep_ends){fds[0], fds[1], fds[2]};
}

int keep_receive(int line, char text[KEEP_TEXT], struct keep_ends *ends)
{
    struct keep_ends got = {-1, -1, -1};
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(ENDS * sizeof(int))];
    } control;
    struct iovec piece = {text, KEEP_TEXT - 1};
    struct msghdr packet = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t len;
    do
        len = recvmsg(line, &packet, MSG_CMSG_CLOEXEC);
    while (len < 0 && errno == EINTR);
    if (len > 0)
        ends_take(&packet, &got);
    text[len > 0 ? len : 0] = '\0';
    bool well = len > 0 && !(packet.msg_flags & MSG_TRUNC) && strlen(text) == (size_t)len;
    if (ends && well)
        *ends = got;
    else
        keep_ends_close(&got);
    if (ends && !well)
        *ends = got;
    return len == 0 || (len < 0 && errno == ECONNRESET) ? 0 : well ? 1 : -1;
}

void keep_ends_close(struct keep_ends *ends)
{
    int *const all[] = {&ends->process, &ends->in, &ends->out};
    for (size_t i = 0; i < ENDS; i++) {
        if (*all[i] >= 0)
            close(*all[i]);
        *all[i] = -1;
    }
}

/* A blank, and a number from 1. */
static bool number_read(const char **at, uint64_t most, uint64_t *out)
{
    *out = 0;
    if (*(*at)++ != ' ' || **at < '1' || **at > '9')
        return false;
    while (**at >= '0' && **at <= '9' && *out <= most)
        *out = *out * 10 + (uint64_t)(*(*at)++ - '0');
    return *out <= most;
}

bool keep_want_read(const char *text, struct keep_want *out)
{
    if (strncmp(text, "want ", 5) != 0 || strspn(text + 5, "0123456789abcdef") != KEEP_KEY - 1)
        return false;
    memcpy(out->key, text + 5, KEEP_KEY - 1);
    out->key[KEEP_KEY - 1] = '\0';
    text += 5 + KEEP_KEY - 1;
    return number_read(&text, CHUNK_MAX, &out->chunk) && number_read(&text, SECONDS_MAX, &out->seconds) && *text == '\0';
}
