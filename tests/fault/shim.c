/* Faults for whole processes: preloaded into one of Gantry's programs, told what to do through a shared page (tests/faults.py).
 *
 * FAULT_PAGE names the file of that page, FAULT_PROGRAM the program that is meant: whatever else inherits the preload (a run's
 * processes, say) is left alone. A program that is linked with it finds the page beside itself (`fault`): a worker's steps have no environment. FAULT_SPARED lists libraries whose own allocations never fail, because they end their process by
 * themselves then (docs/design.md names them).
 *
 * - The k-th allocation from now fails once: `countdown` is k, `hits` counts, `site` and `object` say where.
 * - Wall clock and the clock of deadlines (CLOCK_BOOTTIME, which goes on while a machine is suspended) are off by so many milliseconds.
 * - fork, or a call on a file whose path holds `path`, fails with an errno `times` times, behind `skip` that go well. FAULT_KILL in the
 *   place of an errno is SIGKILL before the call, FAULT_STOP is SIGSTOP: the call goes well, later.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum call { CALL_FORK = 1, CALL_OPEN = 2, CALL_MKDIR = 4, CALL_RENAME = 8, CALL_SYNC = 16, CALL_WRITE = 32, CALL_LINK = 64 };
#define FAULT_KILL 65535
#define FAULT_STOP 65534

/* As tests/faults.py packs it. */
struct page {
    _Atomic int64_t countdown; /* 0: off; counted down by each allocation that could fail */
    _Atomic uint64_t allocations, hits;
    uint64_t site; /* offset of the last hit in its object */
    char object[64];
    _Atomic int64_t wall_ms, boot_ms;
    _Atomic int64_t times; /* calls that fail yet */
    _Atomic uint32_t calls, error;
    char path[128];
    _Atomic uint64_t failed; /* calls that failed */
    _Atomic int64_t skip;    /* calls that go well before */
};

struct range {
    uintptr_t low, high, base;
    char name[64];
};

#define RANGES 64
static struct page *page; /* NULL: this process is not meant */
static struct range ranges[RANGES];
static size_t range_count;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static bool spared(const char *name)
{
    const char *list = getenv("FAULT_SPARED");
    char word[80];

    if (strncmp(name, "ld-linux", 8) == 0 || strncmp(name, "shim", 4) == 0)
        return true; /* the dynamic linker has no answer to a lack of memory */
    snprintf(word, sizeof word, "%.*s", (int)strcspn(name, "."), name);
    for (const char *at = list ? list : ""; *at; at += strcspn(at, ":"), at += *at == ':')
        if (strcspn(at, ":") == strlen(word) && strncmp(at, word, strlen(word)) == 0)
            return true;
    return false;
}

static int object_note(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size, (void)unused;
    const char *path = info->dlpi_name[0] ? info->dlpi_name : program_invocation_short_name;
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

    for (int i = 0; i < info->dlpi_phnum && !spared(name); i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X) || range_count == RANGES)
            continue;
        struct range *range = &ranges[range_count++];
        range->base = info->dlpi_addr;
        range->low = info->dlpi_addr + part->p_vaddr;
        range->high = range->low + part->p_memsz;
        snprintf(range->name, sizeof range->name, "%s", name);
    }
    return 0;
}

__attribute__((constructor)) static void shim_begin(void)
{
    const char *program = getenv("FAULT_PROGRAM"), *file = getenv("FAULT_PAGE");
    char beside[4096] = "";
    ssize_t len = program || file ? -1 : readlink("/proc/self/exe", beside, sizeof beside - sizeof "fault");

    if (len > 0) {
        strcpy(strrchr(beside, '/') + 1, "fault");
        file = beside;
    } else if (!program || !file || strcmp(program, program_invocation_short_name) != 0) {
        return;
    }
    int fd = open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    dl_iterate_phdr(object_note, NULL);
    void *map = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    page = map == MAP_FAILED ? NULL : map;
}

/* ---- allocations ---- */

static _Thread_local bool sparing;

/* Its networks ask the C library's name service, which ends the process by an assertion of its own. */
void *zmq_ctx_new(void)
{
    static void *(*real)(void);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "zmq_ctx_new");
    sparing = true;
    void *context = real();
    sparing = false;
    return context;
}

static bool allocation_fails(const void *caller)
{
    if (!page || sparing)
        return false;
    const struct range *range = NULL;
    for (size_t i = 0; i < range_count && !range; i++)
        if ((uintptr_t)caller >= ranges[i].low && (uintptr_t)caller < ranges[i].high)
            range = &ranges[i];
    if (!range)
        return false;
    page->allocations++;
    if (page->countdown <= 0 || --page->countdown != 0)
        return false;
    page->site = (uintptr_t)caller - range->base;
    memcpy(page->object, range->name, sizeof page->object);
    page->hits++;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return allocation_fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return allocation_fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return allocation_fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}

/* ---- clocks ---- */

static void shift(struct timespec *at, int64_t by_ms)
{
    int64_t ns = at->tv_nsec + by_ms % 1000 * 1000000;

    at->tv_sec += by_ms / 1000 + (ns >= 1000000000) - (ns < 0);
    at->tv_nsec = ns >= 1000000000 ? ns - 1000000000 : ns < 0 ? ns + 1000000000 : ns;
}

int clock_gettime(clockid_t id, struct timespec *at)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    int rc = real(id, at);
    if (rc == 0 && page && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        shift(at, page->wall_ms);
    if (rc == 0 && page && id == CLOCK_BOOTTIME)
        shift(at, page->boot_ms);
    return rc;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *at = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}

/* ---- calls ---- */

static bool call_fails(enum call call, const char *path)
{
    if (!page || !(page->calls & call) || page->times <= 0 || (path && page->path[0] && !strstr(path, page->path)))
        return false;
    if (page->skip-- > 0)
        return false;
    page->times--;
    page->failed++;
    if (page->error == FAULT_KILL)
        kill(getpid(), SIGKILL);
    if (page->error == FAULT_STOP) {
        kill(getpid(), SIGSTOP);
        return false;
    }
    errno = (int)page->error;
    return true;
}

static bool descriptor_fails(enum call call, int fd)
{
    char link[64], path[4200];

    if (!page || !(page->calls & call) || page->times <= 0)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len > 0 ? len : 0] = '\0';
    return call_fails(call, path);
}

#define REAL(name, type, ...)                                                                                                    \
    static type (*real)(__VA_ARGS__);                                                                                            \
    if (!real)                                                                                                                   \
    *(void **)&real = dlsym(RTLD_NEXT, name)

pid_t fork(void)
{
    REAL("fork", pid_t, void);
    return call_fails(CALL_FORK, NULL) ? -1 : real();
}

int posix_spawn(pid_t *restrict pid, const char *restrict path, const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *restrict attr, char *const argv[restrict], char *const env[restrict])
{
    REAL("posix_spawn", int, pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[],
         char *const[]);
    return call_fails(CALL_FORK, NULL) ? errno : real(pid, path, actions, attr, argv, env);
}

int open(const char *path, int flags, ...)
{
    REAL("open", int, const char *, int, mode_t);
    __builtin_va_list rest;
    __builtin_va_start(rest, flags);
    mode_t mode = __builtin_va_arg(rest, mode_t);
    __builtin_va_end(rest);
    return call_fails(CALL_OPEN, path) ? -1 : real(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    REAL("openat", int, int, const char *, int, mode_t);
    __builtin_va_list rest;
    __builtin_va_start(rest, flags);
    mode_t mode = __builtin_va_arg(rest, mode_t);
    __builtin_va_end(rest);
    return call_fails(CALL_OPEN, path) ? -1 : real(folder, path, flags, mode);
}

int mkdir(const char *path, mode_t mode)
{
    REAL("mkdir", int, const char *, mode_t);
    return call_fails(CALL_MKDIR, path) ? -1 : real(path, mode);
}

int mkdirat(int folder, const char *path, mode_t mode)
{
    REAL("mkdirat", int, int, const char *, mode_t);
    return call_fails(CALL_MKDIR, path) ? -1 : real(folder, path, mode);
}

int rename(const char *from, const char *to)
{
    REAL("rename", int, const char *, const char *);
    return call_fails(CALL_RENAME, to) ? -1 : real(from, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    REAL("renameat2", int, int, const char *, int, const char *, unsigned);
    return call_fails(CALL_RENAME, to) ? -1 : real(from_folder, from, to_folder, to, flags);
}

int link(const char *from, const char *to)
{
    REAL("link", int, const char *, const char *);
    return call_fails(CALL_LINK, to) ? -1 : real(from, to);
}

int unlink(const char *path)
{
    REAL("unlink", int, const char *);
    return call_fails(CALL_LINK, path) ? -1 : real(path);
}

int fsync(int fd)
{
    REAL("fsync", int, int);
    return descriptor_fails(CALL_SYNC, fd) ? -1 : real(fd);
}

int fdatasync(int fd)
{
    REAL("fdatasync", int, int);
    return descriptor_fails(CALL_SYNC, fd) ? -1 : real(fd);
}

ssize_t write(int fd, const void *data, size_t len)
{
    REAL("write", ssize_t, int, const void *, size_t);
    return descriptor_fails(CALL_WRITE, fd) ? -1 : real(fd, data, len);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    REAL("pwrite", ssize_t, int, const void *, size_t, off_t);
    return descriptor_fails(CALL_WRITE, fd) ? -1 : real(fd, data, len, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL("writev", ssize_t, int, const struct iovec *, int);
    return descriptor_fails(CALL_WRITE, fd) ? -1 : real(fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    REAL("pwritev", ssize_t, int, const struct iovec *, int, off_t);
    return descriptor_fails(CALL_WRITE, fd) ? -1 : real(fd, parts, count, at);
}
