/* Where a worker has the folders of the library. */
#include "tests/unit/unit.h"

#include "worker/video/mount.h"

static void is(const char *library, const char *prefix, const char *root, const char *expected)
{
    struct str found = mount_of(str_of(library), str_of(prefix), str_of(root));
    if (!str_is(found, expected))
        fail_msg("library %s, prefix %s: %s is %.*s, not %s", library, prefix, root, (int)found.len, found.ptr, expected);
}

static void test_mounts(void **state)
{
    (void)state;
    is("/films", "", "/films", "/films");
    is("/films", "/mnt/films", "/films", "/mnt/films");
    is("/films/", "/mnt/films//", "/films", "/mnt/films");
    is("/films:/shows", "/mnt/f:/mnt/s", "/films", "/mnt/f");
    is("/films:/shows", "/mnt/f:/mnt/s", "/shows", "/mnt/s");
    is("/films:/shows:/more", "/mnt/f:/mnt/s", "/more", "/more"); /* it has no counterpart */
    is("/films:/shows", "/mnt/f", "/shows", "/shows");
    is("/films:/shows", ":/mnt/s", "/films", "/films");
    is("/films:/shows", ":/mnt/s", "/shows", "/mnt/s");
    /* the worker does not know that folder by its name: its only one stands for it */
    is("", "/mnt", "/films", "/mnt");
    is("/here", "/mnt/", "/films", "/mnt");
    is("", "/mnt:/other", "/films", "/films");
    is("/", "/mnt", "/", "/mnt");
    is("", "", "/films", "/films");
    is("/films", "/mnt", "/films/more", "/mnt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mounts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
