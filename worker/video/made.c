#include "worker/video/made.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void made_word(uint64_t size, const unsigned char hash[PUBLISH_HASH], char out[MADE_WORD])
{
    char hex[2 * PUBLISH_HASH + 1];
    publish_hex(hash, hex);
    snprintf(out, MADE_WORD, "%" PRIu64 "-%s", size, hex);
}

/* Whether one of them begins so, or is that. */
static bool has(const char *made, const char *word, bool whole)
{
    size_t len = strlen(word);
    for (const char *at = made; *at; at += strcspn(at, ","), at += *at == ',')
        if (strncmp(at, word, len) == 0 && (!whole || at[len] == ',' || at[len] == '\0'))
            return true;
    return false;
}

bool made_stands(const char *made, const char *path, struct stat *seen)
{
    struct publish_file file;
    char word[MADE_WORD];
    if (lstat(path, seen) < 0 || !S_ISREG(seen->st_mode))
        return false;
    snprintf(word, sizeof(word), "%" PRIu64 "-", (uint64_t)seen->st_size);
    if (!has(made, word, false) || publish_verify(path, &file, NULL) < 0)
        return false;
    made_word(file.size, file.hash, word);
    return has(made, word, true);
}
