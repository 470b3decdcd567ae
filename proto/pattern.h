/* Names that stand for many files: wood.<UDIM>.exr, fire.####.vdb, sea.%04d.abc, <f>. */
#ifndef GANTRY_PROTO_PATTERN_H
#define GANTRY_PROTO_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

bool pattern_is(const char *name);
/* Whether this file's name is one of those that the pattern stands for. */
bool pattern_fits(const char *pattern, const char *name);

/* How many regular files of a folder fit, of the first `most` entries; size: theirs together. fd is taken. */
uint32_t pattern_count(int fd, const char *name, unsigned most, uint64_t *size);

#endif
