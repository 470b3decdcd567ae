/* Settings as a process reads them: file, environment, flags, endpoints.
 *
 * The input is a settings file; behind a byte 30 come words, each ended by one: NAME=VALUE of a variable that begins with GANTRY_, or a
 * flag. Whatever they are, they are refused with a message, or what they yield is within the table's bounds, and reading it
 * again changes nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/endpoint.h"
#include "proto/ident.h"
#include "proto/log.h"
#include "proto/settings_file.h"
#include "proto/settings_table.h"

#define WORDS_MAX 32
#define BETWEEN 30

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    int file; /* in memory, and the flag that names it */
    char flag[64];
    FILE *nowhere;
    char *variables[WORDS_MAX]; /* names that are set */
    int variable_count;
    char *argv[WORDS_MAX + 4];
    int argc;
} fuzz;

/* Nothing is made on this machine's disk for a data folder that a fuzzer thinks of. */
int __wrap_ident_runtime_dir(const char *data_dir, char *out, size_t size, struct err *err);
int __wrap_ident_runtime_dir(const char *data_dir, char *out, size_t size, struct err *err)
{
    int len = snprintf(out, size, "/tmp/gantry-%016zx", strlen(data_dir));
    return len > 0 && (size_t)len < size ? 0 : err_set(err, ERR_LIMIT, "no room");
}

static void fuzz_begin(void)
{
    extern char **environ;
    if (fuzz.nowhere)
        return;
    for (char **entry = environ; *entry;) { /* those of whoever runs this */
        char name[256];
        size_t len = strcspn(*entry, "=");
        if (strncmp(*entry, "GANTRY_", 7) != 0 || len >= sizeof name) {
            entry++;
            continue;
        }
        memcpy(name, *entry, len);
        name[len] = '\0';
        unsetenv(name); /* moves what follows to here */
    }
    fuzz.file = memfd_create("settings", MFD_CLOEXEC);
    fuzz.nowhere = fopen("/dev/null", "we");
    snprintf(fuzz.flag, sizeof fuzz.flag, "--config=/proc/self/fd/%d", fuzz.file);
    if (fuzz.file < 0 || !fuzz.nowhere)
        abort();
    log_init("fuzz", LOG_ERROR);
}

static void word_take(char *word)
{
    char *sign = strchr(word, '=');
    (void)settings_flag_span(word);
    if (strncmp(word, "GANTRY_", 7) == 0 && sign) {
        *sign = '\0';
        setenv(word, sign + 1, 1);
        fuzz.variables[fuzz.variable_count++] = word;
    } else {
        fuzz.argv[fuzz.argc++] = word;
    }
}

static void words_take(char *words, size_t len)
{
    fuzz.argc = fuzz.variable_count = 0;
    fuzz.argv[fuzz.argc++] = (char *)(uintptr_t) "fuzz";
    for (size_t at = 0; at < len && fuzz.argc + fuzz.variable_count <= WORDS_MAX; at += strlen(words + at) + 1)
        word_take(words + at);
    fuzz.argv[fuzz.argc++] = fuzz.flag; /* behind the others, which name no file of this machine then */
    fuzz.argv[fuzz.argc++] = (char *)(uintptr_t) "--bus-curve=never"; /* nor are certificates looked for */
    fuzz.argv[fuzz.argc] = NULL;
}

static void check_values(const struct settings *settings)
{
    for (int id = 0; id < SET_COUNT_OF_ALL; id++) {
        const struct setting *setting = &settings_table[id];
        int64_t bytes = setting->kind == SETTING_TEXT ? (int64_t)strlen(settings_text(settings, (enum setting_id)id)) : 0;
        int64_t number = setting->kind == SETTING_COUNT ? settings_count_of(settings, (enum setting_id)id) : setting->low;
        if (setting->kind == SETTING_TEXT && (bytes < setting->low || bytes > setting->high))
            abort();
        if (setting->kind == SETTING_COUNT && (number < setting->low || number > setting->high))
            abort();
        if (setting->kind == SETTING_DECIMAL)
            number = settings_count_of(settings, (enum setting_id)id);
        if (setting->kind == SETTING_DECIMAL && (number < setting->low * 1000 || number > setting->high * 1000))
            abort();
    }
}

static void check_endpoints(const struct settings *settings)
{
    static const struct {
        enum setting_id id;
        const char *name;
    } sockets[] = {
        {SET_BUS_STORE, "store"}, {SET_BUS_SCHEDULER, "scheduler"}, {SET_BUS_WORKERS, "workers"}, {SET_BUS_DOORBELL, "doorbell"}};
    for (size_t i = 0; i < 2 * sizeof sockets / sizeof *sockets; i++) {
        static struct endpoint endpoint;
        struct err err = {0};
        if (endpoint_of(settings, sockets[i / 2].id, sockets[i / 2].name, i % 2, &endpoint, &err) != 0 ? !err.text[0]
                                                                                                       : !endpoint.text[0])
            abort();
    }
}

static void settings_try(void)
{
    struct err err = {0};
    int changed = -1;
    struct settings *settings = settings_load(fuzz.argc, fuzz.argv, NULL, &err);
    if (!settings) {
        if (!err.text[0])
            abort();
        return;
    }
    check_values(settings);
    check_endpoints(settings);
    settings_explain(settings, fuzz.nowhere);
    if (settings_reload(settings, &changed, &err) != 0 || changed != 0)
        abort();
    settings_free(settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, BETWEEN, size);
    size_t len = end ? (size_t)(end - data) : size;
    size_t words_len = end ? size - len - 1 : 0;
    char *words = malloc(words_len + 1);

    fuzz_begin();
    if (!words || ftruncate(fuzz.file, 0) != 0 || pwrite(fuzz.file, data, len, 0) != (ssize_t)len)
        abort();
    if (words_len > 0)
        memcpy(words, end + 1, words_len);
    for (size_t i = 0; i < words_len; i++)
        words[i] = words[i] == BETWEEN ? '\0' : words[i];
    words[words_len] = '\0';
    words_take(words, words_len);
    settings_try();
    for (int i = 0; i < fuzz.variable_count; i++)
        unsetenv(fuzz.variables[i]);
    free(words);
    return 0;
}
