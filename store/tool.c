#include "store/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/log.h"
#include "proto/settings.h"
#include "store/backup.h"
#include "store/check.h"
#include "store/kv_file.h"
#include "store/kv_page.h"
#include "store/manifest.h"
#include "store/reindex.h"
#include "store/restore.h"
#include "store/schema.h"

#define WORDS_MOST 4

struct tool {
    const struct tool_row *row;
    struct settings *settings;
    char **flags; /* settings among the arguments, behind a name */
    int flag_count;
    const char *words[WORDS_MOST];
    int word_count;
    unsigned long keep, grow_mb;
    bool repair;
};

struct tool_row {
    const char *name, *words;
    int low, high;                                  /* how many words */
    int (*run)(struct tool *tool, struct err *err); /* the exit code; -1 with err */
};

static uint64_t map_bytes(const struct tool *tool)
{
    return (uint64_t)settings_count_of(tool->settings, SET_STORE_MAP_GB) << 30;
}

static int backup_run(struct tool *tool, struct err *err)
{
    struct backup_options options = {.data = settings_text(tool->settings, SET_DATA),
                                     .to = tool->words[0],
                                     .keep = (unsigned)tool->keep,
                                     .grow_bytes = (uint64_t)tool->grow_mb << 20,
                                     .map_bytes = map_bytes(tool)};
    return backup_make(&options, stdout, err);
}

static int restore_run(struct tool *tool, struct err *err)
{
    struct restore_options options = {.data = settings_text(tool->settings, SET_DATA),
                                      .from = tool->words[0],
                                      .repair = tool->repair,
                                      .map_bytes = map_bytes(tool)};
    return restore_make(&options, stdout, err);
}

/* ---- fsck ---- */

/* What a backup says of itself, with its pages' hash. A file that ends in no such words is looked at as a bare database. */
static int manifest_check(const char *path, struct findings *findings, struct err *err)
{
    static unsigned char room[1 << 20];
    unsigned char hash[32];
    struct rec_backup backup;
    crypto_generichash_state state;
    struct arena *arena = arena_new((size_t)4 << 20);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = arena && fd >= 0 ? 0 : err_set(err, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    if (rc == 0 && manifest_read(path, fd, arena, &backup, err) == 0) {
        crypto_generichash_init(&state, NULL, 0, sizeof hash);
        for (uint64_t at = 0; at < backup.bytes;) {
            uint64_t left = backup.bytes - at;
            ssize_t got = pread(fd, room, left < sizeof room ? left : sizeof room, (off_t)at);
            if (got <= 0)
                break;
            crypto_generichash_update(&state, room, (unsigned long long)got);
            at += (uint64_t)got;
        }
        crypto_generichash_final(&state, hash, sizeof hash);
        if (memcmp(hash, backup.hash.ptr, sizeof hash) != 0)
            finding(findings, "%s: its pages are not those that were written", path);
    } else if (rc == 0 && !strstr(err->text, "is not a backup")) {
        finding(findings, "%s", err->text);
    }
    *err = rc == 0 ? (struct err){0} : *err;
    if (fd >= 0)
        close(fd);
    arena_free(arena);
    return rc;
}

/* The file's pages; for a folder under its lock, so that nobody writes. */
static int pages_look(const char *folder, const char *path, struct kv_pages *pages, struct findings *findings, struct err *err)
{
    int lock = -1;
    if (access(path, F_OK) != 0)
        return err_set(err, ERR_NOT_FOUND, "there is no database %s", path);
    if (folder && (lock = kv_file_lock(folder, err)) < 0)
        return -1;
    int rc = kv_pages_check(path, UINT64_MAX, pages, findings, err);
    if (lock >= 0)
        close(lock);
    return rc;
}

static int database_look(const struct kv_options *options, struct findings *findings, uint64_t *derived,
                         struct check_counts *counts, struct err *err)
{
    struct kv *kv = kv_open(options, err);
    int rc = kv ? check_all(kv, findings, derived, counts, err) : -1;
    kv_close(kv);
    return rc;
}

static int database_repair(struct kv_options *options, struct err *err)
{
    options->mode = KV_OWN;
    struct kv *kv = kv_open(options, err);
    int rc = kv ? schema_open(kv, schema_migrations, SCHEMA_VERSION, err) : -1;
    if (rc == 0)
        rc = reindex(kv, 0, 0, err);
    kv_close(kv);
    options->mode = KV_LOOK;
    return rc;
}

static int fsck_run(struct tool *tool, struct err *err)
{
    char folder[PATH_MAX], path[PATH_MAX + 16];
    const char *file = tool->word_count > 0 ? tool->words[0] : NULL;
    struct findings findings = {.out = stdout};
    struct check_counts counts = {0};
    struct kv_pages pages = {0};
    uint64_t derived = 0;
    snprintf(folder, sizeof folder, "%s/store", settings_text(tool->settings, SET_DATA));
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    struct kv_options options = {.folder = file ? file : folder,
                                 .mode = file ? KV_FILE : KV_LOOK,
                                 .tables = record_tables,
                                 .table_count = TABLE_ALL,
                                 .map_bytes = map_bytes(tool)};
    if (file && tool->repair)
        return err_set(err, ERR_BAD_REQUEST, "a file is only looked at; `gantry restore --repair` mends what it restores");
    if (file && manifest_check(file, &findings, err) != 0)
        return -1;
    if (pages_look(file ? NULL : folder, file ? file : path, &pages, &findings, err) != 0)
        return -1;
    if (findings.count > 0) {
        printf("%s: %lu findings in its pages; nothing further was looked at. Restore a backup\n", file ? file : path,
               (unsigned long)findings.count);
        return 1;
    }
    if (database_look(&options, &findings, &derived, &counts, err) != 0)
        return -1;
    if (findings.count > 0 && tool->repair && derived > 0) {
        printf("%lu findings, %lu of them in indexes and counts, which are made anew\n", (unsigned long)findings.count,
               (unsigned long)derived);
        findings = (struct findings){.out = stdout};
        if (database_repair(&options, err) != 0 || database_look(&options, &findings, &derived, &counts, err) != 0)
            return -1;
    }
    if (findings.count == 0)
        printf("clean: %lu records, %lu index entries, %lu log lines in %lu pages, %lu of them free\n",
               (unsigned long)counts.records, (unsigned long)counts.entries, (unsigned long)counts.lines,
               (unsigned long)(pages.last_page + 1), (unsigned long)pages.free);
    else
        printf("%lu findings, %lu of them in indexes and counts%s\n", (unsigned long)findings.count, (unsigned long)derived,
               derived > 0 && !file ? ", which --repair makes anew" : "");
    return findings.count > 0 ? 1 : 0;
}

/* ---- arguments ---- */

static const struct tool_row rows[] = {
    {"backup", "DIR|FILE [--keep=N] [--grow-mb=N]", 1, 1, backup_run},
    {"restore", "FILE [--repair]", 1, 1, restore_run},
    {"fsck", "[FILE] [--repair]", 0, 1, fsck_run},
    {NULL, NULL, 0, 0, NULL},
};

static const struct tool_row *row_find(int argc, char *const *argv)
{
    for (const struct tool_row *row = rows; argc > 1 && row->name; row++) {
        if (strcmp(argv[1], row->name) == 0)
            return row;
    }
    return NULL;
}

bool tool_asked(int argc, char *const *argv)
{
    return row_find(argc, argv) != NULL;
}

static int number_take(const char *text, unsigned long *out, struct err *err)
{
    char *end;
    errno = 0;
    *out = strtoul(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *out <= 1000000
               ? 0
               : err_set(err, ERR_BAD_REQUEST, "\"%.100s\" is no number from 0 to 1000000", text);
}

static int arguments_read(struct tool *tool, int argc, char **argv, struct err *err)
{
    for (int i = 2; i < argc; i++) {
        int span = settings_flag_span(argv[i]);
        int rc = 0;
        if (span > 0) {
            tool->flags[tool->flag_count++] = argv[i];
            if (span == 2 && i + 1 < argc)
                tool->flags[tool->flag_count++] = argv[++i];
        } else if (strncmp(argv[i], "--keep=", 7) == 0) {
            rc = number_take(argv[i] + 7, &tool->keep, err);
        } else if (strncmp(argv[i], "--grow-mb=", 10) == 0) {
            rc = number_take(argv[i] + 10, &tool->grow_mb, err);
        } else if (strcmp(argv[i], "--repair") == 0) {
            tool->repair = true;
        } else if (strncmp(argv[i], "--", 2) == 0 || tool->word_count == WORDS_MOST) {
            rc = err_set(err, ERR_BAD_REQUEST, "unexpected argument \"%.100s\"", argv[i]);
        } else {
            tool->words[tool->word_count++] = argv[i];
        }
        if (rc != 0)
            return rc;
    }
    if (tool->word_count < tool->row->low || tool->word_count > tool->row->high)
        return err_set(err, ERR_BAD_REQUEST, "usage: gantry-store %s %s", tool->row->name, tool->row->words);
    return 0;
}

int tool_main(int argc, char **argv)
{
    struct tool tool = {.row = row_find(argc, argv), .grow_mb = 1024};
    struct err err = {0};
    int code = -1;
    log_init("store", LOG_WARN);
    tool.flags = calloc((size_t)argc + 1, sizeof *tool.flags);
    if (!tool.flags || sodium_init() < 0) {
        err_set(&err, ERR_NO_MEMORY, "out of memory");
        goto error;
    }
    tool.flags[tool.flag_count++] = argv[0];
    if (arguments_read(&tool, argc, argv, &err) != 0 ||
        !(tool.settings = settings_load(tool.flag_count, tool.flags, NULL, &err)) || record_init(&err) != 0)
        goto error;
    code = tool.row->run(&tool, &err);
error:
    if (code < 0)
        fprintf(stderr, "gantry %s: %s\n", tool.row->name, err.text);
    settings_free(tool.settings);
    free(tool.flags);
    if (fflush(stdout) != 0 && code == 0)
        code = 1;
    return code < 0 ? 1 : code;
}
