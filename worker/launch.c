#include "worker/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum step { STEP_SESSION, STEP_FILES, STEP_LIMITS, STEP_USER, STEP_CWD, STEP_PRIVILEGES, STEP_EXEC };

struct failure { /* what the child writes before it gives up */
    enum step step;
    int error;
};

struct identity {
    bool change;
    uid_t uid;
    gid_t gid;
};

static const char *job_user(const struct job *job)
{
    return job->user && *job->user ? job->user : NULL;
}

/* Looked up before the fork: the name service may take its time and memory. */
static int identity_find(const struct job *job, struct identity *identity, char text[LAUNCH_TEXT])
{
    *identity = (struct identity){0};
    const char *name = job_user(job);
    if (!name)
        return 0;
    errno = 0;
    const struct passwd *entry = getpwnam(name);
    if (!entry) {
        int saved = errno;
        if (saved)
            snprintf(text, LAUNCH_TEXT, "user %.100s cannot be looked up: %s", name, strerror(saved));
        else
            snprintf(text, LAUNCH_TEXT, "there is no user %.100s on this worker", name);
        errno = saved;
        return -1;
    }
    *identity = (struct identity){.change = entry->pw_uid != geteuid(), .uid = entry->pw_uid, .gid = entry->pw_gid};
    if (identity->change && geteuid() != 0) {
        snprintf(text, LAUNCH_TEXT, "cannot become user %.100s: the worker does not run as root", name);
        errno = EPERM;
        return -1;
    }
    return 0;
}

/* ---- in the child ---- */

static int limit_set(__rlimit_resource_t resource, rlim_t soft, rlim_t hard)
{
    struct rlimit now;
    if (getrlimit(resource, &now) < 0)
        return -1;
    if (hard > now.rlim_max && geteuid() != 0) {
        hard = now.rlim_max; /* the system's own limit is tighter and stays */
        soft = soft < hard ? soft : hard;
    }
    return setrlimit(resource, &(struct rlimit){.rlim_cur = soft, .rlim_max = hard});
}

static int child_limits(const struct job *job)
{
    if (limit_set(RLIMIT_CORE, 0, 0) < 0)
        return -1;
    if (job->files && limit_set(RLIMIT_NOFILE, job->files, job->files) < 0)
        return -1;
    /* The soft limit raises SIGXCPU, which the error can name; the hard one kills what ignores it. */
    if (job->cpu_seconds && limit_set(RLIMIT_CPU, job->cpu_seconds, job->cpu_seconds + 5) < 0)
        return -1;
    rlim_t memory = (rlim_t)job->memory_mb << 20;
    return memory ? limit_set(RLIMIT_AS, memory, memory) : 0;
}

static int child_identity(const struct job *job, const struct identity *identity)
{
    if (!identity->change)
        return 0;
    if (initgroups(job_user(job), identity->gid) < 0 || setresgid(identity->gid, identity->gid, identity->gid) < 0)
        return -1;
    return setresuid(identity->uid, identity->uid, identity->uid);
}

static void child_signals(void)
{
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The program sees stdin, stdout, stderr, its progress pipe and its channel; everything else closes at exec (the report pipe with it). */
static int child_files(const struct job *job)
{
    if (dup2(JOB_FD_PROGRESS, JOB_FD_PROGRAM) < 0)
        return -1;
    if (job->channel && dup2(JOB_FD_CHANNEL, JOB_FD_PROGRAM_CHANNEL) < 0)
        return -1;
    return close_range(job->channel ? JOB_FD_PROGRAM_CHANNEL + 1 : JOB_FD_PROGRAM + 1, ~0U, CLOSE_RANGE_CLOEXEC);
}

/* After a change of user these two are void, so they come last. */
static int child_privileges(pid_t parent)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return -1;
    if (getppid() != parent)
        _exit(1); /* it died before it could have been noticed */
    return 0;
}

static enum step child_prepare(const struct job *job, const struct identity *identity, pid_t parent)
{
    umask(022);
    if (setsid() < 0)
        return STEP_SESSION;
    if (child_files(job) < 0)
        return STEP_FILES;
    child_signals();
    if (child_limits(job) < 0)
        return STEP_LIMITS;
    if (child_identity(job, identity) < 0)
        return STEP_USER;
    if (job->cwd && *job->cwd && chdir(job->cwd) < 0)
        return STEP_CWD;
    if (child_privileges(parent) < 0)
        return STEP_PRIVILEGES;
    environ = job->env; /* before the search, so that the task's own PATH counts */
    execvp(job->argv[0], job->argv);
    return STEP_EXEC;
}

/* ---- in gantry-run ---- */

pid_t launch(const struct job *job, int *report, char text[LAUNCH_TEXT])
{
    struct identity identity;
    if (identity_find(job, &identity, text) < 0)
        return -1;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        int saved = errno;
        snprintf(text, LAUNCH_TEXT, "no pipe: %s", strerror(saved));
        errno = saved;
        return -1;
    }
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        struct failure failure = {.step = child_prepare(job, &identity, parent), .error = errno};
        ssize_t ignored = write(ends[1], &failure, sizeof(failure));
        (void)ignored;
        _exit(127);
    }
    int saved = errno;
    close(ends[1]);
    if (pid < 0) {
        snprintf(text, LAUNCH_TEXT, "no process can be made: %s", strerror(saved));
        close(ends[0]);
        errno = saved;
        return -1;
    }
    *report = ends[0];
    return pid;
}

static size_t job_weight(const struct job *job)
{
    size_t total = 0;
    for (char **at = job->argv; *at; at++)
        total += strlen(*at) + 1;
    for (char **at = job->env; *at; at++)
        total += strlen(*at) + 1;
    return total;
}

static void explain_exec(const struct job *job, int error, char text[LAUNCH_TEXT])
{
    const char *program = job->argv[0];
    if (error == ENOENT)
        snprintf(text, LAUNCH_TEXT, "there is no program %.300s (or its interpreter is missing)", program);
    else if (error == EACCES)
        snprintf(text, LAUNCH_TEXT, "%.300s may not be executed: %s", program, strerror(error));
    else if (error == ENOEXEC)
        snprintf(text, LAUNCH_TEXT, "%.300s is neither a program nor a script with a #! line", program);
    else if (error == E2BIG)
        snprintf(text, LAUNCH_TEXT,
                 "arguments and environment are too large for this system (E2BIG): %zu bytes together, 128 KiB at most each",
                 job_weight(job));
    else
        snprintf(text, LAUNCH_TEXT, "cannot start %.300s: %s", program, strerror(error));
}

int launch_result(const struct job *job, int report, char text[LAUNCH_TEXT], int *error)
{
    struct failure failure;
    ssize_t got;
    do
        got = read(report, &failure, sizeof(failure));
    while (got < 0 && errno == EINTR);
    close(report);
    if (got != (ssize_t)sizeof(failure))
        return 0;
    const char *why = strerror(failure.error);
    *error = failure.error;
    switch (failure.step) {
    case STEP_LIMITS:
        snprintf(text, LAUNCH_TEXT, "the run's limits cannot be set: %s", why);
        break;
    case STEP_USER:
        snprintf(text, LAUNCH_TEXT, "cannot become user %.100s: %s", job->user, why);
        break;
    case STEP_CWD:
        snprintf(text, LAUNCH_TEXT, "cannot enter the working folder %.300s: %s", job->cwd, why);
        break;
    case STEP_EXEC:
        explain_exec(job, failure.error, text);
        break;
    case STEP_SESSION:
    case STEP_FILES:
    case STEP_PRIVILEGES:
        snprintf(text, LAUNCH_TEXT, "the run's process cannot be prepared: %s", why);
        break;
    }
    return -1;
}
