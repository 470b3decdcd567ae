#include "disk_fault.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "proto/messages.h"
#include "store/kv.h"
#include "store/kv_file.h"

/* ---- a database ---- */

static const char *const tables[] = {"one", "two"};

struct box {
    char folder[UNIT_FOLDER_SIZE];
    struct kv_options options;
    struct kv *kv;
};

static void box_start(struct box *box)
{
    struct err err = {0};
    box->kv = kv_open(&box->options, &err);
    if (!box->kv)
        fail_msg("%s", err.text);
    assert_int_equal(kv_prepare(box->kv, &err), 0);
}

static int setup(void **state)
{
    struct box *box = calloc(1, sizeof *box);
    unit_folder(box->folder);
    box->options = (struct kv_options){
        .folder = box->folder, .tables = tables, .table_count = 2, .map_bytes = 1 << 30, .ballast_bytes = 1 << 20};
    fail_write = fail_sync = fail_allocate = 0;
    cut_write = false;
    box_start(box);
    *state = box;
    return 0;
}

static int teardown(void **state)
{
    struct box *box = *state;
    fail_write = fail_sync = fail_allocate = 0;
    cut_write = false;
    kv_close(box->kv);
    unit_remove(box->folder);
    free(box);
    return 0;
}

static struct str word(const char *text)
{
    return str_of(text);
}

static void put(struct box *box, const char *key, const char *value)
{
    struct err err = {0};
    struct kv_txn *batch = kv_batch(box->kv, &err);
    assert_non_null(batch);
    assert_int_equal(kv_put(batch, 0, word(key), word(value), false), KV_OK);
    assert_int_equal(kv_commit(batch, &err), KV_OK);
}

static bool has(struct box *box, const char *key)
{
    struct str value;
    struct kv_txn *txn = kv_snapshot(box->kv, NULL);
    enum kv_result result = kv_get(txn, 0, word(key), &value);
    kv_end(txn);
    return result == KV_OK;
}

static void test_put_get_delete(void **state)
{
    struct box *box = *state;
    struct str value;
    put(box, "a", "1");
    struct kv_txn *txn = kv_snapshot(box->kv, NULL);
    assert_int_equal(kv_get(txn, 0, word("a"), &value), KV_OK);
    assert_true(str_is(value, "1"));
    assert_int_equal(kv_get(txn, 1, word("a"), &value), KV_NONE);
    put(box, "b", "2"); /* behind the snapshot */
    assert_int_equal(kv_get(txn, 0, word("b"), &value), KV_NONE);
    kv_end(txn);
    assert_true(has(box, "b"));
    struct kv_txn *batch = kv_batch(box->kv, NULL);
    assert_int_equal(kv_delete(batch, 0, word("a")), KV_OK);
    assert_int_equal(kv_delete(batch, 0, word("z")), KV_NONE);
    kv_end(batch); /* not committed */
    assert_true(has(box, "a"));
    struct str huge = {"", 0};
    char key[600];
    memset(key, 'k', sizeof key);
    batch = kv_batch(box->kv, NULL);
    assert_int_equal(kv_put(batch, 0, (struct str){key, 600}, huge, false), KV_INVALID);
    assert_int_equal(kv_put(batch, 0, (struct str){key, KV_KEY_MAX}, huge, false), KV_OK);
    kv_end(batch);
}

static void test_append_is_a_hint(void **state)
{
    struct box *box = *state;
    struct err err = {0};
    struct kv_txn *batch = kv_batch(box->kv, &err);
    assert_int_equal(kv_put(batch, 0, word("5"), word("x"), true), KV_OK);
    assert_int_equal(kv_put(batch, 0, word("7"), word("x"), true), KV_OK);
    assert_int_equal(kv_put(batch, 0, word("6"), word("x"), true), KV_OK); /* it was wrong */
    assert_int_equal(kv_put(batch, 0, word("7"), word("new"), true), KV_OK);
    struct str value;
    assert_int_equal(kv_get(batch, 0, word("7"), &value), KV_OK);
    assert_true(str_is(value, "new"));
    assert_int_equal(kv_commit(batch, &err), KV_OK);
    assert_true(has(box, "6"));
}

static void test_cursors(void **state)
{
    struct box *box = *state;
    struct kv_pair pair;
    struct kv_txn *txn = kv_snapshot(box->kv, NULL);
    struct kv_cursor *cursor = kv_cursor_new(txn, 0);
    assert_int_equal(kv_first(cursor, &pair), KV_NONE);
    assert_int_equal(kv_last(cursor, &pair), KV_NONE);
    assert_int_equal(kv_seek(cursor, word("a"), &pair), KV_NONE);
    assert_int_equal(kv_seek_before(cursor, word("a"), &pair), KV_NONE);
    kv_cursor_free(cursor);
    kv_end(txn);
    put(box, "b", "1");
    put(box, "d", "2");
    put(box, "f", "3");
    struct kv_txn *batch = kv_batch(box->kv, NULL);
    cursor = kv_cursor_new(batch, 0);
    assert_int_equal(kv_seek(cursor, word("c"), &pair), KV_OK);
    assert_true(str_is(pair.key, "d"));
    assert_int_equal(kv_seek_before(cursor, word("d"), &pair), KV_OK);
    assert_true(str_is(pair.key, "b"));
    assert_int_equal(kv_prev(cursor, &pair), KV_NONE);
    assert_int_equal(kv_seek_before(cursor, word("b"), &pair), KV_NONE);
    assert_int_equal(kv_seek_before(cursor, word("z"), &pair), KV_OK);
    assert_true(str_is(pair.key, "f"));
    assert_int_equal(kv_next(cursor, &pair), KV_NONE);
    assert_int_equal(kv_first(cursor, &pair), KV_OK);
    assert_int_equal(kv_cursor_delete(cursor), KV_OK);
    assert_int_equal(kv_next(cursor, &pair), KV_OK);
    assert_true(str_is(pair.key, "d"));
    assert_int_equal(kv_cursor_delete(cursor), KV_OK);
    assert_int_equal(kv_next(cursor, &pair), KV_OK);
    assert_true(str_is(pair.key, "f"));
    assert_int_equal(kv_prev(cursor, &pair), KV_NONE);
    kv_cursor_free(cursor);
    kv_end(batch);
}

static void test_second_opener_is_refused(void **state)
{
    struct box *box = *state;
    struct err err = {0};
    assert_null(kv_open(&box->options, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    assert_non_null(strstr(err.text, pid));
    pid_t child = fork();
    if (child == 0)
        _exit(kv_open(&box->options, &err) == NULL && err.code == ERR_CONFLICT ? 0 : 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void file_path(const struct box *box, char out[128])
{
    snprintf(out, 128, "%s/data.mdb", box->folder);
}

/* Refused with a clear sentence, and byte for byte as before. */
static void expect_refused(struct box *box, const char *word_in_text)
{
    char path[128];
    struct stat before, after;
    struct err err = {0};
    file_path(box, path);
    assert_int_equal(stat(path, &before), 0);
    assert_null(kv_open(&box->options, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.text, word_in_text));
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    assert_true(before.st_mtim.tv_sec == after.st_mtim.tv_sec && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
}

/* What is missing at its end was free: it opens, and holds every row. */
static bool opens_whole(struct box *box)
{
    struct err err = {0};
    char key[16];
    box->kv = kv_open(&box->options, &err);
    if (!box->kv)
        return false;
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof key, "key%d", i);
        assert_true(has(box, key));
    }
    kv_close(box->kv);
    box->kv = NULL;
    return true;
}

static void test_truncated_at_each_page(void **state)
{
    struct box *box = *state;
    char path[128], copy[160], command[400];
    unsigned whole = 0, refused = 0;
    for (int i = 0; i < 40; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%d", i);
        put(box, key, "value");
    }
    kv_close(box->kv);
    box->kv = NULL;
    file_path(box, path);
    snprintf(copy, sizeof copy, "%s.copy", path);
    snprintf(command, sizeof command, "cp %s %s", path, copy);
    assert_int_equal(system(command), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    for (off_t size = 1; size < st.st_size; size = size < 4096 ? 4096 : size + 4096) {
        snprintf(command, sizeof command, "cp %s %s", copy, path);
        assert_int_equal(system(command), 0);
        assert_int_equal(truncate(path, size), 0);
        if (opens_whole(box)) {
            whole++;
            continue;
        }
        expect_refused(box, "truncated");
        refused++;
        assert_int_equal(whole, 0); /* a shorter one holds less */
    }
    assert_true(refused > whole);
    snprintf(command, sizeof command, "cp %s %s", copy, path);
    assert_int_equal(system(command), 0);
    assert_int_equal(unlink(copy), 0);
    box_start(box);
    assert_true(has(box, "key39"));
}

static void test_something_else_is_refused(void **state)
{
    struct box *box = *state;
    char path[128], text[12001];
    file_path(box, path);
    kv_close(box->kv);
    box->kv = NULL;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    unit_write(path, text);
    expect_refused(box, "not a database");
    unit_write(path, ""); /* as after a crash at the very first step */
    box_start(box);
}

/* Fills until the batch does not fit; answers how many keys went in. */
static int fill(struct box *box, enum kv_result *result)
{
    static char value[100000];
    int count = 0;
    *result = KV_OK;
    while (*result == KV_OK && count < 10000) {
        struct err err = {0};
        struct kv_txn *batch = kv_batch(box->kv, &err);
        char key[16];
        assert_non_null(batch);
        snprintf(key, sizeof key, "fill%06d", count);
        *result = kv_put(batch, 1, word(key), (struct str){value, sizeof value}, false);
        if (*result == KV_OK)
            *result = kv_commit(batch, &err);
        else
            kv_end(batch);
        count += *result == KV_OK;
    }
    return count;
}

static void test_map_full(void **state)
{
    struct box *box = *state;
    kv_close(box->kv);
    box->options.map_bytes = 4 << 20;
    box_start(box);
    put(box, "kept", "1");
    enum kv_result result;
    assert_true(fill(box, &result) > 10);
    assert_int_equal(result, KV_FULL);
    assert_true(has(box, "kept"));
    struct err err = {0};
    struct kv_txn *batch = kv_batch(box->kv, &err); /* deleting makes room again */
    assert_int_equal(kv_delete(batch, 1, word("fill000000")), KV_OK);
    assert_int_equal(kv_delete(batch, 1, word("fill000001")), KV_OK);
    assert_int_equal(kv_commit(batch, &err), KV_OK);
    put(box, "later", "1");
    put(box, "later", "2");
    assert_true(has(box, "later"));
}

static enum kv_result try_put(struct box *box, const char *key, struct err *err)
{
    static char value[300000];
    struct kv_txn *batch = kv_batch(box->kv, err);
    if (!batch)
        return KV_IO;
    enum kv_result result = kv_put(batch, 0, word(key), (struct str){value, sizeof value}, false);
    if (result != KV_OK) {
        kv_end(batch);
        return result;
    }
    return kv_commit(batch, err);
}

static void test_disk_full(void **state)
{
    struct box *box = *state;
    struct err err = {0};
    put(box, "kept", "1");
    fail_write = ENOSPC;
    assert_int_equal(try_put(box, "more", &err), KV_FULL);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_true(has(box, "kept"));
    assert_false(has(box, "more"));
    fail_write = 0;
    assert_int_equal(try_put(box, "more", &err), KV_OK);
    assert_true(has(box, "more"));
}

/* What a full disk looks like when it fills up in the middle of a write. */
static void test_write_cut_short(void **state)
{
    struct box *box = *state;
    struct err err = {0};
    struct kv_stat stat;
    kv_close(box->kv);
    fail_allocate = ENOSPC;
    box_start(box);
    cut_write = true;
    assert_int_equal(try_put(box, "more", &err), KV_FULL);
    kv_stat(box->kv, &stat);
    assert_true(stat.low);
    cut_write = false;
    fail_allocate = 0;
    assert_int_equal(try_put(box, "more", &err), KV_OK);
    kv_stat(box->kv, &stat);
    assert_false(stat.low);
    cut_write = true; /* with room on the disk this is a broken one */
    assert_int_equal(try_put(box, "again", &err), KV_IO);
}

static void test_sync_fails(void **state)
{
    struct box *box = *state;
    struct err err = {0};
    put(box, "kept", "1");
    fail_sync = EIO;
    assert_int_equal(try_put(box, "lost", &err), KV_IO);
    assert_int_equal(err.code, ERR_IO);
    fail_sync = 0;
    kv_close(box->kv); /* what the process does: it ends, and the next one opens */
    box_start(box);
    assert_true(has(box, "kept"));
    assert_false(has(box, "lost"));
}

static void test_ballast(void **state)
{
    struct box *box = *state;
    struct kv_stat stat;
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s/ballast", box->folder);
    kv_stat(box->kv, &stat);
    assert_true(stat.ballast);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_size, 1 << 20);
    assert_true(kv_ballast_release(box->kv));
    assert_int_equal(lstat(path, &st), -1);
    assert_false(kv_ballast_release(box->kv));
    kv_stat(box->kv, &stat);
    assert_false(stat.ballast);
    kv_ballast_restore(box->kv);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(kv_file_ballast_make(path, (uint64_t)1 << 60), -1); /* no disk has that several times over */
}

/* The same on a disk that is really full, where the machine lets us have one. */
static void test_real_full_disk(void **state)
{
    struct box *box = *state;
    char folder[128];
    snprintf(folder, sizeof folder, "%s/small", box->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    if (mount("none", folder, "tmpfs", 0, "size=12m") != 0)
        skip();
    kv_close(box->kv);
    box->options.folder = folder;
    box_start(box);
    put(box, "kept", "1");
    enum kv_result result;
    int count = fill(box, &result);
    bool released = kv_ballast_release(box->kv);
    enum kv_result again = released ? KV_OK : KV_FULL;
    struct err err = {0};
    if (released)
        again = try_put(box, "with the reserve", &err);
    struct kv_txn *batch = kv_batch(box->kv, &err);
    for (int i = 0; i < 20; i++) {
        char key[16];
        snprintf(key, sizeof key, "fill%06d", i);
        kv_delete(batch, 1, word(key));
    }
    enum kv_result removed = kv_commit(batch, &err);
    put(box, "later", "1");
    bool later = has(box, "later"), kept = has(box, "kept");
    kv_close(box->kv);
    box->kv = NULL;
    assert_int_equal(umount(folder), 0);
    assert_true(count > 20);
    assert_int_equal(result, KV_FULL);
    assert_int_equal(again, KV_OK);
    assert_int_equal(removed, KV_OK);
    assert_true(later && kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_put_get_delete, setup, teardown),
        cmocka_unit_test_setup_teardown(test_append_is_a_hint, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cursors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_second_opener_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_truncated_at_each_page, setup, teardown),
        cmocka_unit_test_setup_teardown(test_something_else_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_map_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disk_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_cut_short, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sync_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ballast, setup, teardown),
        cmocka_unit_test_setup_teardown(test_real_full_disk, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
