#include "worker/job.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct packer {
    char *data; /* NULL while only counting */
    size_t len;
};

static void pack_text(struct packer *packer, const char *name, const char *value)
{
    size_t name_len = strlen(name), value_len = strlen(value);
    if (packer->data) {
        char *at = packer->data + packer->len;
        memcpy(at, name, name_len);
        at[name_len] = '=';
        memcpy(at + name_len + 1, value, value_len + 1);
    }
    packer->len += name_len + value_len + 2;
}

static void pack_number(struct packer *packer, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    pack_text(packer, name, text);
}

static void pack_job(struct packer *packer, const struct job *job)
{
    for (char **arg = job->argv; *arg; arg++)
        pack_text(packer, "arg", *arg);
    for (char **env = job->env; *env; env++)
        pack_text(packer, "env", *env);
    pack_text(packer, "cwd", job->cwd ? job->cwd : "");
    pack_text(packer, "user", job->user ? job->user : "");
    pack_number(packer, "cpu", job->cpu_seconds);
    pack_number(packer, "memory", job->memory_mb);
    pack_number(packer, "files", job->files);
    pack_number(packer, "timeout", job->timeout_ms);
    pack_number(packer, "grace", job->grace_ms);
    if (job->channel)
        pack_number(packer, "channel", 1);
}

char *job_pack(const struct job *job, size_t *len)
{
    struct packer packer = {0};
    pack_job(&packer, job);
    if (packer.len > JOB_BYTES_MAX) {
        errno = E2BIG;
        return NULL;
    }
    packer.data = malloc(packer.len);
    if (!packer.data)
        return NULL;
    packer.len = 0;
    pack_job(&packer, job);
    *len = packer.len;
    return packer.data;
}

static bool read_number(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

static bool read_entry(struct job *job, const char *name, char *value, size_t *args, size_t *envs)
{
    if (strcmp(name, "arg") == 0)
        job->argv[(*args)++] = value;
    else if (strcmp(name, "env") == 0)
        job->env[(*envs)++] = value;
    else if (strcmp(name, "cwd") == 0)
        job->cwd = value;
    else if (strcmp(name, "user") == 0)
        job->user = value;
    else if (strcmp(name, "cpu") == 0)
        return read_number(value, &job->cpu_seconds);
    else if (strcmp(name, "memory") == 0)
        return read_number(value, &job->memory_mb);
    else if (strcmp(name, "files") == 0)
        return read_number(value, &job->files);
    else if (strcmp(name, "timeout") == 0)
        return read_number(value, &job->timeout_ms);
    else if (strcmp(name, "grace") == 0)
        return read_number(value, &job->grace_ms);
    else if (strcmp(name, "channel") == 0)
        job->channel = true;
    else
        return false;
    return true;
}

int job_unpack(char *bytes, size_t len, struct job *job)
{
    *job = (struct job){0};
    if (len == 0 || bytes[len - 1] != '\0')
        return -1;
    size_t entries = 0;
    for (size_t i = 0; i < len; i++)
        entries += bytes[i] == '\0';
    job->argv = calloc(entries + 1, sizeof(char *));
    job->env = calloc(entries + 1, sizeof(char *));
    if (!job->argv || !job->env)
        goto error;
    size_t args = 0, envs = 0;
    for (char *at = bytes, *next; at < bytes + len; at = next) {
        next = at + strlen(at) + 1;
        char *equals = strchr(at, '=');
        if (!equals)
            goto error;
        *equals = '\0';
        if (!read_entry(job, at, equals + 1, &args, &envs))
            goto error;
    }
    if (args == 0)
        goto error;
    return 0;
error:
    job_clear(job);
    return -1;
}

void job_clear(struct job *job)
{
    free(job->argv);
    free(job->env);
    *job = (struct job){0};
}
