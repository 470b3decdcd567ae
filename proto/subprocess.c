#include "proto/subprocess.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

static int place(posix_spawn_file_actions_t *actions, int fd, int as)
{
    return fd == SUBPROCESS_NULL ? posix_spawn_file_actions_addopen(actions, as, "/dev/null", as ? O_WRONLY : O_RDONLY, 0)
                                 : posix_spawn_file_actions_adddup2(actions, fd, as);
}

static int actions_fill(posix_spawn_file_actions_t *actions, const struct subprocess *wish)
{
    int rc = place(actions, wish->in, STDIN_FILENO);
    rc = rc ? rc : place(actions, wish->out, STDOUT_FILENO);
    rc = rc ? rc : place(actions, wish->err, STDERR_FILENO);
    rc = rc || !wish->folder ? rc : posix_spawn_file_actions_addchdir_np(actions, wish->folder);
    return rc ? rc : posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
}

static int signals_fill(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int rc = posix_spawnattr_setsigmask(attributes, &none);
    rc = rc ? rc : posix_spawnattr_setsigdefault(attributes, &all);
    return rc ? rc : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

int subprocess_start(const struct subprocess *wish, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc)
        return rc;
    rc = posix_spawnattr_init(&attributes);
    if (rc == 0) {
        rc = actions_fill(&actions, wish);
        rc = rc ? rc : signals_fill(&attributes);
        rc = rc ? rc : posix_spawnp(pid, wish->argv[0], &actions, &attributes, wish->argv, wish->env ? wish->env : environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}
