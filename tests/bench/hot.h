/* Hot paths without processes and sockets, for counting their instructions (tests/bench/instructions.py): the same input gives the
 * same count, whatever else the machine does.
 *
 *   hot_core submit        prepares, does it HOT_WARM times, then HOT_COUNT times inside hot_path, which is what callgrind counts
 */
#ifndef GANTRY_BENCH_HOT_H
#define GANTRY_BENCH_HOT_H

#include <stdbool.h>

#define HOT_WARM 100
#define HOT_COUNT 500
#define HOT_STEPS (HOT_WARM + HOT_COUNT)

struct hot {
    const char *name;
    void (*prepare)(void);
    void (*step)(unsigned number); /* 0 .. HOT_STEPS - 1, in order */
};

extern const struct hot hot_table[]; /* ends in name NULL */

void hot_check(bool holds, const char *what); /* ends the process when it does not */

#endif
