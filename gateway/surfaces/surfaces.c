/* The surfaces of the main port, and those that have one of their own. */
#include "gateway/port.h"
#include "gateway/surfaces/surface.h"

#include <stddef.h>

const struct surface *const surfaces_all[] = {&surface_scheduler, &surface_transcode, &surface_render,
                                              &surface_recorder,  &surface_web,       NULL};

const struct port_row ports_all[] = {
    {SET_HTTP_RENDER_PORT, &surface_render}, {SET_HTTP_RECORDER_PORT, &surface_recorder}, {.surface = NULL}};
