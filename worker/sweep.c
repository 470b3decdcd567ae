/* One walk down from the folder each time, as deep as SWEEP_DEPTH; what lies deeper is moved up into the folder itself and found there
 * by the next walk, so that neither descriptors nor the stack bound how deep a run may have dug.
 *
 * A step is a removal, a move, or a failed try at one of them. A walk that did nothing but fail until its budget was used up would do
 * the same again: it counts as failed, and the rest of that folder stays.
 */
#include "worker/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/ident.h"
#include "proto/messages.h"

#define SWEEP_DEPTH 32

struct walk {
    unsigned budget;
    int root;   /* the folder being removed; -1 until it is open */
    bool moved; /* something was moved into root */
    bool done;  /* something was removed or moved */
    int failed; /* errno of the first failure; 0 without one */
};

static void walk_entry(struct walk *walk, int parent, const char *name, int depth);

static void walk_step(struct walk *walk, bool well)
{
    walk->budget--;
    walk->done = walk->done || well;
    if (!well && !walk->failed)
        walk->failed = errno;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Empties an open folder; takes fd. */
static void walk_inside(struct walk *walk, int fd, int depth)
{
    struct stat info;
    if (fstat(fd, &info) == 0 && (info.st_mode & 0700) != 0700)
        fchmod(fd, 0700); /* a run may have made it read-only; if this fails, the removals in it say so */
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int saved = errno;
        close(fd);
        errno = saved;
        walk_step(walk, false);
        return;
    }
    struct dirent *entry;
    while (walk->budget > 0 && (entry = readdir(dir)))
        if (!is_dots(entry->d_name))
            walk_entry(walk, dirfd(dir), entry->d_name, depth);
    closedir(dir);
}

static int folder_open(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0)
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd;
}

static void walk_move_up(struct walk *walk, int parent, const char *name)
{
    char fresh[33];
    ident_random(fresh, 16);
    bool well = renameat(parent, name, walk->root, fresh) == 0;
    if (!well && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0) /* its entry for its parent is written, too */
        well = renameat(parent, name, walk->root, fresh) == 0;
    walk->moved = walk->moved || well;
    walk_step(walk, well);
}

/* Removes one entry of a folder with all that is in it. */
static void walk_entry(struct walk *walk, int parent, const char *name, int depth)
{
    bool gone = unlinkat(parent, name, 0) == 0 || errno == ENOENT;
    if (gone || errno != EISDIR) {
        walk_step(walk, gone);
        return;
    }
    gone = unlinkat(parent, name, AT_REMOVEDIR) == 0;
    if (gone || (errno != ENOTEMPTY && errno != EEXIST)) {
        walk_step(walk, gone);
        return;
    }
    if (depth >= SWEEP_DEPTH) {
        walk_move_up(walk, parent, name);
        return;
    }
    int fd = folder_open(parent, name);
    if (fd < 0) {
        walk_step(walk, false);
        return;
    }
    if (depth == 0)
        walk->root = fd;
    int failed = walk->failed;
    walk->failed = 0;
    walk_inside(walk, fd, depth + 1);
    bool empty = walk->failed == 0 && walk->budget > 0 && !(depth == 0 && walk->moved);
    walk->failed = failed ? failed : walk->failed;
    if (empty)
        walk_step(walk, unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT);
}

/* 1: gone; 0: there is more; -1 with errno: what is left cannot be removed. Takes what it uses from the budget. */
static int sweep_at(int parent, const char *name, unsigned *budget)
{
    struct walk walk = {.budget = *budget};
    do {
        walk.root = -1;
        walk.moved = false;
        walk.failed = 0;
        if (walk.budget > 0)
            walk_entry(&walk, parent, name, 0);
    } while (walk.moved && walk.budget > 0);
    *budget = walk.budget;
    errno = walk.failed;
    if (walk.budget == 0)
        return walk.failed && !walk.done ? -1 : 0;
    return walk.failed ? -1 : 1;
}

int sweep_folder(const char *path, unsigned budget, struct err *err)
{
    int rc = sweep_at(AT_FDCWD, path, &budget);
    if (rc < 0)
        err_set(err, ERR_IO, "cannot remove %.150s: %s", path, strerror(errno));
    return rc;
}

/* ---- a folder's entries ---- */

int sweep_pass_begin(struct sweep_pass *pass, const char *path, struct err *err)
{
    *pass = (struct sweep_pass){.dir = opendir(path)};
    return pass->dir ? 0
                     : err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot open %.150s: %s", path, strerror(errno));
}

int sweep_pass_go_on(struct sweep_pass *pass, unsigned budget)
{
    while (budget > 0) {
        struct dirent *next = pass->entry[0] ? NULL : readdir(pass->dir);
        if (next)
            snprintf(pass->entry, sizeof(pass->entry), "%s", next->d_name);
        else if (!pass->entry[0])
            return 1;
        int rc = is_dots(pass->entry) ? 1 : sweep_at(dirfd(pass->dir), pass->entry, &budget);
        if (rc == 0)
            return 0;
        if (rc < 0 && pass->failed++ == 0)
            err_set(&pass->why, ERR_IO, "%.100s: %s", pass->entry, strerror(errno));
        pass->entry[0] = '\0';
    }
    return 0;
}

void sweep_pass_end(struct sweep_pass *pass)
{
    if (pass->dir)
        closedir(pass->dir);
    pass->dir = NULL;
}
