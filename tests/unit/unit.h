/* What every unit test includes first: cmocka with the headers it wants before it, and a folder that goes away. */
#ifndef GANTRY_TESTS_UNIT_H
#define GANTRY_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNIT_FOLDER_SIZE 64

static inline int unit_remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static inline void unit_remove(const char *folder)
{
    nftw(folder, unit_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A new empty folder; the test calls unit_remove. */
static inline const char *unit_folder(char out[UNIT_FOLDER_SIZE])
{
    snprintf(out, UNIT_FOLDER_SIZE, "/tmp/gantry-unit-XXXXXX");
    assert_non_null(mkdtemp(out));
    return out;
}

static inline void unit_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* The variables of whoever runs the tests are none of theirs. */
static inline void unit_forget_environment(void)
{
    char name[256];
    for (char **entry = environ; *entry;) {
        if (strncmp(*entry, "GANTRY_", 7) != 0 || strcspn(*entry, "=") >= sizeof(name)) {
            entry++;
            continue;
        }
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(*entry, "="), *entry);
        unsetenv(name); /* moves what follows to here */
    }
}

#endif
