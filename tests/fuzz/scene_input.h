/* Bytes as a scene's file, for the fuzz target of each reader: whatever they are, what is said of them is bounded, well-formed JSON. */
#ifndef GANTRY_TESTS_SCENE_INPUT_H
#define GANTRY_TESTS_SCENE_INPUT_H

#include "worker/scene/scene.h"
#include "worker/scene/source.h"

void scene_input(const uint8_t *data, size_t size, int (*read)(struct source *source, struct scene *scene, struct err *err));

#endif
