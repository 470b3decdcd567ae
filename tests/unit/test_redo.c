/* The redo log: what was written is read again, whole, in order and once; what is torn never is. */
#include "unit.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/messages.h"
#include "store/redo.h"

#define BLOCK ((uint64_t)4096)
#define SMALL (8 * BLOCK) /* two halves of four blocks */

struct scene {
    char folder[UNIT_FOLDER_SIZE], path[UNIT_FOLDER_SIZE + 8];
    struct redo *redo;
    uint64_t bytes;
    uint64_t read[4096]; /* numbers of the frames replayed */
    uint32_t count;
};

static void scene_open(struct scene *scene)
{
    struct err err = {0};
    redo_free(scene->redo);
    scene->redo = redo_open(scene->path, scene->bytes, &err);
    if (!scene->redo)
        fail_msg("%s", err.text);
}

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    unit_folder(scene->folder);
    snprintf(scene->path, sizeof scene->path, "%s/redo", scene->folder);
    scene->bytes = SMALL;
    scene_open(scene);
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    redo_free(scene->redo);
    unit_remove(scene->folder);
    free(scene);
    return 0;
}

/* A frame says its sequence, and has the length asked for. */
static struct str frame_of(uint64_t seq, uint32_t len)
{
    static char bytes[8][65536];
    static unsigned next;
    char *at = bytes[next++ % 8];
    memset(at, 'x', len);
    memcpy(at, &seq, sizeof seq);
    return (struct str){at, len};
}

static int write_len(struct scene *scene, uint64_t epoch, uint64_t seq, uint32_t len, uint64_t applied)
{
    struct str frame = frame_of(seq, len);
    struct err err = {0};
    int rc = redo_write(scene->redo, epoch, seq, &frame, 1, applied, &err);
    if (rc != 0)
        assert_int_equal(err.code, ERR_LIMIT);
    return rc;
}

static void must_write(struct scene *scene, uint64_t epoch, uint64_t seq, uint64_t applied)
{
    assert_int_equal(write_len(scene, epoch, seq, 100, applied), 0);
}

static int note(void *self, struct str frame, struct err *err)
{
    struct scene *scene = self;
    (void)err;
    assert_true(frame.len >= 8 && scene->count < 4096);
    memcpy(&scene->read[scene->count++], frame.ptr, 8);
    return 0;
}

/* As after a crash: opened anew, and read by a database that has `applied` of `epoch`. */
static int replay(struct scene *scene, uint64_t epoch, uint64_t applied, struct err *err)
{
    scene->count = 0;
    scene_open(scene);
    return redo_replay(scene->redo, epoch, applied, note, scene, err);
}

static void expect(struct scene *scene, uint64_t epoch, uint64_t applied, uint64_t last)
{
    struct err err = {0};
    if (replay(scene, epoch, applied, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(scene->count, last - applied);
    for (uint32_t i = 0; i < scene->count; i++)
        assert_int_equal(scene->read[i], applied + 1 + i);
}

static void test_read_again(void **state)
{
    struct scene *scene = *state;
    struct stat st;
    expect(scene, 0, 0, 0);
    expect(scene, 3, 0, 0);
    must_write(scene, 3, 1, 0);
    const struct str frames[] = {frame_of(2, 8), frame_of(3, 5000), frame_of(4, 9)};
    assert_int_equal(redo_write(scene->redo, 3, 2, frames, 3, 0, NULL), 0);
    for (uint64_t applied = 0; applied <= 4; applied++)
        expect(scene, 3, applied, 4);
    assert_int_equal(stat(scene->path, &st), 0);
    assert_int_equal(st.st_size, BLOCK + SMALL);
}

/* Both halves in turns; none is begun anew before the database has what is in it. */
static void test_halves(void **state)
{
    struct scene *scene = *state;
    uint64_t seq = 0;
    while (write_len(scene, 1, seq + 1, 100, 0) == 0)
        seq++;
    assert_int_equal(seq, 8);
    expect(scene, 1, 0, 8);
    /* What was read back stays until it is applied: nothing is written over it. */
    assert_int_equal(write_len(scene, 1, 9, 100, 4), -1);
    assert_int_equal(write_len(scene, 1, 9, 100, 7), -1);
    must_write(scene, 1, 9, 8);
    seq = 9;
    for (uint64_t behind = 0; seq < 200; seq++) {
        behind = seq % 7;
        if (write_len(scene, 1, seq + 1, 100, seq - behind) != 0) /* then the database catches up */
            must_write(scene, 1, seq + 1, seq);
    }
    for (uint64_t applied = seq - 1; applied <= seq; applied++)
        expect(scene, 1, applied, seq);
}

/* At each step of a long life a crash finds every batch that the database has not. */
static void test_crash_at_each_step(void **state)
{
    struct scene *scene = *state;
    uint64_t applied = 0, random = 1;
    uint64_t lens[] = {8, 100, 3000, 4096 - 56 - 8, 4096, 9000, 16384 - 56 - 8};
    for (uint64_t seq = 1; seq < 400; seq++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
        uint32_t len = (uint32_t)lens[(random >> 33) % 7];
        if (write_len(scene, 1, seq, len, applied) != 0) {
            applied = seq - 1;
            assert_int_equal(write_len(scene, 1, seq, len, applied), 0);
        }
        struct redo *writing = scene->redo;
        scene->redo = NULL;
        expect(scene, 1, applied, seq);
        redo_free(scene->redo);
        scene->redo = writing;
        if ((random >> 40) % 3 == 0)
            applied += (random >> 50) % (seq - applied + 1);
    }
}

static void byte_change(struct scene *scene, uint64_t at, unsigned char by)
{
    int fd = open(scene->path, O_RDWR);
    unsigned char byte;
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= by;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

/* A change of any byte of the last block that counts makes it as if it had never been written. */
static void test_torn_end(void **state)
{
    struct scene *scene = *state;
    for (uint64_t seq = 1; seq <= 3; seq++)
        must_write(scene, 1, seq, 0);
    uint64_t last = BLOCK + 2 * BLOCK, len = 56 + 8 + 100;
    for (uint64_t i = 0; i < len; i++) {
        byte_change(scene, last + i, 1);
        expect(scene, 1, 0, 2);
        byte_change(scene, last + i, 1);
    }
    expect(scene, 1, 0, 3);
}

/* Older blocks behind the newest are not taken for its successors, nor is a client's text that looks like one. */
static void test_old_blocks_stay_dead(void **state)
{
    struct scene *scene = *state;
    for (uint64_t seq = 1; seq <= 4; seq++)
        must_write(scene, 1, seq, 0);
    must_write(scene, 1, 5, 4); /* over the first */
    expect(scene, 1, 4, 5);
    assert_int_equal(replay(scene, 2, 0, &(struct err){0}), 0); /* nor those of an older epoch */
    assert_int_equal(scene->count, 0);
    must_write(scene, 2, 1, 0);
    expect(scene, 2, 0, 1);

    /* A block of another log in the place of the next one. */
    struct scene other = {.bytes = SMALL};
    snprintf(other.path, sizeof other.path, "%s/othr", scene->folder);
    scene_open(&other);
    must_write(&other, 2, 2, 1);
    char block[BLOCK];
    int from = open(other.path, O_RDONLY), to = open(scene->path, O_RDWR);
    assert_int_equal(pread(from, block, sizeof block, BLOCK), BLOCK);
    assert_int_equal(pwrite(to, block, sizeof block, 2 * BLOCK), BLOCK);
    close(from);
    close(to);
    redo_free(other.redo);
    expect(scene, 2, 0, 1);
}

/* A database that is older than the log is not brought on as if nothing were missing. */
static void test_older_database(void **state)
{
    struct scene *scene = *state;
    struct err err = {0};
    must_write(scene, 2, 7, 6);
    assert_int_equal(replay(scene, 2, 5, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_int_equal(replay(scene, 1, 100, &err), -1);
    assert_int_equal(replay(scene, 2, 6, &err), 0);
    assert_int_equal(scene->count, 1);
}

/* Batches that went by the log leave a gap, which only an empty log may have. */
static void test_gap(void **state)
{
    struct scene *scene = *state;
    must_write(scene, 1, 1, 0);
    assert_int_equal(write_len(scene, 1, 3, 100, 0), -1);
    assert_int_equal(write_len(scene, 1, 3, 100, 1), 0);
    expect(scene, 1, 2, 3);
    assert_int_equal(write_len(scene, 1, 4, (uint32_t)SMALL, 3), -1); /* never fits */
}

static void byte_put(struct scene *scene, uint64_t at, uint64_t count, unsigned char byte)
{
    FILE *file = fopen(scene->path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(fputc(byte, file), byte);
    assert_int_equal(fclose(file), 0);
}

static void refused(struct scene *scene, const char *why)
{
    struct err err = {0};
    uint64_t last;
    assert_null(redo_open(scene->path, scene->bytes, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.text, why));
    assert_non_null(strstr(err.text, "gantry restore"));
    assert_non_null(strstr(err.text, "fsck"));
    assert_int_equal(redo_last(scene->path, 1, 0, &last, &err), -1); /* nor is a backup made as if there were nothing */
}

/* A file that is not whole yet is made anew; one of another size is used as it is. */
static void test_files(void **state)
{
    struct scene *scene = *state;
    uint64_t last;
    must_write(scene, 1, 1, 0);
    scene->bytes = 16 * BLOCK;
    expect(scene, 1, 0, 1);
    const off_t lengths[] = {0, 1, 5000, BLOCK + SMALL};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) { /* of a file that died before its head was written */
        assert_int_equal(truncate(scene->path, 0), 0);
        assert_int_equal(truncate(scene->path, lengths[i]), 0);
        assert_int_equal(redo_last(scene->path, 1, 7, &last, NULL), 0);
        assert_int_equal(last, 7);
        expect(scene, 1, 0, 0);
        must_write(scene, 1, 1, 0);
        expect(scene, 1, 0, 1);
    }
    struct err err = {0};
    assert_null(redo_open("/proc/redo", SMALL, &err));
    assert_int_equal(err.code, ERR_IO);
}

/* A file that holds something is never made anew, whatever is wrong with its head, and nothing in it is changed. */
static void test_damaged_head(void **state)
{
    struct scene *scene = *state;
    must_write(scene, 1, 1, 0);
    for (uint64_t at = 0; at < 8 + 32 + 16; at++) {
        byte_change(scene, at, 1);
        refused(scene, "head");
        byte_change(scene, at, 1);
    }
    expect(scene, 1, 0, 1);
    assert_int_equal(truncate(scene->path, BLOCK + SMALL + 1), 0);
    refused(scene, "length");
    assert_int_equal(truncate(scene->path, BLOCK + SMALL), 0);
    expect(scene, 1, 0, 1);
    byte_put(scene, 0, BLOCK, 0); /* there are blocks, but nothing tells whether they are whole */
    refused(scene, "head");
}

/* A head as it was before it had a hash is taken, and gets one. */
static void test_head_without_hash(void **state)
{
    struct scene *scene = *state;
    must_write(scene, 1, 1, 0);
    byte_put(scene, 40, 16, 0);
    expect(scene, 1, 0, 1);
    byte_change(scene, 9, 1);
    refused(scene, "head");
}

/* Behind a block that has rotted stands one that is whole: what is between them was acknowledged, and is not passed over. */
static void test_rot_in_the_middle(void **state)
{
    struct scene *scene = *state;
    for (uint64_t seq = 1; seq <= 6; seq++) /* four blocks in the first half, two in the second */
        must_write(scene, 1, seq, 0);
    for (uint64_t seq = 1; seq <= 5; seq++) {
        byte_change(scene, BLOCK * seq + 70, 1);
        for (uint64_t applied = 0; applied < 6; applied++) {
            struct err err = {0};
            bool lost = applied < seq; /* else the database has it */
            assert_int_equal(replay(scene, 1, applied, &err), lost ? -1 : 0);
            if (lost)
                assert_int_equal(err.code, ERR_INVALID);
            if (lost)
                assert_non_null(strstr(err.text, "damaged"));
            else
                assert_int_equal(scene->count, 6 - applied);
        }
        byte_change(scene, BLOCK * seq + 70, 1);
    }
    expect(scene, 1, 0, 6);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_read_again),
        TEST(test_halves),
        TEST(test_crash_at_each_step),
        TEST(test_torn_end),
        TEST(test_old_blocks_stay_dead),
        TEST(test_older_database),
        TEST(test_gap),
        TEST(test_files),
        TEST(test_damaged_head),
        TEST(test_head_without_hash),
        TEST(test_rot_in_the_middle),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
