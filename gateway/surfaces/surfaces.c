/* The surfaces of the main port. */
#include "gateway/surfaces/surface.h"

#include <stddef.h>

const struct surface *const surfaces_all[] = {&surface_scheduler, &surface_transcode, &surface_web, NULL};
