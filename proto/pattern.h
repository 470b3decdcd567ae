/* Names that stand for many files: wood.<UDIM>.exr, fire.####.vdb, sea.%04d.abc, shot.<f>.png. Marks are numbers: <UDIM> of four digits, # and
 * %0nd of as many as they say, <f> and <frame> of any number of digits, <uvtile> is u1_v1, <tile> _u1_v1. */
#ifndef GANTRY_PROTO_PATTERN_H
#define GANTRY_PROTO_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

bool pattern_is(const char *name);
/* Whether this file's name is one of those that the pattern stands for. */
bool pattern_fits(const char *pattern, const char *name);
/* What the name has in common with those that differ from it in their numbers alone: `#` for each number, and in a pattern for each mark. All names
 * that fit a pattern have its shape; others may, too. out: as long as the name, and its NUL. False: there is no number in it. */
bool pattern_shape(const char *name, bool pattern, char *out);

struct pattern_folder {
    int fd;
    int root;         /* links in it are followed as far as they stay below that one; -1: wherever they lead */
    const char *name; /* the folder's own from there */
};
/* How many regular files of a folder fit, of the first `most` entries, and no more than enough; size: theirs together. Its fd is taken. */
uint32_t pattern_count(const struct pattern_folder *folder, const char *name, unsigned most, uint32_t enough, uint64_t *size);

#endif
