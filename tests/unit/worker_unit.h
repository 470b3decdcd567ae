/* What unit tests of the worker share: where gantry-run is, and which processes carry a mark. */
#ifndef GANTRY_TESTS_WORKER_UNIT_H
#define GANTRY_TESTS_WORKER_UNIT_H

#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/types.h>
#include <time.h>

/* A program of the build folder, which is one above the folder of the tests. */
static inline const char *built(const char *name, char out[PATH_MAX])
{
    char self[PATH_MAX / 2];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    assert_true(len > 0);
    self[len] = '\0';
    *strrchr(self, '/') = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(out, PATH_MAX, "%s/%s", self, name);
    assert_int_equal(access(out, X_OK), 0);
    return out;
}

/* How many living processes have this text as one of their variables, whole: another test's may begin with it. */
static inline int marked_processes(const char *mark)
{
    static char text[1 << 18];
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    int found = 0;
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        char path[300];
        snprintf(path, sizeof(path), "/proc/%s/environ", entry->d_name);
        int fd = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        ssize_t got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
        if (fd >= 0)
            close(fd);
        for (ssize_t at = 0; at < got; at += (ssize_t)strnlen(text + at, (size_t)(got - at)) + 1)
            if (strcmp(text + at, mark) == 0) {
                found++;
                break;
            }
    }
    closedir(dir);
    return found;
}

/* Polls until as many processes carry the mark; a test that waits longer than a minute has failed. */
static inline void wait_marked(const char *mark, int wanted)
{
    for (int looks = 0; marked_processes(mark) != wanted; looks++) {
        assert_true(looks < 12000);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

#endif
