/* The farms that are built in, from farms.def. */
#include "scheduler/farms/farm_host.h"

#define FARM(name) struct farm *name##_farm(void);
#include "scheduler/farms/farms.def"
#undef FARM

struct farm *(*const farm_makers[])(void) = {
#define FARM(name) name##_farm,
#include "scheduler/farms/farms.def"
#undef FARM
    NULL,
};

const size_t farms_count = sizeof farm_makers / sizeof *farm_makers - 1;

_Static_assert(sizeof farm_makers / sizeof *farm_makers - 1 <= FARMS_MAX, "the host has room for each of them");
