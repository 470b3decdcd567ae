/* A fuzz target without a fuzzer: runs it over the files of the folders given, so that every test run replays them.
 * Prints one TAP line a file; an empty or missing folder is a failure, because then nothing was replayed. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX ((size_t)64 << 20)

static unsigned replayed;

static bool replay_file(const char *path)
{
    bool good = false;
    uint8_t *data = NULL;
    long size = -1;
    FILE *file = fopen(path, "rb");
    if (file && fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 && (size_t)size <= INPUT_MAX)
        data = malloc(size > 0 ? (size_t)size : 1); /* exactly as large as the input, so that a sanitizer sees a byte too far */
    if (data && fseek(file, 0, SEEK_SET) == 0 && fread(data, 1, (size_t)size, file) == (size_t)size) {
        /* Said before it runs: the last line of a target that dies names its input. */
        printf("# %s\n", path);
        fflush(stdout);
        LLVMFuzzerTestOneInput(data, (size_t)size);
        good = true;
    }
    printf("%s %u - %s\n", good ? "ok" : "not ok", ++replayed, path);
    free(data);
    if (file)
        fclose(file);
    return good;
}

static int skip_dots(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool replay_folder(const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, skip_dots, alphasort);
    bool good = count > 0;
    if (!good)
        printf("not ok %u - %s: %s\n", ++replayed, folder, count < 0 ? strerror(errno) : "no files");
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        good = replay_file(path) && good;
        free(entries[i]);
    }
    free(entries);
    return good;
}

int main(int argc, char **argv)
{
    bool good = argc > 1;
    for (int i = 1; i < argc; i++)
        good = replay_folder(argv[i]) && good;
    printf("1..%u\n", replayed);
    return good ? 0 : 1;
}
