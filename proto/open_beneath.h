/* openat2(2), which the C library of the distribution has no function for: a name below a folder, and nothing else, whatever .., absolute
 * names and links it has on its way, also when somebody changes them meanwhile. In the header, as programs that read hostile files link little.
 */
#ifndef GANTRY_PROTO_OPEN_BENEATH_H
#define GANTRY_PROTO_OPEN_BENEATH_H

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

/* flags as of open; O_CLOEXEC is added. links: symbolic links that stay below are followed. -1 with errno (EXDEV, ELOOP: it leads out). */
static inline int open_beneath(int folder, const char *name, int flags, bool links)
{
    const struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC,
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (links ? 0u : RESOLVE_NO_SYMLINKS)};
    return (int)syscall(SYS_openat2, folder, name, &how, sizeof how);
}

/* A name no step of which is a symbolic link, wherever it leads. mode: of what O_CREAT makes; 0 without. -1 with errno (ELOOP). */
static inline int open_straight(const char *name, int flags, unsigned mode)
{
    const struct open_how how = {
        .flags = (unsigned)flags | O_CLOEXEC, .mode = mode, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, AT_FDCWD, name, &how, sizeof how);
}

#endif
