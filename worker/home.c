#include "worker/home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/ident.h"
#include "proto/log.h"
#include "proto/messages.h"
#include "worker/publish.h"

#define SWEEP_BUDGET 256 /* entries removed at a time */
#define SWEEP_EVERY_MS 20
#define KEEP_CLEAR_MS 1000 /* how long an end removes what engines had */
#define STRAYS_MS 5000     /* how long a start waits for leftover processes to die */
#define ENVIRON_MAX 262144

/* ---- who it is ---- */

static int join(char *out, const char *folder, const char *name, struct err *err)
{
    if (snprintf(out, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
        return err_set(err, ERR_INVALID, "the worker's folder has too long a name: %.100s", folder);
    return 0;
}

static bool name_fits(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= 64 && name[0] != '.' &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

static int ident_write(const struct home *home, const char *path, struct err *err)
{
    char fresh[PATH_MAX];
    if (join(fresh, home->path, "ident.new", err) < 0)
        return -1;
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t len = strlen(home->ident);
    bool well = fd >= 0 && write(fd, home->ident, len) == (ssize_t)len && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    if (well && rename(fresh, path) == 0)
        return 0;
    return err_set(err, ERR_IO, "cannot write %.150s: %s", path, strerror(errno));
}

static int ident_read(struct home *home, struct err *err)
{
    char path[PATH_MAX];
    if (join(path, home->path, "ident", err) < 0)
        return -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, home->ident, sizeof(home->ident) - 1) : -1;
    if (fd >= 0)
        close(fd);
    home->ident[got > 0 ? got : 0] = '\0';
    home->ident[strcspn(home->ident, "\r\n")] = '\0';
    if (ident_valid(str_of(home->ident)))
        return 0;
    ident_random(home->ident, 16);
    return ident_write(home, path, err);
}

/* The lock is this process's and goes with it. One that belongs to the open file (flock) would live on for a moment in a child that
 * has yet to become a run's supervisor: a worker that is killed just then could not be started again at once. */
static int lock_take(struct home *home, const char *name, struct err *err)
{
    char path[PATH_MAX];
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (join(path, home->path, "lock", err) < 0)
        return -1;
    home->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (home->lock < 0)
        return err_set(err, ERR_IO, "cannot open %.150s: %s", path, strerror(errno));
    if (fcntl(home->lock, F_SETLK, &whole) < 0)
        return err_set(err, ERR_CONFLICT,
                       "another worker named %s runs on this data folder (%.120s); --worker-name gives this one another name",
                       name, home->path);
    return 0;
}

/* ---- what an earlier worker left ---- */

/* A run's process is known by GANTRY_RESULT=<runs>/… in its environment. */
static int environ_matches(const char *pid, const char *mark, char *space)
{
    char path[300];
    snprintf(path, sizeof(path), "/proc/%s/environ", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -1 : 0;
    ssize_t got = read(fd, space, ENVIRON_MAX);
    close(fd);
    size_t len = strlen(mark);
    for (ssize_t at = 0; at < got; at += (ssize_t)strnlen(space + at, (size_t)(got - at)) + 1)
        if ((size_t)(got - at) >= len && memcmp(space + at, mark, len) == 0)
            return 1;
    return 0;
}

/* How many it found, -1 when it could not look. */
static int strays_kill(const struct home *home)
{
    char mark[PATH_MAX + 32];
    snprintf(mark, sizeof(mark), "GANTRY_RESULT=%s/", home->runs);
    char *space = malloc(ENVIRON_MAX);
    DIR *dir = space ? opendir("/proc") : NULL;
    int found = dir ? 0 : -1;
    struct dirent *entry;
    while (found >= 0 && (entry = readdir(dir))) {
        if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name))
            continue;
        int ours = environ_matches(entry->d_name, mark, space);
        if (ours > 0)
            kill((pid_t)strtol(entry->d_name, NULL, 10), SIGKILL);
        found = ours < 0 ? -1 : found + ours;
    }
    int saved = errno;
    if (dir)
        closedir(dir);
    free(space);
    errno = saved;
    return found;
}

static bool folder_empty(const char *path)
{
    DIR *dir = opendir(path);
    bool empty = dir || errno == ENOENT; /* what cannot be looked at may hold something */
    struct dirent *entry;
    while (dir && empty && (entry = readdir(dir)))
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    if (dir)
        closedir(dir);
    return empty;
}

static void sweeper_stop(struct home *home)
{
    loop_cancel(home->loop, home->sweeper);
    home->sweeper = -1;
}

/* Passes over the trash until one begins behind the last folder that came. What cannot be removed stays there, is said once, and is tried
 * again by the next pass, whenever that is. */
static void on_sweep(void *arg)
{
    struct home *home = arg;
    struct sweep_pass *pass = &home->pass;
    struct err err = {0};
    if (!pass->dir) {
        if (!home->thrown) {
            sweeper_stop(home);
            return;
        }
        home->thrown = false;
        if (sweep_pass_begin(pass, home->trash, &err) < 0) {
            if (err.code != ERR_NOT_FOUND) /* the pass before took all of it */
                log_warn("GTY-RUN-FOLDER", "%s", err.text);
            sweeper_stop(home);
            return;
        }
    }
    if (sweep_pass_go_on(pass, SWEEP_BUDGET) == 0)
        return;
    if (pass->failed > home->stuck)
        log_warn("GTY-RUN-FOLDER", "count=%u folders of runs cannot be removed from %s, the first is %s", pass->failed,
                 home->trash, pass->why.text);
    home->stuck = pass->failed;
    sweep_pass_end(pass);
    rmdir(home->trash); /* it is made again when something comes */
}

static void sweeper_start(struct home *home)
{
    home->thrown = true;
    if (home->sweeper < 0)
        home->sweeper = loop_every(home->loop, SWEEP_EVERY_MS, on_sweep, home);
}

/* Moves a folder to the trash, where it is removed bit by bit. */
static void trash_take(struct home *home, const char *path, const char *name)
{
    char target[PATH_MAX + 64];
    if (mkdir(home->trash, 0700) < 0 && errno != EEXIST)
        return;
    snprintf(target, sizeof(target), "%s/%s.%" PRIu64, home->trash, name, clock_mono_us());
    if (rename(path, target) < 0 && errno != ENOENT)
        log_warn("GTY-RUN-FOLDER", "cannot move %s away: %s", path, strerror(errno));
    sweeper_start(home);
}

/* Outputs that an earlier worker's runs had begun. */
static void outputs_remove(const struct home *home)
{
    DIR *dir = opendir(home->outputs);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char path[PATH_MAX];
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, path, sizeof(path) - 1);
        if (len <= 0)
            continue; /* `.` and `..` */
        path[len] = '\0';
        const char *name = strrchr(path, '/');
        bool ours = name && strncmp(name + 1, PUBLISH_PREFIX, strlen(PUBLISH_PREFIX)) == 0;
        if (ours && unlink(path) < 0 && errno != ENOENT)
            log_warn("GTY-RUN-OUTPUT", "cannot remove %s: %s", path, strerror(errno));
        unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir)
        closedir(dir);
}

static int leftovers_remove(struct home *home, struct err *err)
{
    if (folder_empty(home->runs) && folder_empty(home->keep)) {
        outputs_remove(home);
        if (!folder_empty(home->trash))
            sweeper_start(home);
        return 0;
    }
    uint64_t until = clock_mono_ms() + STRAYS_MS;
    int found, total = 0;
    while ((found = strays_kill(home)) > 0 && clock_mono_ms() < until) {
        total = found > total ? found : total;
        usleep(10000); /* dying takes the kernel a moment, and there is nothing to wait on: they are not our children */
    }
    if (found < 0) /* a run that is still there would write beside its successor */
        return err_set(err, ERR_IO, "cannot look for what an earlier worker's runs left: %s", strerror(errno));
    if (total)
        log_warn("GTY-RUN-STRAYS", "count=%d processes of an earlier worker's runs were killed", total);
    outputs_remove(home);
    trash_take(home, home->keep, "keep");
    trash_take(home, home->runs, "runs");
    if (mkdir(home->runs, 0711) < 0)
        log_warn("GTY-RUN-FOLDER", "cannot make %s anew: %s", home->runs, strerror(errno));
    return 0;
}

int home_open(struct home *home, struct loop *loop, const char *data, const char *name, struct err *err)
{
    *home = (struct home){.loop = loop, .lock = -1, .sweeper = -1};
    char real[PATH_MAX], below[PATH_MAX];
    if (!name_fits(name))
        return err_set(err, ERR_INVALID, "worker.name '%.64s' is no folder name: letters, digits, '.', '_' and '-', 64 at most",
                       name);
    if (ident_make_dirs(data, IDENT_DATA_MODE, err) < 0)
        return -1;
    if (!realpath(data, real))
        return err_set(err, ERR_IO, "data folder %.150s: %s", data, strerror(errno));
    if (join(below, real, "workers", err) < 0 || join(home->path, below, name, err) < 0 ||
        join(home->runs, home->path, "runs", err) < 0 || join(home->trash, home->path, "trash", err) < 0 ||
        ident_make_dirs(home->path, 0711, err) < 0 || lock_take(home, name, err) < 0 ||
        join(home->keep, home->path, "keep", err) < 0 || join(home->outputs, home->path, "outputs", err) < 0 ||
        ident_make_dirs(home->runs, 0711, err) < 0 || ident_make_dirs(home->outputs, 0700, err) < 0 ||
        ident_read(home, err) < 0) {
        home_close(home);
        return -1;
    }
    if (leftovers_remove(home, err) < 0) {
        home_close(home);
        return -1;
    }
    return 0;
}

void home_close(struct home *home)
{
    if (home->loop)
        loop_cancel(home->loop, home->sweeper);
    sweep_pass_end(&home->pass);
    if (home->lock >= 0)
        close(home->lock);
    home->lock = home->sweeper = -1;
}

/* ---- folders of attempts ---- */

static int attempt_path(const char *folder, uint64_t run, uint64_t attempt, char path[PATH_MAX], struct err *err)
{
    char name[64];
    snprintf(name, sizeof(name), "%" PRIu64 "-%" PRIu64, run, attempt);
    return join(path, folder, name, err);
}

int home_make(struct home *home, uint64_t run, uint64_t attempt, uid_t uid, gid_t gid, char path[PATH_MAX], struct err *err)
{
    char work[PATH_MAX];
    if (attempt_path(home->runs, run, attempt, path, err) < 0 || join(work, path, "work", err) < 0)
        return -1;
    home_remove(home, run, attempt);
    if (mkdir(path, 0700) < 0 || mkdir(work, 0700) < 0 ||
        (uid != (uid_t)-1 && (chown(work, uid, gid) < 0 || chown(path, uid, gid) < 0)))
        return err_set(err, ERR_IO, "cannot make the run's folder %.150s: %s", path, strerror(errno));
    return 0;
}

void home_remove(struct home *home, uint64_t run, uint64_t attempt)
{
    char path[PATH_MAX];
    if (attempt_path(home->runs, run, attempt, path, NULL) < 0)
        return;
    int rc = sweep_folder(path, SWEEP_BUDGET, NULL);
    if (rc != 1)
        trash_take(home, path, strrchr(path, '/') + 1);
}

static int keep_path(const struct home *home, uint32_t number, char path[PATH_MAX], struct err *err)
{
    char name[24];
    snprintf(name, sizeof(name), "%u", number);
    return join(path, home->keep, name, err);
}

int home_keep_make(struct home *home, uint32_t number, uid_t uid, gid_t gid, char path[PATH_MAX], struct err *err)
{
    if (keep_path(home, number, path, err) < 0 || ident_make_dirs(home->keep, 0711, err) < 0)
        return -1;
    home_keep_remove(home, number);
    if (mkdir(path, 0700) < 0 || (uid != (uid_t)-1 && chown(path, uid, gid) < 0))
        return err_set(err, ERR_IO, "cannot make the folder %.150s: %s", path, strerror(errno));
    return 0;
}

void home_keep_remove(struct home *home, uint32_t number)
{
    char path[PATH_MAX], name[32];
    snprintf(name, sizeof(name), "keep%u", number);
    if (keep_path(home, number, path, NULL) == 0 && access(path, F_OK) == 0 && sweep_folder(path, SWEEP_BUDGET, NULL) != 1)
        trash_take(home, path, name);
}

void home_keep_clear(const struct home *home)
{
    uint64_t until = clock_mono_ms() + KEEP_CLEAR_MS;
    while (access(home->keep, F_OK) == 0 && sweep_folder(home->keep, SWEEP_BUDGET, NULL) == 0 && clock_mono_ms() < until)
        ;
}

int home_output_begins(struct home *home, uint64_t run, uint64_t attempt, const char *temporary, struct err *err)
{
    char path[PATH_MAX];
    if (attempt_path(home->outputs, run, attempt, path, err) < 0)
        return -1;
    if (symlink(temporary, path) == 0 || (errno == EEXIST && unlink(path) == 0 && symlink(temporary, path) == 0))
        return 0;
    return err_set(err, ERR_IO, "cannot note the run's output in %.150s: %s", path, strerror(errno));
}

void home_output_over(struct home *home, uint64_t run, uint64_t attempt)
{
    char path[PATH_MAX];
    if (attempt_path(home->outputs, run, attempt, path, NULL) == 0)
        unlink(path);
}

ssize_t home_read_file(const char *path, char *out, size_t size)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t have = 0;
    bool regular = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1;
    while (regular && have < size) {
        ssize_t got = read(fd, out + have, size - have);
        if (got == 0 || (got < 0 && errno != EINTR))
            break;
        have += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    return regular ? (ssize_t)have : -1;
}
