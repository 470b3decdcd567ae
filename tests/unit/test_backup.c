#include "sound_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "proto/clock.h"
#include "store/backup.h"
#include "store/kv_page.h"
#include "store/manifest.h"
#include "store/restore.h"

struct scene {
    struct fixture *fx;
    char data[UNIT_FOLDER_SIZE]; /* the fixture's folder is <data>/store */
    char backups[128];
    FILE *said;
};

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    char store[160];
    assert_true(sodium_init() >= 0);
    scene->fx = fixture_new();
    sound_fill(scene->fx);
    fixture_stop(scene->fx);
    unit_folder(scene->data);
    snprintf(store, sizeof store, "%s/store", scene->data);
    assert_int_equal(rename(scene->fx->folder, store), 0);
    assert_int_equal(symlink(store, scene->fx->folder), 0);
    fixture_start(scene->fx);
    snprintf(scene->backups, sizeof scene->backups, "%s/backups", scene->data);
    assert_int_equal(mkdir(scene->backups, 0700), 0);
    scene->said = fopen("/dev/null", "w");
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    char link[UNIT_FOLDER_SIZE];
    snprintf(link, sizeof link, "%s", scene->fx->folder);
    fclose(scene->said);
    fixture_free(scene->fx);
    unlink(link);
    unit_remove(scene->data);
    free(scene);
    return 0;
}

static int back_up(struct scene *scene, const char *to, unsigned keep, struct err *err)
{
    struct backup_options options = {
        .data = scene->data, .to = to, .keep = keep, .grow_bytes = 1 << 30, .map_bytes = scene->fx->map_bytes};
    memset(err, 0, sizeof *err);
    return backup_make(&options, scene->said, err);
}

static int put_back(struct scene *scene, const char *from, struct err *err)
{
    struct restore_options options = {.data = scene->data, .from = from, .map_bytes = scene->fx->map_bytes};
    memset(err, 0, sizeof *err);
    return restore_make(&options, scene->said, err);
}

/* The names in a folder that hold `part`, oldest first; how many. */
static int names_in(const char *folder, const char *part, char names[][64], int most)
{
    struct dirent **entries;
    int found = scandir(folder, &entries, NULL, alphasort), count = 0;
    assert_true(found >= 0);
    for (int i = 0; i < found; i++) {
        if (strstr(entries[i]->d_name, part) && count < most)
            snprintf(names[count++], 64, "%s", entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return count;
}

static void backup_path(struct scene *scene, char path[256])
{
    snprintf(path, 256, "%s/one.backup", scene->data);
}

static void rewrite(const char *path, off_t at, int byte)
{
    int fd = open(path, O_RDWR);
    unsigned char value;
    assert_int_equal(pread(fd, &value, 1, at), 1);
    value = (unsigned char)(byte >= 0 ? byte : value ^ 0x55);
    assert_int_equal(pwrite(fd, &value, 1, at), 1);
    close(fd);
}

static struct rec_run run_of(struct scene *scene, uint64_t id)
{
    struct key_and_value {
        unsigned char bytes[8];
    } key;
    struct rec_run run = {0};
    struct str value;
    struct kv_txn *txn = kv_snapshot(scene->fx->kv, NULL);
    for (int i = 0; i < 8; i++)
        key.bytes[i] = (unsigned char)(id >> (56 - 8 * i));
    if (kv_get(txn, TABLE_RECORDS + TYPE_RUN, (struct str){(char *)key.bytes, 8}, &value) == KV_OK)
        assert_int_equal(rec_decode_run(scene->fx->arena, value, &run, NULL), 0);
    kv_end(txn);
    return run;
}

static void test_there_and_back(void **state)
{
    struct scene *scene = *state;
    struct err err;
    char path[256];
    backup_path(scene, path);
    if (back_up(scene, path, 0, &err) != 0)
        fail_msg("%s", err.text);
    struct state before = scene->fx->group.state;
    sound_run(scene->fx, SOUND_RUNS + 1, 0, RUN_PENDING); /* after it */
    fixture_commit(scene->fx);
    assert_int_equal(put_back(scene, path, &err), -1); /* while it is in use */
    assert_int_equal(err.code, ERR_CONFLICT);
    fixture_stop(scene->fx);
    if (put_back(scene, path, &err) != 0)
        fail_msg("%s", err.text);
    fixture_start(scene->fx);
    sound_expect(scene->fx->kv);
    assert_int_equal(run_of(scene, SOUND_RUNS + 1).id, 0);
    struct state after = scene->fx->group.state;
    assert_true(after.epoch > before.epoch + 1000);
    assert_int_equal(after.applied, 0);
    for (int type = TYPE_TASK; type < TYPE_MAX; type++)
        assert_true(after.next[type] > before.next[type] + 1000);
    struct rec_run was_running = run_of(scene, SOUND_RUNS - 1), waited = run_of(scene, 3), done = run_of(scene, 1);
    assert_int_equal(was_running.status, RUN_PENDING);
    assert_true(was_running.attempt >= 1000);
    assert_int_equal(was_running.attempts.items[0].outcome, OUTCOME_RETURNED);
    assert_int_equal(was_running.losses, 0);
    assert_int_equal(waited.status, RUN_PENDING);
    assert_true(waited.attempt >= 1000);
    assert_int_equal(waited.attempts.count, 0);
    assert_int_equal(done.status, RUN_COMPLETED);
    assert_int_equal(done.attempt, 1);
    assert_int_equal(fixture_total(scene->fx, TYPE_EVENT, NULL, 0, ""), 0);
    assert_int_equal(fixture_total(scene->fx, TYPE_KEY, NULL, 0, ""), SOUND_RUNS);
    char names[4][64], store[160];
    snprintf(store, sizeof store, "%s/store", scene->data);
    assert_int_equal(names_in(store, "replaced-", names, 4), 1);
    assert_int_equal(names_in(store, "restoring", names, 4), 0);
    /* The old one is whole, and a second restore raises above what this one gave. */
    fixture_claim(scene->fx);
    sound_run(scene->fx, after.next[TYPE_RUN] + 5, 0, RUN_PENDING);
    fixture_commit(scene->fx);
    fixture_stop(scene->fx);
    assert_int_equal(put_back(scene, path, &err), 0);
    fixture_start(scene->fx);
    assert_true(scene->fx->group.state.next[TYPE_RUN] > after.next[TYPE_RUN] + 5);
    assert_true(scene->fx->group.state.epoch > after.epoch + 1);
    assert_int_equal(names_in(store, "replaced-", names, 4), 2);
}

/* A process of its own that reads the database, as a backup that takes long does. Ends when *hold is closed. */
static pid_t reader_start(struct scene *scene, int *hold)
{
    int ready[2], held[2];
    char byte = 0, store[160];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(held), 0);
    snprintf(store, sizeof store, "%s/store", scene->data);
    pid_t pid = fork();
    if (pid == 0) {
        struct kv_options options = {.folder = store,
                                     .mode = KV_BESIDE,
                                     .tables = record_tables,
                                     .table_count = TABLE_ALL,
                                     .map_bytes = scene->fx->map_bytes};
        struct kv *kv = kv_open(&options, NULL);
        close(held[1]);
        if (kv && kv_snapshot(kv, NULL) && write(ready[1], &byte, 1) == 1)
            (void)!read(held[0], &byte, 1);
        _exit(0);
    }
    close(held[0]);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    *hold = held[1];
    return pid;
}

/* Whoever still reads the database that went has no part in the one that came: neither when the one's number of transactions
 * is odd nor when it is even. */
static void test_beside_a_reader(void **state)
{
    struct scene *scene = *state;
    struct err err;
    char path[256];
    backup_path(scene, path);
    assert_int_equal(back_up(scene, path, 0, &err), 0);
    for (uint64_t commits = 1; commits <= 6; commits++) {
        int hold;
        for (uint64_t i = 0; i < commits; i++) {
            sound_run(scene->fx, scene->fx->group.state.next[TYPE_RUN], 0, RUN_PENDING);
            fixture_commit(scene->fx);
        }
        struct state before = scene->fx->group.state;
        fixture_stop(scene->fx);
        pid_t reader = reader_start(scene, &hold);
        if (put_back(scene, path, &err) != 0)
            fail_msg("%s", err.text);
        fixture_start(scene->fx);
        struct state after = scene->fx->group.state;
        assert_true(after.epoch > before.epoch + 1000);
        assert_true(after.next[TYPE_RUN] > before.next[TYPE_RUN] + 1000);
        fixture_claim(scene->fx);
        sound_run(scene->fx, after.next[TYPE_RUN], 0, RUN_PENDING);
        fixture_commit(scene->fx);
        close(hold);
        assert_int_equal(waitpid(reader, NULL, 0), reader);
        fixture_restart(scene->fx);
        assert_int_equal(scene->fx->epoch, after.epoch + 1);
        assert_int_equal(run_of(scene, after.next[TYPE_RUN]).id, after.next[TYPE_RUN]);
        sound_expect(scene->fx->kv);
    }
}

static void test_damaged_ones_are_refused(void **state)
{
    struct scene *scene = *state;
    struct err err;
    struct stat st, before, now;
    char path[256], database[160];
    backup_path(scene, path);
    snprintf(database, sizeof database, "%s/store/data.mdb", scene->data);
    assert_int_equal(back_up(scene, path, 0, &err), 0);
    assert_int_equal(stat(path, &st), 0);
    fixture_stop(scene->fx);
    assert_int_equal(stat(database, &before), 0);
    const off_t places[] = {0, 17, 5000, st.st_size / 2, st.st_size - 200, st.st_size - 40, st.st_size - 5};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        rewrite(path, places[i], -1);
        assert_int_equal(put_back(scene, path, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
        rewrite(path, places[i], -1);
    }
    const off_t lengths[] = {0, 47, 4096, st.st_size - 1};
    char shorter[256], command[600];
    snprintf(shorter, sizeof shorter, "%s/short", scene->data);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        snprintf(command, sizeof command, "cp %s %s", path, shorter);
        assert_int_equal(system(command), 0);
        assert_int_equal(truncate(shorter, lengths[i]), 0);
        assert_int_equal(put_back(scene, shorter, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
    }
    assert_int_equal(put_back(scene, database, &err), -1); /* something else */
    assert_non_null(strstr(err.text, "not a backup"));
    assert_int_equal(put_back(scene, "/nonexistent", &err), -1);
    assert_int_equal(stat(database, &now), 0);
    assert_int_equal(now.st_ino, before.st_ino);
    assert_int_equal(now.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    assert_int_equal(put_back(scene, path, &err), 0);
    fixture_start(scene->fx);
    sound_expect(scene->fx->kv);
}

static void test_newer_is_refused(void **state)
{
    struct scene *scene = *state;
    struct err err;
    char path[256];
    backup_path(scene, path);
    struct kv_txn *batch = kv_batch(scene->fx->kv, NULL);
    assert_int_equal(kv_put(batch, TABLE_META, STR_LIT("schema"), (struct str){"\0\0\0\0\0\0\0\x63", 8}, false), KV_OK);
    assert_int_equal(kv_commit(batch, &err), KV_OK);
    assert_int_equal(back_up(scene, path, 0, &err), 0);
    batch = kv_batch(scene->fx->kv, NULL);
    assert_int_equal(kv_put(batch, TABLE_META, STR_LIT("schema"), (struct str){"\0\0\0\0\0\0\0\1", 8}, false), KV_OK);
    assert_int_equal(kv_commit(batch, &err), KV_OK);
    fixture_stop(scene->fx);
    assert_int_equal(put_back(scene, path, &err), -1);
    assert_int_equal(err.code, ERR_PROTOCOL);
    assert_non_null(strstr(err.text, "newer"));
    fixture_start(scene->fx);
}

static void test_unsound_is_refused_or_mended(void **state)
{
    struct scene *scene = *state;
    struct err err;
    char path[256];
    backup_path(scene, path);
    struct kv_txn *batch = kv_batch(scene->fx->kv, NULL);
    assert_int_equal(kv_clear(batch, TABLE_COUNT), KV_OK);
    assert_int_equal(kv_commit(batch, &err), KV_OK);
    assert_int_equal(back_up(scene, path, 0, &err), 0);
    fixture_stop(scene->fx);
    assert_int_equal(put_back(scene, path, &err), -1);
    assert_non_null(strstr(err.text, "not sound"));
    struct restore_options options = {.data = scene->data, .from = path, .repair = true, .map_bytes = scene->fx->map_bytes};
    assert_int_equal(restore_make(&options, scene->said, &err), 0);
    fixture_start(scene->fx);
    sound_expect(scene->fx->kv);
}

/* What indexes have no part in is no reason to have no database at all, for who says so. */
static void test_unsound_records_are_put_up_with(void **state)
{
    struct scene *scene = *state;
    struct findings findings;
    struct err err;
    char path[256];
    backup_path(scene, path);
    struct rec_task_stat stat = {.id = 2, .total = 9};
    fixture_op(scene->fx, OP_PUT, TYPE_TASK_STAT, 2, &shape_rec_task_stat, &stat);
    fixture_commit(scene->fx);
    assert_int_equal(back_up(scene, path, 0, &err), 0);
    fixture_stop(scene->fx);
    assert_int_equal(put_back(scene, path, &err), -1);
    assert_non_null(strstr(err.text, "puts up with it"));
    struct restore_options options = {.data = scene->data, .from = path, .repair = true, .map_bytes = scene->fx->map_bytes};
    assert_int_equal(restore_make(&options, scene->said, &err), 0);
    fixture_start(scene->fx);
    assert_int_equal(sound_look(scene->fx->kv, &findings, NULL), 1);
}

static void test_keeps_the_newest(void **state)
{
    struct scene *scene = *state;
    struct err err;
    char names[8][64], newest[3][64], other[200];
    snprintf(other, sizeof other, "%s/gantry-notes.backup", scene->backups); /* not one of ours */
    unit_write(other, "notes");
    snprintf(other, sizeof other, "%s/.gantry-1.partial", scene->backups); /* of one that was killed */
    unit_write(other, "half");
    for (int i = 0; i < 5; i++) {
        uint64_t now = clock_wall_ms();
        while (clock_wall_ms() == now) {} /* names tell milliseconds */
        assert_int_equal(back_up(scene, scene->backups, 3, &err), 0);
        int count = names_in(scene->backups, "Z.backup", names, 8);
        assert_int_equal(count, i < 3 ? i + 1 : 3);
        if (i >= 2)
            snprintf(newest[i - 2], 64, "%s", names[count - 1]);
    }
    names_in(scene->backups, "Z.backup", names, 8);
    for (int i = 0; i < 3; i++)
        assert_string_equal(names[i], newest[i]);
    assert_int_equal(names_in(scene->backups, "notes", names, 8), 1);
    assert_int_equal(names_in(scene->backups, "partial", names, 8), 0);
}

static void test_refuses_to_write_over(void **state)
{
    struct scene *scene = *state;
    struct err err;
    char path[256], inside[300];
    backup_path(scene, path);
    unit_write(path, "mine");
    assert_int_equal(back_up(scene, path, 0, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    snprintf(inside, sizeof inside, "%s/nowhere/", scene->data);
    assert_int_equal(back_up(scene, inside, 0, &err), -1);
    snprintf(inside, sizeof inside, "%s/nowhere/a.backup", scene->data);
    assert_int_equal(back_up(scene, inside, 0, &err), -1);
}

/* Whoever writes all the time does not make it wait, nor end up in it in part: each batch is there whole or not at all. */
static void test_one_moment_under_load(void **state)
{
    struct scene *scene = *state;
    struct err err;
    char path[256];
    for (int round = 0; round < 5; round++) {
        for (uint64_t id = 1; id <= 20; id++)
            sound_run(scene->fx, 1000 + (uint64_t)round * 100 + id, 0, RUN_PENDING);
        fixture_commit(scene->fx);
        snprintf(path, sizeof path, "%s/%d.backup", scene->data, round);
        assert_int_equal(back_up(scene, path, 0, &err), 0);
        struct kv_options options = {.folder = path,
                                     .mode = KV_FILE,
                                     .tables = record_tables,
                                     .table_count = TABLE_ALL,
                                     .map_bytes = scene->fx->map_bytes};
        struct kv *kv = kv_open(&options, &err);
        if (!kv)
            fail_msg("%s", err.text);
        sound_expect(kv);
        struct kv_txn *txn = kv_snapshot(kv, NULL);
        struct state in_it;
        assert_int_equal(state_load(txn, &in_it), KV_OK);
        assert_int_equal(in_it.applied, scene->fx->seq);
        kv_end(txn);
        kv_close(kv);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_there_and_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_beside_a_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_ones_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newer_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unsound_is_refused_or_mended, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unsound_records_are_put_up_with, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keeps_the_newest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_to_write_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_moment_under_load, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
