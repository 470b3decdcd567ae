#include "sound_fixture.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store/kv_page.h"

/* A database file of many pages, and copies of it to be damaged. */
struct bed {
    struct fixture *fx;
    char folder[UNIT_FOLDER_SIZE], path[128];
    unsigned char *bytes;
    size_t len;
    struct kv_pages pages;
};

/* Long values, and pages that are free: what a database of some age has. */
static void age(struct fixture *fx)
{
    static char text[9000];
    memset(text, 'x', sizeof text - 1);
    for (uint64_t id = 1001; id <= 1012; id++) {
        struct rec_key key = {.id = id,
                              .scope = STR_LIT("0123456789abcdef"),
                              .body = STR_LIT("0123456789abcdef"),
                              .answer = {text, (uint32_t)(sizeof text - 1)},
                              .created_at = 1};
        fixture_op(fx, OP_PUT, TYPE_KEY, id, &shape_rec_key, &key);
        fixture_commit(fx);
    }
    for (uint64_t id = 1001; id <= 1006; id++) {
        fixture_delete(fx, TYPE_KEY, id);
        fixture_commit(fx);
    }
}

static int setup(void **state)
{
    struct bed *bed = calloc(1, sizeof *bed);
    char path[128];
    bed->fx = fixture_new();
    sound_fill(bed->fx);
    age(bed->fx);
    fixture_stop(bed->fx); /* only its file is looked at from here on */
    unit_folder(bed->folder);
    snprintf(bed->path, sizeof bed->path, "%s/data.mdb", bed->folder);
    snprintf(path, sizeof path, "%s/data.mdb", bed->fx->folder);
    int fd = open(path, O_RDONLY);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    bed->len = (size_t)st.st_size;
    bed->bytes = malloc(bed->len);
    assert_int_equal(read(fd, bed->bytes, bed->len), (ssize_t)bed->len);
    close(fd);
    *state = bed;
    return 0;
}

static int teardown(void **state)
{
    struct bed *bed = *state;
    fixture_start(bed->fx);
    fixture_free(bed->fx);
    unit_remove(bed->folder);
    free(bed->bytes);
    free(bed);
    return 0;
}

static void write_bytes(struct bed *bed, const unsigned char *bytes, size_t len)
{
    int fd = open(bed->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

static int look(struct bed *bed, uint64_t leaves, struct findings *findings, struct err *err)
{
    memset(findings, 0, sizeof *findings);
    memset(err, 0, sizeof *err);
    return kv_pages_check(bed->path, leaves, &bed->pages, findings, err);
}

/* Opens it and reads everything in a process of its own; -1 when a signal ended that. */
static int read_all(struct bed *bed)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = {0};
        struct kv_options options = {.folder = bed->folder,
                                     .mode = KV_LOOK,
                                     .tables = record_tables,
                                     .table_count = TABLE_ALL,
                                     .map_bytes = bed->fx->map_bytes};
        char path[128];
        snprintf(path, sizeof path, "%s/stderr", bed->folder);
        dup2(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
        struct kv *kv = kv_open(&options, &err);
        if (!kv)
            _exit(1);
        struct findings findings = {0};
        struct check_counts counts;
        int rc = check_all(kv, &findings, NULL, &counts, &err);
        _exit(rc == 0 && findings.count == 0 ? 0 : 2);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    char path[128], said[4096] = "";
    snprintf(path, sizeof path, "%s/stderr", bed->folder);
    int fd = open(path, O_RDONLY);
    if (fd >= 0 && read(fd, said, sizeof said - 1) > 0 && strstr(said, "Sanitizer"))
        fail_msg("%s", said);
    close(fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_whole(void **state)
{
    struct bed *bed = *state;
    struct findings findings;
    struct err err;
    write_bytes(bed, bed->bytes, bed->len);
    assert_int_equal(look(bed, UINT64_MAX, &findings, &err), 0);
    if (findings.count > 0)
        fail_msg("%s", findings.first);
    assert_true(bed->pages.free > 0);
    assert_int_equal(bed->pages.used + bed->pages.free, bed->pages.last_page + 1);
    assert_int_equal(look(bed, 0, &findings, &err), 0);
    assert_int_equal(findings.count, 0);
    assert_int_equal(read_all(bed), 0);
}

/* Branches below a branch: what parts two of them is also the first key below the second. */
static void test_branches_of_branches(void **state)
{
    static const char *const tables[] = {"rows"};
    static const char value[200] = {7};
    char folder[UNIT_FOLDER_SIZE], path[128];
    struct kv_pages pages;
    struct findings findings = {0};
    struct err err = {0};
    (void)state;

    unit_folder(folder);
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    struct kv_options options = {.folder = folder, .tables = tables, .table_count = 1, .map_bytes = UINT64_C(1) << 28};
    struct kv *kv = kv_open(&options, &err);
    assert_non_null(kv);
    assert_int_equal(kv_prepare(kv, &err), 0);
    struct kv_txn *batch = kv_batch(kv, &err);
    for (unsigned number = 0; number < 20000; number++) {
        char key[16];
        struct str name = {key, (uint32_t)snprintf(key, sizeof key, "%09u", number)};
        assert_int_equal(kv_put(batch, 0, name, (struct str){value, sizeof value}, true), KV_OK);
    }
    assert_int_equal(kv_commit(batch, &err), KV_OK);
    kv_close(kv);
    assert_int_equal(kv_pages_check(path, UINT64_MAX, &pages, &findings, &err), 0);
    if (findings.count > 0)
        fail_msg("%s", findings.first);
    unit_remove(folder);
}

#define PAGE_BYTES 4096
#define HEAD_BYTES 16   /* of every page */
#define STATE_BYTES 152 /* of pages 0 and 1, head included */

enum kind {
    KIND_STATE,
    KIND_TREE,
    KIND_LONG,
    KIND_INSIDE,
    KIND_FREE
}; /* long: the first page of a value that has pages of its own */

/* Those that LMDB itself lists as free. */
static void free_note(const char *path, enum kind *kinds)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, list;

    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_cursor_open(txn, 0, &cursor), 0);
    while (mdb_cursor_get(cursor, &key, &list, MDB_NEXT) == 0) {
        const size_t *numbers = list.mv_data;
        for (size_t i = 1; i <= numbers[0]; i++)
            kinds[numbers[i]] = KIND_FREE;
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    mdb_env_close(env);
}

/* What each page is for, by LMDB's list and by the pages' heads. */
static enum kind *kinds_of(struct bed *bed, uint64_t last)
{
    enum kind *kinds = calloc(last + 1, sizeof *kinds);

    for (uint64_t page = 2; page <= last; page++)
        kinds[page] = KIND_TREE;
    free_note(bed->path, kinds);
    for (uint64_t page = 2; page <= last; page++) {
        const unsigned char *head = bed->bytes + page * PAGE_BYTES;
        uint32_t count;
        memcpy(&count, head + 12, sizeof count);
        if (kinds[page] != KIND_TREE || head[10] != 0x04)
            continue;
        kinds[page] = KIND_LONG;
        while (--count > 0)
            kinds[++page] = KIND_INSIDE;
    }
    return kinds;
}

/* Whether such damage must be seen: bytes of a value, and what nobody uses, mean nothing to the tree. */
static bool must_be_found(enum kind kind, size_t from)
{
    switch (kind) {
    case KIND_STATE:
        return from < STATE_BYTES;
    case KIND_TREE:
        return true;
    case KIND_LONG:
        return from < HEAD_BYTES;
    default:
        return false;
    }
}

/* Each page in turn overwritten in part or whole: it is found, or it says nothing; reading it is never a signal. */
static void damage_each(struct bed *bed, size_t from, size_t len, int byte)
{
    size_t size = PAGE_BYTES, seen[KIND_FREE + 1] = {0};
    unsigned char *bytes = malloc(bed->len);
    struct findings findings;
    struct err err;
    write_bytes(bed, bed->bytes, bed->len);
    assert_int_equal(look(bed, UINT64_MAX, &findings, &err), 0);
    uint64_t last = bed->pages.last_page;
    enum kind *kinds = kinds_of(bed, last);
    for (uint64_t page = 0; page <= last; page++) {
        memcpy(bytes, bed->bytes, bed->len);
        for (size_t i = from; i < from + len; i++)
            bytes[page * size + i] = byte >= 0 ? (unsigned char)byte : (unsigned char)((i * 197 + page * 31) >> 1);
        write_bytes(bed, bytes, bed->len);
        int rc = look(bed, UINT64_MAX, &findings, &err);
        bool found = rc != 0 || findings.count > 0;
        if (found != must_be_found(kinds[page], from))
            fail_msg("page %lu (kind %d) is damaged and %s", (unsigned long)page, (int)kinds[page],
                     found ? "found" : "not found");
        seen[kinds[page]]++;
        int code = read_all(bed);
        if (code < 0)
            fail_msg("reading with page %lu damaged ended by a signal", (unsigned long)page);
    }
    for (int kind = KIND_STATE; kind <= KIND_FREE; kind++)
        assert_true(seen[kind] > 0);
    free(kinds);
    free(bytes);
}

static void test_zeroed_pages(void **state)
{
    damage_each(*state, 0, 4096, 0);
}

static void test_garbled_pages(void **state)
{
    damage_each(*state, 0, 4096, -1);
}

static void test_torn_pages(void **state)
{
    damage_each(*state, 512, 4096 - 512, 0);
}

static void test_garbled_nodes(void **state)
{
    damage_each(*state, 16, 64, -1);
}

static void test_truncated(void **state)
{
    struct bed *bed = *state;
    struct findings findings;
    struct err err;
    write_bytes(bed, bed->bytes, bed->len);
    assert_int_equal(look(bed, UINT64_MAX, &findings, &err), 0);
    size_t needed = (bed->pages.last_page + 1) * bed->pages.page_size;
    const size_t lengths[] = {1, 100, 4095, 4096, 5000, 8192, needed / 2, needed - 4096, needed - 1};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        write_bytes(bed, bed->bytes, lengths[i]);
        assert_int_equal(look(bed, UINT64_MAX, &findings, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_int_equal(read_all(bed), 1);
    }
    write_bytes(bed, bed->bytes, needed); /* what is behind the last page was only allocated */
    assert_int_equal(look(bed, UINT64_MAX, &findings, &err), 0);
    assert_int_equal(findings.count, 0);
}

/* A batch of rows that come and go again; those before it have left free pages. */
static void come_and_go(struct kv *kv, unsigned count)
{
    static char text[200];
    struct str value = {text, sizeof text};
    struct err err = {0};
    char key[16];
    for (unsigned i = 0; i < 8; i++) {
        struct kv_txn *batch = kv_batch(kv, &err);
        struct str name = {key, (uint32_t)snprintf(key, sizeof key, "a%u", i)};
        assert_int_equal(kv_put(batch, 0, name, value, false), KV_OK);
        assert_int_equal(kv_commit(batch, &err), KV_OK);
    }
    struct kv_txn *batch = kv_batch(kv, &err);
    for (unsigned i = 0; i < 2 * count; i++) {
        struct str name = {key, (uint32_t)snprintf(key, sizeof key, "b%06u", i < count ? i : 2 * count - 1 - i)};
        assert_int_equal(i < count ? kv_put(batch, 0, name, value, true) : kv_delete(batch, 0, name), KV_OK);
    }
    assert_int_equal(kv_commit(batch, &err), KV_OK);
}

/* What a batch took at the end and let go of again is free, and was never written: the file ends before it, and is whole. */
static void test_pages_that_were_never_written(void **state)
{
    static const char *const tables[] = {"table"};
    char folder[UNIT_FOLDER_SIZE], path[128];
    struct kv_options options = {.folder = folder, .tables = tables, .table_count = 1, .map_bytes = (uint64_t)1 << 30};
    struct err err = {0};
    struct findings findings = {0};
    struct kv_pages pages;
    struct stat st;
    (void)state;
    unit_folder(folder);
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    struct kv *kv = kv_open(&options, &err);
    assert_non_null(kv);
    assert_int_equal(kv_prepare(kv, &err), 0);
    come_and_go(kv, 200);
    kv_close(kv);
    assert_int_equal(kv_pages_check(path, UINT64_MAX, &pages, &findings, &err), 0);
    if (findings.count > 0)
        fail_msg("%s", findings.first);
    assert_int_equal(stat(path, &st), 0);
    assert_true((uint64_t)st.st_size < (pages.last_page + 1) * pages.page_size);
    kv = kv_open(&options, &err);
    if (!kv)
        fail_msg("%s", err.text);
    come_and_go(kv, 100); /* goes on with those pages */
    kv_close(kv);
    assert_int_equal(kv_pages_check(path, UINT64_MAX, &pages, &findings, &err), 0);
    assert_int_equal(findings.count, 0);
    assert_int_equal(truncate(path, (off_t)(3 * pages.page_size)), 0); /* what is in use is missed */
    assert_int_equal(kv_pages_check(path, 0, &pages, &findings, &err), -1);
    assert_non_null(strstr(err.text, "truncated"));
    unit_remove(folder);
}

/* It shrinks while it is mapped: a line, and an end with code 1. */
static void test_cut_off_while_in_use(void **state)
{
    struct bed *bed = *state;
    write_bytes(bed, bed->bytes, bed->len);
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct kv_options options = {.folder = bed->folder,
                                     .mode = KV_LOOK,
                                     .tables = record_tables,
                                     .table_count = TABLE_ALL,
                                     .map_bytes = bed->fx->map_bytes};
        dup2(ends[1], STDERR_FILENO);
        struct kv *kv = kv_open(&options, NULL);
        if (!kv || truncate(bed->path, 8192) != 0)
            _exit(3);
        struct findings findings = {0};
        struct check_counts counts;
        check_all(kv, &findings, NULL, &counts, NULL);
        _exit(4);
    }
    close(ends[1]);
    char line[1024] = "";
    ssize_t got = read(ends[0], line, sizeof line - 1);
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(got > 0);
    if (!strstr(line, "is damaged or cannot be read"))
        fail_msg("it says: %s", line);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

/* Whatever a database goes through, its pages are sound: keys and values of all sizes come and go, in small and in large steps, with
 * readers that keep pages from being used again. */
static void test_sound_whatever_happens(void **state)
{
    static const char *const tables[] = {"one", "two", "three"};
    static char value[20000];
    char folder[UNIT_FOLDER_SIZE], path[128];
    struct err err = {0};
    uint64_t seed = 88172645463325252u, looks = 0;
    (void)state;
#define DRAW(n) ((seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17) % (n))
    unit_folder(folder);
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    struct kv_options options = {.folder = folder, .tables = tables, .table_count = 3, .map_bytes = UINT64_C(1) << 30};
    struct kv *kv = kv_open(&options, &err);
    assert_non_null(kv);
    assert_int_equal(kv_prepare(kv, &err), 0);
    struct kv_txn *reader = NULL;
    for (int round = 0; round < 100; round++) {
        struct kv_txn *batch = kv_batch(kv, &err);
        assert_non_null(batch);
        unsigned table = (unsigned)DRAW(3);
        if (round % 40 == 39)
            assert_int_equal(kv_clear(batch, table), KV_OK);
        for (uint64_t ops = 1 + DRAW(round % 10 == 0 ? 5000 : 50); ops > 0; ops--) {
            char key[512];
            size_t len = (size_t)snprintf(key, sizeof key, "%lu", (unsigned long)DRAW(3000));
            size_t more = DRAW(20) == 0 ? DRAW(400) : 0;
            memset(key + len, 'k', more);
            struct str name = {key, (uint32_t)(len + more)};
            struct str bytes = {value, (uint32_t)(DRAW(30) == 0 ? DRAW(sizeof value) : DRAW(300))};
            if (DRAW(3) == 0)
                kv_delete(batch, table, name);
            else
                assert_int_equal(kv_put(batch, table, name, bytes, false), KV_OK);
        }
        if (DRAW(10) == 0)
            kv_end(batch);
        else
            assert_int_equal(kv_commit(batch, &err), KV_OK);
        if (DRAW(8) == 0) {
            kv_end(reader);
            reader = DRAW(2) ? kv_snapshot(kv, &err) : NULL;
        }
        for (int i = 0; i < 3; i++, looks++) {
            struct findings findings = {0};
            struct kv_pages pages;
            assert_int_equal(kv_pages_check(path, i == 0 ? UINT64_MAX : i == 1 ? 0 : 20, &pages, &findings, &err), 0);
            if (findings.count > 0)
                fail_msg("round %d: %s", round, findings.first);
        }
    }
    kv_end(reader);
    kv_close(kv);
    assert_int_equal(looks, 300);
    unit_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_branches_of_branches),
        cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
        cmocka_unit_test(test_sound_whatever_happens),
        cmocka_unit_test_setup_teardown(test_zeroed_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_garbled_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_garbled_nodes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_truncated, setup, teardown),
        cmocka_unit_test(test_pages_that_were_never_written),
        cmocka_unit_test_setup_teardown(test_cut_off_while_in_use, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
