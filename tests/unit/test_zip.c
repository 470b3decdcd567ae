/* An archive that is made while it is read: it has the length that was said, holds what its files held, and ends where one of them changed. */
#include "tests/unit/unit.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>

#include "gateway/zip.h"
#include "proto/buf.h"

static char folder[UNIT_FOLDER_SIZE];
static int fd;

static int setup(void **state)
{
    (void)state;
    unit_folder(folder);
    fd = open(folder, O_PATH | O_DIRECTORY);
    return fd >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    close(fd);
    unit_remove(folder);
    return 0;
}

static void make(const char *name, const char *text)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    unit_write(path, text);
}

static int read_all(const struct zip_file *files, uint32_t count, size_t piece, struct buf *out)
{
    struct zip *zip = zip_new(fd, files, count);
    char bytes[4096];
    ssize_t got;

    assert_non_null(zip);
    while ((got = zip_read(zip, bytes, piece)) > 0)
        assert_int_equal(buf_add(out, bytes, (size_t)got), 0);
    int cause = errno;
    zip_free(zip);
    errno = cause;
    return (int)got;
}

static void holds(struct archive *archive, const char *name, const char *text)
{
    struct archive_entry *entry;
    char content[256] = "";

    assert_int_equal(archive_read_next_header(archive, &entry), ARCHIVE_OK);
    assert_string_equal(archive_entry_pathname(entry), name);
    assert_int_equal(archive_entry_mtime(entry), 1700000000);
    assert_int_equal(archive_read_data(archive, content, sizeof content - 1), strlen(text));
    assert_string_equal(content, text);
}

static void it_holds_its_files(void **state)
{
    const struct zip_file files[] = {
        {.name = "renders/a.png", .path = "a.png", .size = 5, .at = 1700000000},
        {.name = "renders/none.png", .path = "none.png", .size = 0, .at = 1700000000},
        {.name = "MISSING.txt", .text = STR_LIT("two lines\nof text\n"), .size = 18, .at = 1700000000},
    };
    static const size_t pieces[] = {1, 7, 4096};

    (void)state;
    make("a.png", "first");
    make("none.png", "");
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct buf out = {0};
        assert_int_equal(read_all(files, 3, pieces[i], &out), 0);
        assert_int_equal(out.len, zip_length(files, 3));
        struct archive *archive = archive_read_new();
        archive_read_support_format_zip(archive);
        assert_int_equal(archive_read_open_memory(archive, out.data, out.len), ARCHIVE_OK);
        holds(archive, "renders/a.png", "first");
        holds(archive, "renders/none.png", "");
        holds(archive, "MISSING.txt", "two lines\nof text\n");
        archive_read_free(archive);
        buf_free(&out);
    }
}

static void its_length_is_known_beyond_4_gb(void **state)
{
    static char names[70000][16];
    static struct zip_file files[70000];
    const struct zip_file large[] = {{.name = "a", .path = "a", .size = UINT64_C(5) << 30},
                                     {.name = "b", .path = "b", .size = 1}};

    (void)state;
    assert_true(zip_length(large, 2) > (UINT64_C(5) << 30));
    assert_true(zip_length(large, 2) < (UINT64_C(5) << 30) + 1000);
    for (unsigned i = 0; i < 70000; i++) { /* more than a directory counts in 16 bits */
        snprintf(names[i], sizeof names[i], "%u", i);
        files[i] = (struct zip_file){.name = names[i], .text = STR_LIT("x"), .size = 1};
    }
    struct buf out = {0};
    assert_int_equal(read_all(files, 70000, 4096, &out), 0);
    assert_int_equal(out.len, zip_length(files, 70000));
    buf_free(&out);
}

static void it_ends_where_a_file_changed(void **state)
{
    const struct zip_file files[] = {{.name = "a", .path = "a.png", .size = 5}, {.name = "b", .path = "b.png", .size = 5}};
    struct buf out = {0};

    (void)state;
    make("a.png", "first");
    assert_int_equal(read_all(files, 2, 4096, &out), -1);
    assert_int_equal(errno, ENOENT);
    make("b.png", "longer than that");
    buf_reset(&out);
    assert_int_equal(read_all(files, 2, 4096, &out), -1);
    assert_int_equal(errno, ESTALE);
    assert_non_null(memmem(out.data, out.len, "first", 5));
    buf_free(&out);
}

static void nothing_outside_is_read(void **state)
{
    const struct zip_file files[] = {{.name = "a", .path = "../etc/passwd", .size = 5}},
                          absolute[] = {{.name = "a", .path = "/etc/passwd", .size = 5}};
    struct buf out = {0};

    (void)state;
    assert_int_equal(read_all(files, 1, 4096, &out), -1);
    assert_int_equal(read_all(absolute, 1, 4096, &out), -1);
    assert_int_equal(errno, EXDEV);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_holds_its_files, setup, teardown),
        cmocka_unit_test(its_length_is_known_beyond_4_gb),
        cmocka_unit_test_setup_teardown(it_ends_where_a_file_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_outside_is_read, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
